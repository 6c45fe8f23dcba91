// The list of messages: order, days, what is shown of a long chat, and where the reader stands in it.

import { dayKey, dayLabel, toDate } from "./clock.js";
import { calm, el } from "./dom.js";
import { fillMessage, messageNode } from "./message.js";

const PAGE_SIZE = 150;
const SHOWN_MAX = 600;
const BOTTOM_SLACK_PX = 48;
const SAME_BREATH_S = 180;
const HELD_MS = 30_000;
const ANSWERED_MS = 1_500;
const HELD_GAP_PX = 4;

export class Conversation {
  /** `parts`: scroller, list, earlier, pill, pillText. `actions` go to the messages. */
  constructor(parts, actions) {
    this.parts = parts;
    this.actions = { ...actions, jump: (messageId) => this.jump(messageId) };
    this.messages = new Map();
    this.nodes = new Map();
    this.order = [];
    this.pinned = true;
    this.unread = 0;
    /** `{ id, at }` of the message whose button was pressed last. */
    this.tapped = null;
    parts.list.addEventListener("click", (event) => this.#pressed(event.target));
    parts.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    parts.pill.addEventListener("click", () => this.toBottom({ smooth: true }));
    parts.earlier.addEventListener("click", () => this.#showEarlier());
    // Pictures that load late and an on-screen keyboard change the height: whoever reads the end stays there.
    const observer = new ResizeObserver(() => this.pinned && this.#toEnd());
    observer.observe(parts.scroller);
    observer.observe(parts.list);
  }

  get isEmpty() {
    return this.order.length === 0;
  }

  /** Replaces everything by `messages`; `keepPlace` leaves a reader who had scrolled up where they were. */
  load(messages, { keepPlace = false } = {}) {
    const fromEnd = this.#distanceToEnd();
    const stay = keepPlace && !this.pinned;
    this.messages = new Map(messages.map((message) => [message.message_id, message]));
    this.order = [...this.messages.keys()].sort((a, b) => a - b);
    this.nodes.clear();
    const shown = this.order.slice(-PAGE_SIZE);
    this.parts.list.replaceChildren(...shown.map((id) => this.#makeNode(id)));
    this.#decorateAll(shown);
    this.#showRest();
    if (stay) this.parts.scroller.scrollTop = this.parts.scroller.scrollHeight - fromEnd;
    else this.toBottom();
  }

  /** Adds a message, or puts a newer version in the place of the one that is there. */
  upsert(message, { edited = false } = {}) {
    const id = message.message_id;
    const known = this.messages.has(id);
    this.messages.set(id, message);
    if (known) {
      this.#refresh(id, message, edited);
      return;
    }
    const last = this.order.at(-1);
    this.order.push(id);
    if (last !== undefined && id < last) {
      this.order.sort((a, b) => a - b);
      this.load([...this.messages.values()], { keepPlace: true });
      return;
    }
    const node = this.#makeNode(id);
    node.classList.add("arriving");
    this.parts.list.append(node);
    this.#decorate(id, last);
    this.#arrived(message);
  }

  /** Draws the shown messages that fit again, because what they depend on has changed. */
  redraw(where) {
    for (const [id, node] of this.nodes) {
      const message = this.messages.get(id);
      if (where(message)) fillMessage(node, message, this.actions);
    }
  }

  remove(id) {
    if (!this.messages.delete(id)) return;
    const index = this.order.indexOf(id);
    this.order.splice(index, 1);
    this.nodes.get(id)?.remove();
    this.nodes.delete(id);
    if (this.nodes.has(this.order[index])) this.#decorate(this.order[index], this.order[index - 1]);
  }

  toBottom({ smooth = false } = {}) {
    this.tapped = null;
    this.#toEnd({ smooth });
  }

  #toEnd({ smooth = false } = {}) {
    const { scroller } = this.parts;
    this.pinned = true;
    this.#setUnread(0);
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: smooth && !calm() ? "smooth" : "instant" });
  }

  jump(id) {
    const node = this.nodes.get(id);
    if (!node) return;
    node.scrollIntoView({ block: "center", behavior: calm() ? "instant" : "smooth" });
    flash(node);
  }

  #makeNode(id) {
    const node = messageNode(this.messages.get(id), this.actions);
    this.nodes.set(id, node);
    return node;
  }

  #refresh(id, message, edited) {
    const node = this.nodes.get(id);
    if (!node) return;
    fillMessage(node, message, this.actions);
    if (edited) flash(node);
  }

