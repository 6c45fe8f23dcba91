// The sheet that asks before Stars are paid.

import { el } from "../dom.js";
import * as api from "./api.js";
import { failure, period, stars } from "./words.js";

const FAULTS = [
  ["", "Nothing"],
  ["twice", "The payment reaches the bot twice"],
  ["late", "The payment reaches the bot 5 s later"],
  ["after_restart", "The payment reaches the bot after its next start"],
  ["unanswered", "The bot is never asked"],
  ["says_cancelled", "Paid, but this page says cancelled"],
];

export class PaySheet {
  /**
   * `people()` lists those who can pay; `ended(outcome, payer, invoice)` is told how it ended, unless it failed
   * and the sheet is still there to say so.
   */
  constructor({ people, ended }) {
    this.people = people;
    this.ended = ended;
    this.title = el("bdi", { class: "sheet-title", id: "pay-title" });
    this.description = el("p", { class: "sheet-description", dir: "auto" });
    this.price = el("p", { class: "sheet-price", "data-testid": "pay-price" });
    this.balance = el("p", { class: "sheet-balance", "data-testid": "pay-balance" });
    this.problem = el("p", { class: "sheet-problem", role: "alert", "data-testid": "pay-problem" });
    this.payer = el("select", { class: "field", id: "pay-as", "data-testid": "pay-as", onchange: () => this.#load() });
    this.fault = el("select", { class: "field", id: "pay-fault", "data-testid": "pay-fault" }, ...FAULTS.map(option));
    this.payButton = el("button", { type: "button", class: "wide-button", "data-testid": "pay-confirm", onclick: () => this.#go() });
    this.cancelButton = el("button", { type: "button", class: "text-button", "data-testid": "pay-cancel", onclick: () => this.dialog.close() }, "Cancel");
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", "aria-labelledby": "pay-title", "data-testid": "pay-sheet" },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "⭐"),
      this.title,
      this.description,
      this.price,
      this.balance,
      this.problem,
      this.payButton,
      this.cancelButton,
      el(
        "details",
        { class: "sheet-testing", "data-testid": "pay-testing" },
        el("summary", {}, "For testing"),
        el("label", { for: "pay-as" }, "Pay as"),
        this.payer,
        el("label", { for: "pay-fault" }, "What goes wrong"),
        this.fault,
      ),
    );
    document.body.append(this.dialog);
  }

  /** Shows the invoice at `place` to `userId`; fails if there is none. */
  async open(userId, place) {
    this.place = place;
    this.payer.replaceChildren(...this.people().map((user) => option([user.id, user.name])));
    this.payer.value = String(userId);
    this.fault.value = "";
    this.dialog.querySelector("details").open = false;
    await this.#load();
    if (!this.dialog.open) this.dialog.showModal();
  }

  async #load() {
    const invoice = await api.invoice(Number(this.payer.value), this.place);
    this.invoice = invoice;
    this.title.textContent = invoice.title;
    this.description.textContent = invoice.description;
    this.price.textContent = invoice.period_s ? `${stars(invoice.amount)} ${period(invoice.period_s)}` : stars(invoice.amount);
    this.balance.textContent = `Balance ${stars(invoice.balance)}`;
    this.missing = Math.max(0, invoice.amount - invoice.balance);
    this.#say(this.missing > 0 ? `${stars(this.missing)} are missing. Here they cost nothing.` : "");
    this.#showButton();
  }

  #showButton({ busy = false } = {}) {
    this.payButton.disabled = busy;
    this.payButton.setAttribute("aria-busy", String(busy));
    if (busy) this.payButton.textContent = "Asking the bot…";
    else if (this.missing > 0) this.payButton.textContent = `Get ${stars(this.missing)}`;
    else this.payButton.textContent = `Pay ${stars(this.invoice.amount)}`;
  }

  #say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = problem === "";
  }

  async #go() {
    try {
      if (this.missing > 0) {
        await api.topUp(Number(this.payer.value), this.missing);
        await this.#load();
      } else {
        await this.#pay();
      }
    } catch (error) {
      this.#say(error.message);
      this.#showButton();
    }
  }

  async #pay() {
    const { place, invoice } = this;
    const payer = Number(this.payer.value);
    this.#say("");
    this.#showButton({ busy: true });
    const outcome = await api.pay(payer, place, this.fault.value);
    const isStillHere = this.dialog.open && place === this.place;
    if (isStillHere && outcome.status === "failed") {
      await this.#load();
      this.#say(failure(outcome));
      return;
    }
    if (isStillHere) this.dialog.close();
    this.ended(outcome, payer, invoice);
  }
}

function option([value, text]) {
  return el("option", { value }, text);
}
