// Amounts, addresses and states in words.

const STATES = {
  processed: "Sent, not confirmed yet",
  confirmed: "Confirmed, not final yet",
  finalized: "Final",
  gone: "Gone: the network dropped it",
};

/** Long addresses are told by both ends. */
export const short = (address) => (address.length > 20 ? `${address.slice(0, 8)}…${address.slice(-8)}` : address);

/** How a transfer stands. */
export function state(transfer) {
  if (transfer.is_failed) return "Failed, nothing was moved";
  return STATES[transfer.status] ?? capital(transfer.status);
}

/** An amount that has to fit into a button. */
export const fewDigits = (amount) => Number(amount).toLocaleString("en", { maximumFractionDigits: 2, useGrouping: false });

/** True for an address of this machine, whose page the sandbox can look at. */
export function isHere(href) {
  try {
    return ["127.0.0.1", "localhost", "[::1]"].includes(new URL(href).hostname);
  } catch {
    return false; // no address at all
  }
}

function capital(text) {
  return text === "" ? text : text[0].toUpperCase() + text.slice(1);
}
