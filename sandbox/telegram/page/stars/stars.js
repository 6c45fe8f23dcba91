// Puts the parts about Stars together: the button in the bar, the sheet, the wallet, the receipts.

import { PaySheet } from "./sheet.js";
import { ReceiptDialog, WalletDialog } from "./wallet.js";
import { failure, fewStars, leadsToInvoice, stars } from "./words.js";

const EMPTY = { balance: 0, subscriptions: [], payments: {} };

export class StarsPart {
  /** `listeners`: `changed()` when what messages show of Stars may be another. `people` lists who can pay. */
  constructor(button, { people, notices, changed }) {
    this.button = button;
    this.people = people;
    this.notices = notices;
    this.changed = changed;
    this.userId = null;
    this.wallet = EMPTY;
    this.sheet = new PaySheet({ people, ended: (...how) => this.#ended(...how) });
    this.walletDialog = new WalletDialog();
    this.receiptDialog = new ReceiptDialog();
    button.addEventListener("click", () => this.walletDialog.open(this.userId, this.wallet));
    document.addEventListener("click", (event) => this.#clicked(event));
  }

  /** What messages need; see `invoice.js`. */
  get actions() {
    return {
      pay: (message) => this.#open({ chat_id: message.chat.id, message_id: message.message_id }),
      receipt: (chargeId) => this.#showReceipt(chargeId),
      receiptOf: (message) => this.#receiptOf(message),
      payment: (chargeId) => this.wallet.payments[chargeId],
    };
  }

  /** From now on it is `userId` who pays; null for nobody. */
  reset(userId) {
    this.userId = userId;
    for (const dialog of [this.sheet.dialog, this.walletDialog.dialog, this.receiptDialog.dialog]) dialog.close();
    this.update(EMPTY);
  }

  update(wallet) {
    this.wallet = wallet;
    this.button.textContent = fewStars(wallet.balance);
    this.button.setAttribute("aria-label", `Stars: ${wallet.balance.toLocaleString("en")}`);
    if (this.walletDialog.dialog.open) this.walletDialog.show(this.userId, wallet);
    this.changed();
  }

  async #open(place) {
    try {
      await this.sheet.open(this.userId, place);
    } catch (error) {
      this.notices.problem(error);
    }
  }

  #ended(outcome, payer, invoice) {
    if (outcome.status === "failed") this.notices.toast(failure(outcome));
    else if (outcome.status === "cancelled") this.notices.toast("The payment was cancelled.");
    else if (payer !== this.userId) this.notices.toast(`${this.#nameOf(payer)} has paid ${stars(invoice.amount)}; the receipt is in their chat.`);
  }

  #nameOf(userId) {
    return this.people().find((user) => user.id === userId)?.name ?? "Somebody else";
  }

  #receiptOf(message) {
    const { id } = message.chat;
    const isHere = ([, each]) => each.chat_id === id && each.message_id === message.message_id;
    return Object.entries(this.wallet.payments).find(isHere)?.[0];
  }

  #showReceipt(chargeId) {
    const payment = this.wallet.payments[chargeId];
    if (payment) this.receiptDialog.open(chargeId, payment);
    else this.notices.toast("The sandbox does not remember this payment.");
  }

  /** A link to an invoice opens the sheet, as it does in Telegram, wherever it stands. */
  #clicked(event) {
    const anchor = event.target.closest?.("a[href]");
    if (!anchor || this.userId === null || !leadsToInvoice(anchor.getAttribute("href"))) return;
    event.preventDefault();
    this.#open({ link: anchor.getAttribute("href") });
  }
}

