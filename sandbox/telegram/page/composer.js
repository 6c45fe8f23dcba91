// Writing to the bot: the growing field, sending in order, and the command menu on top of it.

import { CommandMenu } from "./commands.js";

const FIELD_MAX_PX = 160;

export class Composer {
  /** `parts`: form, input, menu, list, button. `send(userId, text)` returns a promise that fails if nothing was sent. */
  constructor(parts, { send, failed }) {
    this.parts = parts;
    this.send = send;
    this.failed = failed;
    this.userId = null;
    this.queue = Promise.resolve();
    this.menu = new CommandMenu(parts, (command) => {
      this.#clear();
      this.submit(command);
    });
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submitField();
    });
    parts.input.addEventListener("input", () => this.#changed());
    parts.input.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Sends `text`; texts leave in the order in which they were written. */
  submit(text) {
    const { userId } = this;
    this.queue = this.queue.then(() => this.send(userId, text)).catch((error) => this.#restore(userId, text, error));
    return this.queue;
  }

  focus() {
    // A focused field on a touch screen opens the keyboard over the messages: only where there is a real one.
    if (matchMedia("(hover: hover) and (pointer: fine)").matches) this.parts.input.focus();
  }

  /** From now on it is `userId` who writes; what is still leaving was written by the one before. */
  reset(userId) {
    this.userId = userId;
    this.#clear();
  }

  #submitField() {
    const text = this.parts.input.value.trim();
    if (text === "") return;
    this.#clear();
    this.submit(text);
  }

  #restore(userId, text, error) {
    if (userId === this.userId && this.parts.input.value === "" && !text.startsWith("/")) {
      this.parts.input.value = text;
      this.#changed();
    }
    this.failed(error);
  }

  #key(event) {
    if (this.menu.handleKey(event)) return;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submitField();
  }

  #clear() {
    this.parts.input.value = "";
    this.#changed();
  }

  #changed() {
    const { input } = this.parts;
    this.menu.typed(input.value);
    input.style.height = "auto";
    const borders = input.offsetHeight - input.clientHeight;
    input.style.height = `${Math.min(input.scrollHeight + borders, FIELD_MAX_PX)}px`;
  }
}
