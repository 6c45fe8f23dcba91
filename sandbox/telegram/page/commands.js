// The menu of the bot's commands over the composer: opened by the button, or by typing "/".

import { el } from "./dom.js";

export class CommandMenu {
  /** `parts`: menu, list, button, input. `choose(text)` is called with "/command". */
  constructor(parts, choose) {
    this.parts = parts;
    this.choose = choose;
    this.commands = [];
    this.shown = [];
    this.active = -1;
    parts.button.addEventListener("click", () => this.#toggle());
    parts.button.addEventListener("keydown", (event) => this.handleKey(event));
    document.addEventListener("pointerdown", (event) => {
      const inside = [parts.menu, parts.button, parts.input].some((node) => node.contains(event.target));
      if (!inside) this.close();
    });
    this.close();
  }

  get isOpen() {
    return !this.parts.menu.hidden;
  }

  setCommands(commands) {
    this.commands = Array.isArray(commands) ? commands : [];
    this.parts.button.hidden = this.commands.length === 0;
    if (this.isOpen) this.#open("");
  }

  /** Follows what is being typed: a single word that starts with "/" opens the menu, anything else closes it. */
  typed(text) {
    const match = /^\/(\w*)$/.exec(text);
    if (match) this.#open(match[1]);
    else this.close();
  }

  close() {
    this.parts.menu.hidden = true;
    this.shown = [];
    this.#activate(-1);
    this.parts.button.setAttribute("aria-expanded", "false");
  }

  /** True when the key was the menu's business. */
  handleKey(event) {
    if (!this.isOpen || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) this.#activate((this.active + step + this.shown.length) % this.shown.length);
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" && event.target === this.parts.input) this.#complete();
    else if (event.key === "Enter" && !event.shiftKey && this.active >= 0) this.#pick(this.shown[this.active]);
    else return false;
    event.preventDefault();
    return true;
  }

  #toggle() {
    if (this.isOpen) this.close();
    else this.#open("");
  }

  #open(prefix) {
    const wanted = prefix.toLowerCase();
    this.shown = this.commands.filter(({ command }) => command.startsWith(wanted));
    if (this.shown.length === 0) {
      this.close();
      return;
    }
    this.parts.list.replaceChildren(...this.shown.map((item, index) => this.#option(item, index)));
    this.parts.menu.hidden = false;
    this.parts.button.setAttribute("aria-expanded", "true");
    this.#activate(0);
  }

  #option(item, index) {
    return el(
      "li",
      {
        class: "command-option",
        id: `command-${index}`,
        role: "option",
        "data-testid": "command",
        "data-command": item.command,
        onclick: () => this.#pick(item),
        onpointermove: () => this.#activate(index),
      },
      el("span", { class: "command-name" }, `/${item.command}`),
      el("bdi", { class: "command-description" }, item.description),
    );
  }

  #activate(index) {
    this.active = index;
    const options = [...this.parts.list.children];
    options.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    for (const owner of [this.parts.input, this.parts.button]) {
      if (index >= 0) owner.setAttribute("aria-activedescendant", `command-${index}`);
      else owner.removeAttribute("aria-activedescendant");
    }
    if (index >= 0) options[index].scrollIntoView({ block: "nearest" });
  }

  #complete() {
    this.parts.input.value = `/${this.shown[Math.max(0, this.active)].command} `;
    this.parts.input.dispatchEvent(new Event("input"));
  }

  #pick({ command }) {
    this.close();
    this.choose(`/${command}`);
  }
}
