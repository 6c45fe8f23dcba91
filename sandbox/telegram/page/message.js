// One message as a list item: quote, media, text, time, inline keyboard.

import { clockTime, toDate } from "./clock.js";
import { el, icon } from "./dom.js";
import { followed, richText, safeUrl } from "./entities.js";
import { mediaLabel, mediaOf } from "./media.js";
import { invoiceCard, invoiceRows, payKey, starLine } from "./stars/invoice.js";
import { leadsToInvoice } from "./stars/words.js";

/**
 * `actions`: `tap(message, data)` resolves when the bot answered, `copy(text, message)`, `command(text)`,
 * `jump(messageId)`, `unsupported()`, `isOwn(message)`, `edit(message)`, `author(message)`, `follow(url)`; those about Stars are in `stars/stars.js`.
 */
export function messageNode(message, actions) {
  const fromBot = (message.from?.is_bot ?? true) && !message.sender_chat;
  const node = el("li", {
    class: `message ${actions.isOwn(message) ? "out" : "in"}`,
    "data-testid": "message",
    "data-message-id": message.message_id,
    "data-from": fromBot ? "bot" : "user",
  });
  fillMessage(node, message, actions);
  return node;
}

/** Puts the present content of `message` into its node; a focused inline button keeps its focus. */
export function fillMessage(node, message, actions) {
  const focused = [...node.querySelectorAll(".key")].indexOf(document.activeElement);
  const line = starLine(message, actions);
  node.classList.toggle("service", line !== null);
  const body = el("div", { class: "message-body" }, line ?? bubble(message, actions), keyboard(message, actions));
  const old = node.querySelector(".message-body");
  if (old) old.replaceWith(body);
  else node.append(body);
  if (focused >= 0) {
    const keys = [...body.querySelectorAll(".key")];
    (keys[focused] ?? keys.at(-1))?.focus({ preventScroll: true });
  }
}

/** What the message says in one line. */
export function summary(message) {
  const text = message.text ?? message.caption ?? message.invoice?.title;
  return text ? text.replace(/\s+/g, " ").slice(0, 160) : mediaLabel(message);
}

function bubble(message, actions) {
  const media = mediaOf(message);
  const text = textOf(message, actions);
  const invoice = invoiceCard(message);
  const supported = media !== null || text !== null || invoice !== null;
  return el(
    "div",
    { class: media ? "bubble with-media" : "bubble" },
    isPrivate(message) ? null : el("bdi", { class: "author", "data-testid": "author" }, actions.author(message)),
    quote(message, actions),
    media,
    text,
    invoice,
    supported ? null : el("p", { class: "text service" }, serviceText(message)),
    meta(message, actions),
  );
}

function isPrivate(message) {
  return (message.chat?.type ?? "private") === "private";
}

function textOf(message, actions) {
  const text = message.text ?? message.caption;
  if (!text) return null;
  const copy = (content) => actions.copy(content, message);
  const entities = message.text ? message.entities : message.caption_entities;
  return el("div", { class: "text", "data-testid": "message-text" }, richText(text, entities, { ...actions, copy }));
}

function serviceText(message) {
  if (message.forum_topic_created) return `Topic “${message.forum_topic_created.name}” opened`;
  if (message.new_chat_members) return `${message.new_chat_members.map((user) => user.first_name).join(", ")} joined`;
  if (message.pinned_message) return `Pinned “${summary(message.pinned_message)}”`;
  return "A kind of message that this page cannot show.";
}

function quote(message, actions) {
  const original = message.reply_to_message;
  if (!original) return null;
  return el(
    "button",
    { type: "button", class: "quote", "data-testid": "quote", onclick: () => actions.jump(original.message_id) },
    el("bdi", { class: "quote-name" }, original.from?.first_name ?? "Message"),
    el("bdi", { class: "quote-text" }, message.quote?.text ?? summary(original)),
  );
}

const EDITED = "Changed since it came, as Telegram marks it. The bot’s /help says what it adds to an alert.";

function meta(message, actions) {
  const date = toDate(message.date);
  const edit = { type: "button", class: "edit", "data-testid": "edit-message", onclick: () => actions.edit(message) };
  return el(
    "p",
    { class: "meta" },
    message.text && actions.isOwn(message) ? el("button", edit, "Edit") : null,
    message.edit_date ? el("span", { class: "edited", title: EDITED, "data-testid": "edited" }, "edited") : null,
    message.is_silent ? el("span", { title: "Sent without a sound", "data-testid": "silent" }, "🔕") : null,
    date ? el("time", { datetime: date.toISOString(), title: date.toLocaleString() }, clockTime(date)) : null,
  );
}

function keyboard(message, actions) {
  const rows = invoiceRows(message);
  if (!Array.isArray(rows) || rows.length === 0) return null;
  const rowNodes = rows.map((row) =>
    el("div", { class: "key-row", "data-keys": row.length }, ...row.map((button) => key(message, button, actions))),
  );
  return el("div", { class: "keyboard", role: "group", "aria-label": "Buttons", "data-testid": "keyboard" }, ...rowNodes);
}

function key(message, button, actions) {
  if (button.pay) return starKey(payKey(message, button, actions));
  const label = el("span", { class: "key-label", dir: "auto" }, button.text ?? "");
  const shared = { class: "key", "data-testid": "inline-button", title: button.text };
  if (typeof button.callback_data === "string") return callbackKey(message, button, { shared, label, actions });
  if (button.url !== undefined) return urlKey(button, { shared, label, actions });
  if (typeof button.copy_text?.text === "string") {
    const copy = () => actions.copy(button.copy_text.text, message);
    return el("button", { ...shared, type: "button", "data-kind": "copy", onclick: copy }, label, icon("copy"));
  }
  return el("button", { ...shared, type: "button", "data-kind": "other", onclick: actions.unsupported }, label);
}

function starKey({ text, kind, act }) {
  const label = el("span", { class: "key-label", dir: "auto" }, text);
  return el("button", { class: "key", "data-testid": "inline-button", type: "button", "data-kind": kind, onclick: act }, label);
}

function urlKey(button, { shared, label, actions }) {
  const href = safeUrl(button.url);
  if (href === null) {
    return el("button", { ...shared, type: "button", "data-kind": "other", onclick: actions.unsupported }, label);
  }
  const attributes = { ...shared, "data-kind": "url", href, target: "_blank", rel: "noopener noreferrer" };
  return followed(el("a", attributes, label, leadsToInvoice(href) ? null : icon("open")), href, actions);
}

function callbackKey(message, button, { shared, label, actions }) {
  const node = el("button", { ...shared, type: "button", "data-kind": "callback" }, label);
  node.addEventListener("click", async () => {
    if (node.getAttribute("aria-busy") === "true") return;
    node.setAttribute("aria-busy", "true");
    try {
      await actions.tap(message, button.callback_data);
    } finally {
      node.removeAttribute("aria-busy");
    }
  });
  return node;
}
