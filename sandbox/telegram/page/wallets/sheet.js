// The sheet that asks before something is paid, and tells how the transfer stands.

import { el } from "../dom.js";
import * as api from "./api.js";
import { short, state } from "./words.js";

export class PaySheet {
  /** `sent()` is told of every transfer, `closed()` of every end. `watch` calls back with what the wallets hold, each second until it is stopped. */
  constructor({ sent, closed, watch }) {
    this.sent = sent;
    this.closed = closed;
    this.watch = watch;
    this.requests = [];
    this.transferId = null;
    this.title = el("h2", { class: "sheet-title", id: "transfer-title" });
    this.label = el("p", { class: "sheet-description", dir: "auto", "data-testid": "transfer-label" });
    this.price = el("p", { class: "sheet-price", "data-testid": "transfer-price" });
    this.options = el("div", { class: "chips", role: "group", "aria-label": "Pay with" });
    this.amount = el("input", { class: "field", id: "transfer-amount", type: "text", inputmode: "decimal", autocomplete: "off", "data-testid": "transfer-amount" });
    this.coin = el("select", { class: "field", id: "transfer-coin", "data-testid": "transfer-coin" });
    this.open = el(
      "div",
      { class: "transfer-open" },
      el("label", { for: "transfer-amount" }, "Amount"),
      this.amount,
      el("label", { class: "visually-hidden", for: "transfer-coin" }, "Coin"),
      this.coin,
    );
    this.facts = el("dl", { class: "transfer-facts" });
    this.problem = el("p", { class: "sheet-problem", role: "alert", "data-testid": "transfer-problem", hidden: true });
    this.state = el("p", { class: "transfer-state", role: "status", "data-testid": "transfer-state" });
    this.payButton = el("button", { type: "button", class: "wide-button", autofocus: true, "data-testid": "transfer-confirm", onclick: () => this.#go() });
    this.pageLink = el("a", { class: "text-button", target: "_blank", rel: "noopener noreferrer", "data-testid": "transfer-page" }, "Open the page");
    this.closeButton = el("button", { type: "button", class: "text-button", "data-testid": "transfer-cancel", onclick: () => this.dialog.close() }, "Cancel");
    this.waysOut = el("div", { class: "transfer-ways-out" }, this.pageLink, this.closeButton);
    this.way = el("select", { class: "field", id: "transfer-way", "data-testid": "transfer-way", onchange: () => this.#showButton() });
    this.testing = el(
      "details",
      { class: "sheet-testing", "data-testid": "transfer-testing" },
      el("summary", {}, "For testing"),
      el("label", { for: "transfer-way" }, "What is done"),
      this.way,
    );
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", "aria-labelledby": "transfer-title", "data-testid": "transfer-sheet", onclose: () => this.#closed() },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "👛"),
      this.title,
      this.price,
      this.label,
      this.options,
      this.open,
      this.facts,
      this.problem,
      this.state,
      this.payButton,
      this.waysOut,
      this.testing,
    );
    document.body.append(this.dialog);
  }

  /** Offers what can be paid; `page` is the address that the person meant to open, if any. */
  show(requests, page = null) {
    this.requests = requests;
    this.transferId = null;
    this.testing.open = false;
    this.state.textContent = "";
    this.pageLink.hidden = page === null;
    if (page !== null) this.pageLink.href = page;
    this.options.replaceChildren(...requests.map((request, index) => this.#option(request, index)));
    this.options.hidden = requests.length < 2;
    this.#choose(0);
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** Says that a page is being looked at; `show` follows. */
  wait(page) {
    this.show([], page);
    this.label.textContent = "Looking for something to pay…";
  }

  #option(request, index) {
    const text = request.amount ? `${request.amount} ${request.coin}` : short(request.recipient);
    return el("button", { type: "button", class: "chip", "aria-pressed": "false", onclick: () => this.#choose(index) }, text);
  }

  #choose(index) {
    const request = this.requests[index] ?? null;
    const isOpen = (request?.coins.length ?? 0) > 0;
    this.request = request;
    [...this.options.children].forEach((node, at) => node.setAttribute("aria-pressed", String(at === index)));
    this.title.textContent = request ? "Test wallet" : "Open this page?";
    this.price.textContent = request && !isOpen ? `${request.amount} ${request.coin}` : "";
    this.price.hidden = request === null || isOpen;
    this.label.textContent = request?.label ?? "The test wallet finds nothing to pay on it.";
    this.open.hidden = !isOpen;
    this.amount.value = request?.amount ?? "";
    this.coin.replaceChildren(...(request?.coins ?? []).map((coin) => el("option", { value: coin }, coin)));
    this.coin.value = request?.coin ?? "";
    this.facts.replaceChildren(...(request ? facts(request) : []));
    this.way.replaceChildren(...Object.entries(request?.ways ?? {}).map(([value, text]) => el("option", { value }, text)));
    this.testing.hidden = request === null;
    this.#say("");
    this.#showButton();
  }

  #showButton({ busy = false } = {}) {
    const isDone = this.transferId !== null;
    this.payButton.hidden = this.request === null;
    this.payButton.disabled = busy;
    this.payButton.setAttribute("aria-busy", String(busy));
    this.payButton.textContent = isDone ? "Back to the chat" : this.way.selectedIndex > 0 ? this.way.selectedOptions[0].text : "Pay";
    this.waysOut.hidden = isDone;
    this.testing.hidden = this.request === null || isDone;
    this.options.hidden = this.requests.length < 2 || isDone;
    for (const field of [this.amount, this.coin]) field.disabled = isDone;
  }

  #say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = problem === "";
  }

  async #go() {
    if (this.transferId !== null) {
      this.dialog.close();
      return;
    }
    const { request } = this;
    if (request.coins.length > 0 && !/^\d+(\.\d+)?$/.test(this.amount.value.trim())) {
      this.#say("Say how much, as in 0.25.");
      this.amount.focus();
      return;
    }
    this.#say("");
    this.#showButton({ busy: true });
    try {
      const { wallet, url } = request;
      const { id } = await api.pay({ wallet, url, way: this.way.value, amount: this.amount.value.trim(), coin: this.coin.value });
      if (request !== this.request) return;
      this.transferId = id;
      this.sent();
      this.stop = this.watch(({ sent }) => this.#follow(sent));
    } catch (error) {
      this.#say(error.message);
    }
    this.#showButton();
  }

  #follow(sent) {
    const transfer = sent.find(({ id }) => id === this.transferId);
    const text = transfer ? state(transfer) : "";
    if (this.state.textContent !== text) this.state.textContent = text;
    this.state.toggleAttribute("data-final", transfer?.is_final ?? false);
    this.state.toggleAttribute("data-failed", transfer?.is_failed ?? false);
    if (transfer?.is_final) this.stop?.();
  }

  #closed() {
    this.stop?.();
    this.request = null;
    this.closed();
  }
}

function facts({ recipient, memo }) {
  const rows = [["To", recipient], ["Memo", memo]].filter(([, value]) => value);
  return rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { dir: "ltr", "data-testid": `transfer-${name.toLowerCase()}` }, value)]);
}