  #arrived(message) {
    const own = message.from?.is_bot === false;
    if (own) this.tapped = null;
    if (this.pinned && this.#isHeld()) this.#followHeld();
    if (own || this.pinned) {
      this.#trim();
      this.#toEnd();
    } else {
      this.#setUnread(this.unread + 1);
    }
  }

  #pressed(target) {
    const id = target.closest(".key")?.closest(".message")?.dataset.messageId;
    if (id !== undefined) this.tapped = { id: Number(id), at: performance.now() };
  }

  /** Whoever has pressed a button reads what came of it: what arrives meanwhile takes it from nobody. */
  #isHeld() {
    return this.tapped !== null && performance.now() - this.tapped.at < HELD_MS;
  }

  /** Stays, but for what comes at once, which may be the answer: it is shown as far as the buttons stay in view. */
  #followHeld() {
    const { scroller } = this.parts;
    if (performance.now() - this.tapped.at < ANSWERED_MS) {
      const keys = this.nodes.get(this.tapped.id)?.querySelector(".keyboard");
      const room = keys ? keys.getBoundingClientRect().top - scroller.getBoundingClientRect().top - HELD_GAP_PX : Infinity;
      scroller.scrollTop += Math.max(0, Math.min(room, this.#distanceToEnd() - scroller.clientHeight));
    }
    this.pinned = this.#isAtEnd();
  }

  /** A chat that runs for days stays light: the oldest nodes go while nobody looks at them. */
  #trim() {
    if (this.nodes.size <= SHOWN_MAX) return;
    const shown = new Set(this.order.slice(-PAGE_SIZE));
    for (const [id, node] of this.nodes) {
      if (shown.has(id)) continue;
      node.remove();
      this.nodes.delete(id);
    }
    this.#showRest();
  }

  #showEarlier() {
    const fromEnd = this.#distanceToEnd();
    const hidden = this.order.length - this.nodes.size;
    const earlier = this.order.slice(Math.max(0, hidden - PAGE_SIZE), hidden);
    this.parts.list.prepend(...earlier.map((id) => this.#makeNode(id)));
    this.#decorateAll(this.order.slice(Math.max(0, hidden - PAGE_SIZE), hidden + 1));
    this.#showRest();
    this.parts.scroller.scrollTop = this.parts.scroller.scrollHeight - fromEnd;
  }

  #showRest() {
    this.parts.earlier.hidden = this.nodes.size >= this.order.length;
  }

  #decorateAll(ids) {
    let previous;
    for (const id of ids) {
      this.#decorate(id, previous);
      previous = id;
    }
  }

  /** A day above the first message of a day; messages said in one breath stand close together. */
  #decorate(id, previousId) {
    const node = this.nodes.get(id);
    const message = this.messages.get(id);
    const previous = this.messages.get(previousId);
    const date = toDate(message.date);
    const previousDate = previous ? toDate(previous.date) : null;
    const newDay = date !== null && (previousDate === null || dayKey(date) !== dayKey(previousDate));
    node.querySelector(".day")?.remove();
    if (newDay) node.prepend(el("p", { class: "day" }, dayLabel(date)));
    const sameSide = previous !== undefined && previous.from?.is_bot === message.from?.is_bot;
    node.classList.toggle("follows", sameSide && !newDay && message.date - previous.date < SAME_BREATH_S);
  }

  #distanceToEnd() {
    return this.parts.scroller.scrollHeight - this.parts.scroller.scrollTop;
  }

  #scrolled() {
    const wasPinned = this.pinned;
    this.pinned = this.#isAtEnd();
    if (this.pinned && !wasPinned) this.tapped = null;
    if (this.pinned) this.#setUnread(0);
    else this.#showPill();
  }

  #isAtEnd() {
    return this.#distanceToEnd() - this.parts.scroller.clientHeight < BOTTOM_SLACK_PX;
  }

  #setUnread(count) {
    this.unread = count;
    this.#showPill();
  }

  #showPill() {
    const { pill, pillText } = this.parts;
    pill.hidden = this.pinned;
    pillText.textContent = this.unread > 0 ? `${this.unread} new` : "";
    pill.setAttribute("aria-label", this.unread > 0 ? `${this.unread} new, go to the end` : "Go to the end");
  }
}

function flash(node) {
  node.classList.remove("flash");
  void node.offsetWidth; // restarts the animation when two edits follow one another
  node.classList.add("flash");
}
