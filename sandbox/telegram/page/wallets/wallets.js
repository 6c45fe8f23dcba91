// Puts the parts about wallets together: the button in the bar, the strip over the composer, the sheet, the dialog.

import { el, icon } from "../dom.js";
import { safeUrl } from "../entities.js";
import * as api from "./api.js";
import { WalletDialog } from "./dialog.js";
import { PaySheet } from "./sheet.js";
import { fewDigits, isHere, short } from "./words.js";

const WATCH_MS = 1000;

export class WalletsPart {
  /** `parts`: button, strip, stripText, stripPay, stripClose. */
  constructor(parts, { notices }) {
    this.parts = parts;
    this.notices = notices;
    this.isThere = false;
    this.offered = [];
    const watch = (seen) => this.#watch(seen);
    this.sheet = new PaySheet({ watch, sent: () => this.#offer([]), closed: () => this.#keepFocus() });
    this.dialog = new WalletDialog({
      watch,
      found: (requests) => this.sheet.show(requests),
      copy: (text) => this.notices.copy(text),
    });
    parts.button.append(icon("wallet"), (this.balance = el("span", { class: "wallet-balance" })));
    parts.button.addEventListener("click", () => this.dialog.open());
    parts.stripPay.addEventListener("click", () => this.sheet.show(this.offered));
    parts.stripClose.addEventListener("click", () => this.#offer([]));
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  /** Looks for wallets; without any nothing of all this is shown. */
  async start() {
    try {
      this.#show(await api.view());
    } catch (error) {
      this.notices.problem(error);
    }
  }

  /** Somebody else is chosen, or nobody. */
  reset() {
    this.#offer([]);
    this.sheet.dialog.close();
    this.dialog.dialog.close();
  }

  /** Something of a message was copied: if the message asks for money, the wallet offers itself. */
  async copied(text, message) {
    if (!this.isThere) return;
    const buttons = (message?.reply_markup?.inline_keyboard ?? []).flat();
    const texts = [text, ...buttons.map((button) => button.copy_text?.text).filter((each) => typeof each === "string")];
    try {
      const { requests } = await api.copied(texts, message?.text ?? message?.caption ?? "");
      this.#offer(requests);
    } catch (error) {
      this.notices.problem(error);
    }
  }

  #offer(requests) {
    const { strip, stripText, stripPay } = this.parts;
    const hadFocus = strip.contains(document.activeElement);
    this.offered = requests;
    const [first] = requests;
    strip.hidden = first === undefined;
    const what = first?.amount ? `${first.amount} ${first.coin}` : `to ${short(first?.recipient ?? "")}`;
    const text = first ? `Pay ${what} with the test wallet` : "";
    stripPay.setAttribute("aria-label", text);
    // Screen readers tell of what changes in a strip that is there already.
    requestAnimationFrame(() => { stripText.textContent = text; });
    if (strip.hidden && hadFocus) this.parts.button.focus();
  }

  /** What led to the sheet may be gone when it closes. */
  #keepFocus() {
    if (document.activeElement === document.body) this.parts.button.focus({ preventScroll: true });
  }

  #show(view) {
    this.isThere = view.is_there;
    const entries = Object.entries(view.balances);
    this.parts.button.hidden = !view.is_there;
    this.balance.textContent = entries.length > 0 ? fewDigits(entries[0][1]) : "";
    this.parts.button.setAttribute("aria-label", ["Test wallet", ...entries.map(([coin, amount]) => `${amount} ${coin}`)].join(", "));
  }

  /** Asks what the wallets hold, now and each second; the answer stops it. */
  #watch(seen) {
    let timer = 0;
    let isOver = false;
    const look = async () => {
      try {
        const view = await api.view();
        if (isOver) return;
        this.#show(view);
        seen(view);
      } catch {
        // the page says by itself that the sandbox is away, and this is asked again
      }
      if (!isOver) timer = setTimeout(look, WATCH_MS);
    };
    look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }

  /** A link of this machine is handed to the wallet first, as a phone does it with an installed one. */
  #clicked(event) {
    const anchor = event.target.closest?.(".messages a[href]");
    if (!this.isThere || !anchor || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const url = safeUrl(anchor.getAttribute("href"));
    if (url === null || !isHere(url) || anchor.hasAttribute("download")) return;
    event.preventDefault();
    this.#open(url);
  }

  async #open(url) {
    this.sheet.wait(url);
    const waiting = this.sheet.requests;
    let requests = [];
    try {
      ({ requests } = await api.opened(url));
    } catch (error) {
      this.notices.problem(error);
    }
    if (this.sheet.dialog.open && this.sheet.requests === waiting) this.sheet.show(requests, url);
  }
}
