// The list of people of the sandbox and the form that makes a new one.

import * as api from "./api.js";
import { shortTime, toDate } from "./clock.js";
import { el, initial } from "./dom.js";
import { poll } from "./poll.js";

const REFRESH_MS = 2000;
const HUES = 6;

export class People {
  /** `parts`: list, form, name. `listeners`: `changed(people)`, `made(user)`, `failed(error)`. */
  constructor(parts, listeners) {
    this.parts = parts;
    this.listeners = listeners;
    this.users = new Map();
    this.rows = new Map();
    this.seen = new Map();
    this.currentId = null;
    this.bot = null;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
  }

  /** Reads the list now and then every few seconds; resolves after the first reading. */
  start() {
    return poll(REFRESH_MS, () => this.refresh());
  }

  async refresh() {
    const answer = await api.users();
    this.bot = answer.bot;
    this.users = new Map(answer.users.map((user) => [user.id, user]));
    this.#show();
    this.listeners.changed(this);
  }

  get(userId) {
    return this.users.get(userId);
  }

  select(userId) {
    this.currentId = userId;
    this.#show();
  }

  async #make() {
    const name = this.parts.name.value.trim();
    if (name === "") return;
    try {
      const user = await api.createUser(name);
      this.parts.name.value = "";
      await this.refresh();
      this.listeners.made(user);
    } catch (error) {
      this.listeners.failed(error);
    }
  }

  #show() {
    for (const [id, row] of this.rows) {
      if (this.users.has(id)) continue;
      row.item.remove();
      this.rows.delete(id);
    }
    for (const user of this.users.values()) {
      if (!this.rows.has(user.id)) this.#addRow(user);
      this.#fillRow(this.rows.get(user.id), user);
    }
  }

  #addRow(user) {
    const name = el("bdi", { class: "person-name" });
    const last = el("bdi", { class: "person-last", "data-testid": "user-last" });
    const time = el("time", { class: "person-time" });
    const dot = el("span", { class: "person-dot", role: "img", "aria-label": "new messages" });
    const avatar = el("span", { class: "avatar", "data-hue": user.id % HUES, "aria-hidden": "true" }, initial(user.name));
    const anchor = el(
      "a",
      { class: "person", href: `#user=${user.id}`, "data-testid": "user", "data-user-id": user.id },
      avatar,
      el("span", { class: "person-line" }, name, time),
      el("span", { class: "person-line" }, last, dot),
    );
    const item = el("li", {}, anchor);
    this.parts.list.append(item);
    this.rows.set(user.id, { item, anchor, name, last, time, dot });
  }

  #fillRow(row, user) {
    const at = toDate(user.last_at);
    const stamp = at?.getTime() ?? 0;
    const current = user.id === this.currentId;
    if (current || !this.seen.has(user.id)) this.seen.set(user.id, stamp);
    put(row.name, user.name);
    put(row.last, user.blocked ? "Has blocked the bot" : (user.last_text ?? "No messages yet").slice(0, 160));
    put(row.time, at ? shortTime(at) : "");
    row.dot.hidden = stamp <= this.seen.get(user.id);
    row.anchor.toggleAttribute("data-blocked", user.blocked);
    if (current) row.anchor.setAttribute("aria-current", "page");
    else row.anchor.removeAttribute("aria-current");
  }
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
