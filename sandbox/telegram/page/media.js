// Photos, animations, videos and documents of a message.

import { fileUrl } from "./api.js";
import { calm, el, icon } from "./dom.js";

const ENOUGH_WIDTH_PX = 640;
const LARGE_HEIGHT_PX = 900;

/** The node that shows the media of `message`, or null when it has none. */
export function mediaOf(message) {
  if (Array.isArray(message.photo) && message.photo.length > 0) return photo(message);
  if (message.animation) return animation(message.animation);
  if (message.video) return video(message.video);
  if (message.document) return file(message.document);
  return null;
}

/** One word for a message that has no text. */
export function mediaLabel(message) {
  const kind = ["photo", "animation", "video", "document"].find((name) => message[name]);
  if (kind === undefined) return "Message";
  return message[kind].file_name ?? kind[0].toUpperCase() + kind.slice(1);
}

function photo(message) {
  const sizes = [...message.photo].sort((a, b) => (a.width ?? 0) - (b.width ?? 0));
  const size = sizes.find(({ width }) => width >= ENOUGH_WIDTH_PX) ?? sizes.at(-1);
  const large = size.height >= LARGE_HEIGHT_PX;
  return picture(size, { name: "Photo", alt: message.caption ?? "Photo", large });
}

function animation(item) {
  if ((item.mime_type ?? "").startsWith("image/")) return picture(item, { name: "Animation", alt: "Animation" });
  return player(item, "Animation", calm() ? { controls: true } : { autoplay: true, loop: true });
}

function video(item) {
  return player(item, "Video", { controls: true });
}

function picture(item, { name, alt, large = false }) {
  const image = el("img", { class: large ? "media large" : "media", alt, loading: "lazy", decoding: "async", "data-testid": "photo", ...box(item) });
  image.addEventListener("error", () => image.replaceWith(placeholder(item, name)), { once: true });
  image.src = fileUrl(item.file_id);
  return image;
}

function player(item, name, behaviour) {
  const node = el("video", { class: "media", playsinline: true, preload: "metadata", "aria-label": name, ...box(item), ...behaviour });
  node.muted = true;
  node.addEventListener("error", () => node.replaceWith(placeholder(item, name)), { once: true });
  node.src = fileUrl(item.file_id);
  return node;
}

function file(item) {
  const name = item.file_name ?? "Document";
  return el(
    "a",
    { class: "file", href: fileUrl(item.file_id), download: name, "data-testid": "document" },
    icon("file"),
    el("span", { class: "file-name" }, el("bdi", {}, name), el("small", {}, fileSize(item.file_size))),
  );
}

/** Stands where a file cannot be shown. */
function placeholder(item, name) {
  return el(
    "div",
    { class: "file missing", "data-testid": "media-missing" },
    icon("file"),
    el("span", { class: "file-name" }, el("bdi", {}, item.file_name ?? name), el("small", {}, "Not available here")),
  );
}

function box({ width, height }) {
  return width > 0 && height > 0 ? { width, height } : {};
}

function fileSize(bytes) {
  if (!(bytes >= 0)) return "";
  const units = ["B", "kB", "MB", "GB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const amount = bytes / 1000 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power]}`;
}
