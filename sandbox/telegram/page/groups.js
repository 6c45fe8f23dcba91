// Groups: their list, the form that makes one, and as whom and in which topic somebody writes there.

import * as api from "./api.js";
import { el } from "./dom.js";
import { poll } from "./poll.js";

const REFRESH_MS = 2000;
const NEW_TOPIC = "new";

export class Groups {
  /**
   * `parts`: list, form, title, topics, owner, bar, as, topic. `listeners`: `people()`, `me()`, `go(userId, groupId)`,
   * `failed(error)`.
   */
  constructor(parts, listeners) {
    this.parts = parts;
    this.listeners = listeners;
    this.all = new Map();
    this.current = null;
    this.anonymous = false;
    this.threadId = null;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make().catch(listeners.failed);
    });
    parts.as.addEventListener("change", () => this.#choosePerson());
    parts.topic.addEventListener("change", () => this.#chooseTopic().catch(listeners.failed));
  }

  start() {
    return poll(REFRESH_MS, () => this.refresh());
  }

  async refresh() {
    const groups = await api.groups();
    this.all = new Map(groups.map((group) => [group.id, group]));
    this.#showList();
    this.#showBar();
  }

  get(groupId) {
    return this.all.get(groupId);
  }

  /** From now on it is written to this group (`null`: to none). */
  select(groupId) {
    if (groupId !== this.current) {
      this.threadId = null;
      this.anonymous = false;
    }
    this.current = groupId;
    this.#showList();
    this.#showBar();
  }

  /** What goes with every message that is written now. */
  get written() {
    if (this.current === null) return {};
    return { anonymous: this.anonymous, ...(this.threadId === null ? {} : { thread_id: this.threadId }) };
  }

  /** Who wrote a message, and in which topic. */
  author(message) {
    const group = this.get(message.chat?.id);
    const topic = group?.topics.find(({ id }) => id === message.message_thread_id);
    const name = message.sender_chat ? `${message.sender_chat.title} (anonymous admin)` : message.from?.first_name;
    return topic ? `${name} · ${topic.name}` : name;
  }

  async #make() {
    const title = this.parts.title.value.trim();
    const owner = this.#owner();
    if (title === "" || owner === undefined) return;
    const group = await api.createGroup({ title, owner: owner.id, topics: this.parts.topics.checked });
    this.parts.title.value = "";
    await this.refresh();
    this.listeners.go(owner.id, group.id);
  }

  /** Whose the next new group will be. */
  #owner() {
    const people = this.listeners.people();
    return people.find(({ id }) => id === this.listeners.me()) ?? people[0];
  }

  #choosePerson() {
    const [userId, anonymous] = this.parts.as.value.split(":");
    this.anonymous = anonymous === "anonymous";
    this.listeners.go(Number(userId), this.current);
  }

  async #chooseTopic() {
    const { value } = this.parts.topic;
    if (value !== NEW_TOPIC) {
      this.threadId = value === "" ? null : Number(value);
      return;
    }
    const name = prompt("Name of the new topic")?.trim();
    if (name) {
      const group = await api.openTopic(api.placeOf(this.listeners.me(), this.current), name.slice(0, 64));
      this.threadId = group.topics.at(-1).id;
    }
    await this.refresh();
  }

  #showList() {
    const me = this.listeners.me();
    const owner = this.#owner();
    this.parts.owner.textContent = owner ? `New group of ${owner.name}` : "New group";
    const rows = [...this.all.values()].map((group) => {
      const href = `#user=${group.members.includes(me) ? me : group.owner}&group=${group.id}`;
      const current = group.id === this.current ? "page" : null;
      const anchor = el(
        "a",
        { class: "person", href, "aria-current": current, "data-testid": "group", "data-group-id": group.id },
        el("span", { class: "avatar group", "aria-hidden": "true" }, "#"),
        el("span", { class: "person-line" }, el("bdi", { class: "person-name" }, group.title)),
        el("span", { class: "person-line" }, el("bdi", { class: "person-last" }, (group.last_text ?? "No messages yet").slice(0, 160))),
      );
      return el("li", {}, anchor);
    });
    const shown = JSON.stringify([...this.all.values(), this.current, me]);
    if (shown !== this.shown) this.parts.list.replaceChildren(...rows);
    this.shown = shown;
  }

  #showBar() {
    const { bar, as, topic } = this.parts;
    const group = this.get(this.current);
    bar.hidden = group === undefined;
    if (group === undefined) return;
    const me = this.listeners.me();
    const people = this.listeners.people().flatMap(({ id, name }) => [
      [`${id}`, name],
      ...(id === group.owner ? [[`${id}:anonymous`, `${name}, anonymously`]] : []),
    ]);
    fill(as, people, this.anonymous && me === group.owner ? `${me}:anonymous` : `${me}`);
    topic.closest("label").hidden = !group.is_forum;
    const topics = group.topics.map(({ id, name }) => [`${id}`, name]);
    fill(topic, [["", "General"], ...topics, [NEW_TOPIC, "New topic…"]], this.threadId === null ? "" : `${this.threadId}`);
  }
}

function fill(select, options, value) {
  if (document.activeElement !== select || select.options.length !== options.length) {
    select.replaceChildren(...options.map(([key, text]) => el("option", { value: key }, text)));
  }
  select.value = value;
}
