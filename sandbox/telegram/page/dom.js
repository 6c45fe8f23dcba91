// Building DOM nodes. Text becomes text nodes, always: nothing on this page parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (`class`, `data-*`, `aria-*` and other attributes, `on<event>`) and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** One symbol of the sprite in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export function svgElement(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}

/** Makes a node that is no button act as one for mouse and keyboard. */
export function onActivate(node, action) {
  node.tabIndex = 0;
  node.addEventListener("click", action);
  node.addEventListener("keydown", (event) => {
    if (event.target !== node || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    action(event);
  });
}

/** What stands in a round avatar: the first letter or digit of a name, whatever surrounds it. */
export function initial(name) {
  const letter = /[\p{L}\p{N}]/u.exec(name ?? "");
  return letter ? letter[0].toLocaleUpperCase() : "?";
}

export function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
