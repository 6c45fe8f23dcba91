// What the page says beside the chat: toasts and the dialog.

import { el } from "./dom.js";
import { safeUrl } from "./entities.js";

const TOAST_MS = 4000;
const TOASTS_MAX = 3;

export class Notices {
  /** `parts`: toasts, dialog, dialogText, dialogLink, dialogClose. */
  constructor(parts) {
    this.parts = parts;
    parts.dialogClose.addEventListener("click", () => parts.dialog.close());
    parts.dialogLink.addEventListener("click", () => parts.dialog.close());
  }

  toast(text) {
    const { toasts } = this.parts;
    const node = el("p", { class: "toast", "data-testid": "toast", dir: "auto" }, text);
    toasts.append(node);
    while (toasts.children.length > TOASTS_MAX) toasts.firstElementChild.remove();
    setTimeout(() => node.remove(), TOAST_MS);
  }

  problem(error) {
    this.toast(error instanceof TypeError ? "The sandbox cannot be reached." : sentence(error.message));
  }

  alert(text) {
    this.#open({ text, closeLabel: "OK", url: null });
  }

  /** Asks before leaving: a page may not open a window by itself after it waited for the bot's answer. */
  offerLink(raw) {
    const url = safeUrl(raw);
    if (url === null) this.toast("The bot answered with an address that cannot be opened.");
    else this.#open({ text: `Open ${url} ?`, closeLabel: "Cancel", url });
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.toast("Copied to the clipboard");
    } catch {
      this.toast("The browser does not allow copying here.");
    }
  }

  #open({ text, closeLabel, url }) {
    const { dialog, dialogText, dialogLink, dialogClose } = this.parts;
    dialogText.textContent = text;
    dialogClose.textContent = closeLabel;
    dialogLink.hidden = url === null;
    if (url === null) dialogLink.removeAttribute("href");
    else dialogLink.href = url;
    if (!dialog.open) dialog.showModal();
  }
}

function sentence(text) {
  return text === "" ? "Something went wrong." : `${text[0].toUpperCase()}${text.slice(1)}`;
}
