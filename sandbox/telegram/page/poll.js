// Asking again and again, but not while nobody looks at the page.

/**
 * Runs `task` now and `pauseMs` after each end of it, for as long as the page lives.
 * `failed(error)` hears of each failure. Resolves after the first run.
 */
export function poll(pauseMs, task, failed = () => {}) {
  async function run() {
    if (!document.hidden) {
      try {
        await task();
      } catch (error) {
        failed(error);
      }
    }
    setTimeout(run, pauseMs);
  }
  return run();
}
