// A person's Stars: balance, more of them, subscriptions; and the receipt of one payment.

import { el, icon } from "../dom.js";
import * as api from "./api.js";
import { day, stars } from "./words.js";

const TOP_UPS = [100, 1_000, 10_000];

export class WalletDialog {
  /** `failed(error)` is told what the sandbox refused. */
  constructor({ failed }) {
    this.failed = failed;
    this.userId = null;
    this.balance = el("p", { class: "sheet-price", "data-testid": "wallet-balance" });
    this.list = el("ul", { class: "subscriptions", "data-testid": "subscriptions" });
    const topUps = TOP_UPS.map((amount) =>
      el("button", { type: "button", class: "chip", "data-testid": "top-up", onclick: () => this.#do(api.topUp(this.userId, amount)) }, `+ ${amount.toLocaleString("en")}`),
    );
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", "aria-labelledby": "wallet-title", "data-testid": "wallet" },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "⭐"),
      el("h2", { class: "sheet-title", id: "wallet-title" }, "Stars"),
      this.balance,
      el("div", { class: "chips", role: "group", "aria-label": "Get Stars" }, ...topUps),
      el("p", { class: "sheet-description" }, "They cost nothing in the sandbox."),
      this.list,
      el("button", { type: "button", class: "text-button", "data-testid": "wallet-close", onclick: () => this.dialog.close() }, "Close"),
    );
    document.body.append(this.dialog);
  }

  open(userId, wallet) {
    this.show(userId, wallet);
    this.dialog.showModal();
  }

  show(userId, wallet) {
    this.userId = userId;
    this.balance.textContent = wallet.balance.toLocaleString("en");
    const focused = document.activeElement?.dataset.key;
    this.list.replaceChildren(...wallet.subscriptions.map((subscription) => this.#row(subscription)));
    this.list.querySelector(`[data-key="${CSS.escape(focused ?? "")}"]`)?.focus();
  }

  #row(subscription) {
    const act = (change, label) =>
      el("button", {
        type: "button",
        class: "chip",
        "data-key": `${change} ${subscription.id}`,
        "data-testid": `subscription-${change}`,
        onclick: () => this.#do(api.changeSubscription(this.userId, subscription.id, change)),
      }, label);
    const runs = !subscription.has_lapsed;
    return el(
      "li",
      { class: "subscription", "data-testid": "subscription" },
      el("bdi", { class: "subscription-title" }, subscription.title),
      el("span", { class: "subscription-price" }, stars(subscription.amount)),
      el("p", { class: "subscription-state", "data-testid": "subscription-state" }, state(subscription)),
      el(
        "div",
        { class: "chips" },
        runs && !subscription.is_canceled ? act("cancel", "Cancel") : null,
        runs && subscription.is_canceled && !subscription.is_canceled_by_bot ? act("resume", "Keep it") : null,
        runs ? act("renew", "End the period now") : null,
      ),
    );
  }

  async #do(request) {
    try {
      await request;
    } catch (error) {
      this.failed(error);
    }
  }
}

function state(subscription) {
  if (subscription.has_lapsed) return "Ended";
  if (subscription.is_canceled_by_bot) return `Cancelled by the bot, ends on ${day(subscription.until)}`;
  if (subscription.is_canceled) return `Cancelled, ends on ${day(subscription.until)}`;
  return `Renews on ${day(subscription.until)}`;
}

export class ReceiptDialog {
  constructor({ copy }) {
    this.title = el("bdi", { class: "sheet-title", id: "receipt-title" });
    this.price = el("p", { class: "sheet-price" });
    this.state = el("p", { class: "sheet-description", "data-testid": "receipt-state" });
    this.chargeId = el("code", { "data-testid": "receipt-charge" });
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", "aria-labelledby": "receipt-title", "data-testid": "receipt" },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "⭐"),
      this.title,
      this.price,
      this.state,
      el("button", { type: "button", class: "charge", title: "Copy", onclick: () => copy(this.chargeId.textContent) }, this.chargeId, icon("copy")),
      el("button", { type: "button", class: "wide-button", "data-testid": "receipt-close", onclick: () => this.dialog.close() }, "OK"),
    );
    document.body.append(this.dialog);
  }

  open(chargeId, payment) {
    this.title.textContent = payment.title;
    this.price.textContent = stars(payment.amount);
    this.state.textContent = `${payment.is_refunded ? "Refunded. Paid" : "Paid"} on ${day(payment.paid_at)}`;
    this.chargeId.textContent = chargeId;
    this.dialog.showModal();
  }
}
