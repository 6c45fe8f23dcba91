// How invoices, receipts and refunds look in the chat.

import { el } from "../dom.js";
import { stars } from "./words.js";

/** The card of an invoice inside its bubble, or null. */
export function invoiceCard(message) {
  const { invoice } = message;
  if (!invoice) return null;
  return el(
    "div",
    { class: "invoice", "data-testid": "invoice" },
    el("bdi", { class: "invoice-title" }, invoice.title),
    el("p", { class: "invoice-description", dir: "auto" }, invoice.description),
    el("p", { class: "invoice-price" }, stars(invoice.total_amount)),
  );
}

/** The rows of buttons under an invoice: without a keyboard of the bot's, one that pays. */
export function invoiceRows(message) {
  const rows = message.reply_markup?.inline_keyboard;
  if (!message.invoice || rows?.length > 0) return rows;
  return [[{ text: `Pay ${stars(message.invoice.total_amount)}`, pay: true }]];
}

/** What a button that pays says and does: after the payment it shows the receipt. */
export function payKey(message, button, actions) {
  const chargeId = actions.receiptOf(message);
  return {
    kind: chargeId ? "receipt" : "pay",
    text: chargeId ? "Receipt" : button.text.replace("XTR", "⭐"),
    act: () => (chargeId ? actions.receipt(chargeId) : actions.pay(message)),
  };
}

/** The line in the middle of the chat that tells of a payment or a refund, or null for other messages. */
export function starLine(message, actions) {
  const { successful_payment: paid, refunded_payment: refunded } = message;
  if (!paid && !refunded) return null;
  const chargeId = (paid ?? refunded).telegram_payment_charge_id;
  const amount = stars((paid ?? refunded).total_amount);
  const what = refunded ? `${amount} came back for` : `${paid.is_recurring && !paid.is_first_recurring ? "Renewed:" : "You paid"} ${amount} for`;
  return el(
    "button",
    { type: "button", class: "star-line", "data-testid": refunded ? "refund" : "receipt-line", onclick: () => actions.receipt(chargeId) },
    `${what} `,
    el("bdi", {}, actions.payment(chargeId)?.title ?? "an invoice"),
  );
}
