// A person's Stars: balance, more of them, subscriptions; and the receipt of one payment.

import { el, icon } from "../dom.js";
import * as api from "./api.js";
import { day, stars } from "./words.js";

const TOP_UPS = [100, 1_000, 10_000];

export class WalletDialog {
  constructor() {
    this.userId = null;
    this.balance = el("p", { class: "sheet-price", "data-testid": "wallet-balance" });
    this.problem = el("p", { class: "sheet-problem", role: "alert", hidden: true });
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
      this.problem,
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
    this.problem.hidden = true;
    try {
      await request;
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
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
  constructor() {
    this.title = el("bdi", { class: "sheet-title", id: "receipt-title" });
    this.price = el("p", { class: "sheet-price" });
    this.state = el("p", { class: "sheet-description", "data-testid": "receipt-state" });
    this.chargeId = el("code", { "data-testid": "receipt-charge" });
    this.copied = el("p", { class: "sheet-description", role: "status" });
    this.dialog = el(
      "dialog",
      { class: "dialog sheet", "aria-labelledby": "receipt-title", "data-testid": "receipt" },
      el("span", { class: "sheet-star", "aria-hidden": "true" }, "⭐"),
      this.title,
      this.price,
      this.state,
      el("button", { type: "button", class: "charge", title: "Copy", onclick: () => this.#copy() }, this.chargeId, icon("copy")),
      this.copied,
      el("button", { type: "button", class: "wide-button", "data-testid": "receipt-close", onclick: () => this.dialog.close() }, "OK"),
    );
    document.body.append(this.dialog);
  }

  open(chargeId, payment) {
    this.title.textContent = payment.title;
    this.price.textContent = stars(payment.amount);
    this.state.textContent = `${payment.is_refunded ? "Refunded. Paid" : "Paid"} on ${day(payment.paid_at)}`;
    this.chargeId.textContent = chargeId;
    this.copied.textContent = "";
    this.dialog.showModal();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.chargeId.textContent);
      this.copied.textContent = "Copied to the clipboard";
    } catch {
      this.copied.textContent = "The browser does not allow copying here.";
    }
  }
}
