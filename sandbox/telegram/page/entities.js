// Text with Telegram's entities as DOM nodes. Offsets are UTF-16 units, which is what a JavaScript string counts in.

import { el, onActivate } from "./dom.js";

const LINK_SCHEMES = new Set(["http:", "https:", "tg:"]);
const PLAIN_TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s" };
const BLOCK_TYPES = new Set(["pre", "blockquote", "expandable_blockquote"]);

/** The address a link may lead to (http, https or tg), or null. An address without a scheme is read as https. */
export function safeUrl(raw) {
  if (typeof raw !== "string" || raw.trim() === "") return null;
  const address = raw.trim();
  try {
    const url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`);
    return LINK_SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null; // not an address at all
  }
}

export function link(url, ...children) {
  return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

/**
 * A fragment of `text` dressed with `entities`.
 * `actions`: `copy(text)` for code, `command(text)` for bot commands, `follow(url)`: true if a link was opened here.
 */
export function richText(text, entities, actions) {
  const fragment = document.createDocumentFragment();
  fill(fragment, text, { start: 0, end: text.length }, usable(text, entities ?? []), actions);
  return fragment;
}

function usable(text, entities) {
  return entities
    .filter(({ offset, length }) => Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length > 0)
    .map((entity) => ({ ...entity, start: entity.offset, end: Math.min(entity.offset + entity.length, text.length) }))
    .filter(({ start, end }) => start < end)
    .sort((a, b) => a.start - b.start || b.end - a.end);
}

/** Appends text[start, end) to `parent`; `spans` are sorted, and those inside another one become its children. */
function fill(parent, text, { start, end }, spans, actions) {
  let cursor = start;
  let next = 0;
  while (next < spans.length) {
    const span = spans[next];
    const inside = [];
    for (next += 1; next < spans.length && spans[next].start < span.end; next += 1) {
      // Telegram never lets entities cross; if a server does, the inner one ends with the outer one.
      inside.push({ ...spans[next], end: Math.min(spans[next].end, span.end) });
    }
    if (span.start > cursor) parent.append(text.slice(cursor, span.start));
    const node = nodeFor(span, text.slice(span.start, span.end), actions);
    fill(node.querySelector("code") ?? node, text, span, inside, actions);
    parent.append(node);
    cursor = span.end;
    // A block ends its line by itself, so the line break after it would show as an empty line.
    if (BLOCK_TYPES.has(span.type) && text[cursor] === "\n") cursor += 1;
  }
  if (cursor < end) parent.append(text.slice(cursor, end));
}

function nodeFor(span, content, actions) {
  if (Object.hasOwn(PLAIN_TAGS, span.type)) return el(PLAIN_TAGS[span.type]);
  switch (span.type) {
    case "code":
      return copyable(el("code", { title: "Copy" }), content, actions);
    case "pre":
      return copyable(el("pre", { title: "Copy", "data-language": span.language }, el("code")), content, actions);
    case "text_link":
      return linkTo(span.url, actions);
    case "url":
      return linkTo(content, actions);
    case "spoiler":
      return spoiler();
    case "blockquote":
      return el("blockquote");
    case "expandable_blockquote":
      return expandable();
    case "bot_command":
      return command(content, actions);
    case "mention":
    case "text_mention":
    case "hashtag":
    case "cashtag":
    case "email":
    case "phone_number":
      return el("span", { class: "mark" });
    default:
      return el("span");
  }
}

function linkTo(raw, actions) {
  const url = safeUrl(raw);
  return url ? followed(link(url), url, actions) : el("span");
}

/** An anchor whose address may lead to a chat of this page instead. */
export function followed(anchor, url, actions) {
  anchor.addEventListener("click", (event) => actions.follow?.(url) && event.preventDefault());
  return anchor;
}

function copyable(node, content, actions) {
  node.classList.add("copyable");
  onActivate(node, (event) => {
    const inLink = node.closest("a") !== null;
    const selecting = event.type === "click" && !(getSelection()?.isCollapsed ?? true);
    if (!inLink && !selecting) actions.copy(content);
  });
  return node;
}

function spoiler() {
  const node = el("span", { class: "spoiler", role: "button", "aria-label": "Hidden text" });
  onActivate(node, () => {
    node.classList.add("shown");
    for (const attribute of ["role", "aria-label", "tabindex"]) node.removeAttribute(attribute);
  });
  return node;
}

function expandable() {
  const node = el("blockquote", { class: "expandable", "aria-expanded": "false", role: "button" });
  onActivate(node, (event) => {
    if (event.target.closest("a, code, .mark") !== null && event.target !== node) return;
    node.setAttribute("aria-expanded", String(node.getAttribute("aria-expanded") === "false"));
  });
  return node;
}

function command(content, actions) {
  const node = el("span", { class: "mark command", role: "button" });
  onActivate(node, () => actions.command(content));
  return node;
}
