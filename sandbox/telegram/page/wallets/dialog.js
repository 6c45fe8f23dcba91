// The wallet itself: what it holds, what it has sent, and a field for what is to be paid.

import { el } from "../dom.js";
import * as api from "./api.js";
import { state } from "./words.js";

export class WalletDialog {
  /** `found(requests)` is told what a pasted text asks for, `copy(text)` what to put on the clipboard. `watch` is that of the sheet. */
  constructor({ found, copy, watch }) {
    this.found = found;
    this.copy = copy;
    this.watch = watch;
    this.balances = el("p", { class: "sheet-price wallet-balances", "data-testid": "wallet-balances" });
    this.field = el("input", { class: "field", id: "wallet-paste", type: "text", autocomplete: "off", spellcheck: "false", required: true, placeholder: "solana:… or an address", "data-testid": "wallet-paste" });
    this.problem = el("p", { class: "sheet-problem", role: "alert", "data-testid": "wallet-problem", hidden: true });
    this.list = el("ul", { class: "subscriptions", "aria-label": "Sent", "data-testid": "transfers" });
    const form = el(
      "form",
      { class: "wallet-form", onsubmit: (event) => this.#submit(event) },
      el("label", { for: "wallet-paste" }, "Pay a link or an address"),
      this.field,
      el("button", { type: "submit", class: "chip", "data-testid": "wallet-continue" }, "Continue"),
    );
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", autofocus: true, "aria-labelledby": "test-wallet-title", "data-testid": "test-wallet", onclose: () => this.stop?.() },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "👛"),
      el("h2", { class: "sheet-title", id: "test-wallet-title" }, "Test wallet"),
      this.balances,
      el("p", { class: "sheet-description" }, "Nothing in the sandbox is worth money."),
      form,
      this.problem,
      this.list,
      el("button", { type: "button", class: "text-button", "data-testid": "test-wallet-close", onclick: () => this.dialog.close() }, "Close"),
    );
    document.body.append(this.dialog);
  }

  open() {
    this.#say("");
    this.field.value = "";
    this.dialog.showModal();
    // A focused field on a touch screen opens the keyboard over everything: only where there is a real one.
    if (matchMedia("(hover: hover) and (pointer: fine)").matches) this.field.focus();
    this.stop = this.watch((view) => this.show(view));
  }

  show({ balances, sent }) {
    put(this.balances, Object.entries(balances).map(([coin, amount]) => `${amount} ${coin}`).join("\n"));
    const rows = sent.map((transfer) => [transfer.what, state(transfer), transfer.id]);
    if (rows.flat().join() === this.shown) return;
    this.shown = rows.flat().join();
    this.list.replaceChildren(...rows.map(([what, how, id]) => row(what, how, () => this.copy(id))));
  }

  async #submit(event) {
    event.preventDefault();
    this.#say("");
    try {
      const { requests } = await api.pasted(this.field.value);
      if (requests.length === 0) {
        this.#say("That is neither a link nor an address that the test wallet can pay.");
        return;
      }
      this.dialog.close();
      this.found(requests);
    } catch (error) {
      this.#say(error.message);
    }
  }

  #say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = problem === "";
  }
}

function row(what, how, copy) {
  return el(
    "li",
    { class: "subscription", "data-testid": "transfer" },
    el("span", { class: "subscription-title" }, what),
    el("span", { class: "subscription-state" }, how),
    el("button", { type: "button", class: "text-button", "data-testid": "transfer-copy", onclick: copy }, "Copy its id"),
  );
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
