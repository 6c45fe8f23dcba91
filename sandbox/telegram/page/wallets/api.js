// What the page asks the sandbox about wallets beside Telegram.

import { request } from "../api.js";

/** `{is_there, balances, sent}`. */
export const view = () => request("GET", "/wallets");

/** What a pasted text asks for; ApiError with a wallet's own words when it is unpayable. */
export const pasted = (text) => request("POST", "/wallets/pasted", { body: { text } });

/** What a message asks for that offers `copied` for copying and says `said`. */
export const copied = (texts, said) => request("POST", "/wallets/copied", { body: { copied: texts, said } });

/** What the page at `url`, on this machine, offers to wallets. */
export const opened = (url) => request("POST", "/wallets/opened", { body: { url } });

/** `{id}` of the transfer. */
export const pay = (payment) => request("POST", "/wallets/payments", { body: payment });
