// Links into Telegram itself, which lead to a chat of this page.

const HOSTS = new Set(["t.me", "telegram.me", "telegram.dog"]);
const PAYLOAD = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * What a link means here: `{ start }` for the bot's own chat (`null` without a payload that Telegram takes),
 * `{ share }` for an address that is to be sent to somebody, or null for any other link.
 */
export function telegramLink(raw, username) {
  const url = parsed(raw);
  if (url === null) return null;
  if (url.protocol === "tg:") return url.hostname === "resolve" ? toBot(url.searchParams.get("domain"), url, username) : null;
  if (!HOSTS.has(url.hostname)) return null;
  const [name, ...rest] = url.pathname.split("/").filter(Boolean);
  if (name === "share") return url.searchParams.has("url") ? { share: url.searchParams.get("url") } : null;
  return rest.length === 0 ? toBot(name, url, username) : null;
}

function parsed(raw) {
  try {
    return new URL(/^[a-z][a-z0-9+.-]*:/i.test(raw) ? raw : `https://${raw}`);
  } catch {
    return null; // not an address at all
  }
}

function toBot(name, url, username) {
  if (name?.toLowerCase() !== username?.toLowerCase()) return null;
  const start = url.searchParams.get("start");
  return { start: start !== null && PAYLOAD.test(start) ? start : null };
}
