// Amounts, periods and reasons in words.

const MONTH_S = 2_592_000;

const FAILURES = {
  BALANCE_TOO_LOW: "There are not enough Stars.",
  BOT_PRECHECKOUT_TIMEOUT: "The bot did not answer in time. Nothing was paid.",
  FORM_SUBMIT_DUPLICATE: "This invoice has been paid already, or is just being paid.",
  SUBSCRIPTION_ALREADY_ACTIVE: "This subscription is running already.",
};

const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const stars = (amount) => `⭐ ${amount.toLocaleString("en")}`;
export const fewStars = (amount) => `⭐ ${amount < 10_000 ? amount.toLocaleString("en") : compact.format(amount)}`;
export const day = (seconds) => dateFormat.format(new Date(seconds * 1000));

export function period(seconds) {
  return seconds === MONTH_S ? "every 30 days" : `every ${Math.round(seconds / 86_400)} days`;
}

/** Why nothing was paid; the bot's own words where it gave some. */
export function failure(outcome) {
  return outcome.message || FAILURES[outcome.error] || `Nothing was paid (${outcome.error}).`;
}

const LINK = /^(?:(?:https?:\/\/)?t\.me\/(?:\$|%24|invoice\/)|tg:(?:\/\/)?invoice\?slug=)([\w-]+)\/?$/i;

/** True for the address of an invoice. */
export const leadsToInvoice = (address) => LINK.test(address);
