// Writing to the bot: the growing field, sending in order, and the command menu on top of it.

import { CommandMenu } from "./commands.js";

const FIELD_MAX_PX = 160;

export class Composer {
  /**
   * `parts`: form, input, menu, list, button, editStrip, editCancel. `send(place, text)` and `change(place, messageId, text)`
   * return promises that fail if nothing was sent.
   */
  constructor(parts, { send, change, failed }) {
    this.parts = parts;
    this.send = send;
    this.change = change;
    this.edited = null;
    this.failed = failed;
    this.place = null;
    this.queue = Promise.resolve();
    this.menu = new CommandMenu(parts, (command) => {
      this.#clear();
      this.submit(command);
    });
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submitField();
    });
    parts.editCancel.addEventListener("click", () => this.#clear());
    parts.input.addEventListener("input", () => this.#changed());
    parts.input.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Sends `text`; texts leave in the order in which they were written. */
  submit(text) {
    const { place } = this;
    this.queue = this.queue.then(() => this.send(place, text)).catch((error) => this.#restore(place, text, error));
    return this.queue;
  }

  /** Puts an own message into the field; what is sent next takes its place. */
  edit(message) {
    this.edited = message;
    this.parts.editStrip.hidden = false;
    this.parts.input.value = message.text;
    this.#changed();
    this.parts.input.focus();
  }

  focus() {
    // A focused field on a touch screen opens the keyboard over the messages: only where there is a real one.
    if (matchMedia("(hover: hover) and (pointer: fine)").matches) this.parts.input.focus();
  }

  /** From now on it is written to `place`; what is still leaving goes where it was written. */
  reset(place) {
    this.place = place;
    this.#clear();
  }

  #submitField() {
    const text = this.parts.input.value.trim();
    if (text === "") return;
    const { edited, place } = this;
    this.#clear();
    if (edited === null) this.submit(text);
    else this.change(place, edited.message_id, text).catch((error) => this.failed(error));
  }

  #restore(place, text, error) {
    if (place === this.place && this.parts.input.value === "") {
      this.parts.input.value = text;
      this.#changed();
    }
    this.failed(error);
  }

  #key(event) {
    if (this.menu.handleKey(event)) return;
    if (event.key === "Escape" && this.edited !== null) this.#clear();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submitField();
  }

  #clear() {
    this.edited = null;
    this.parts.editStrip.hidden = true;
    this.parts.input.value = "";
    this.#changed();
  }

  #changed() {
    const { input } = this.parts;
    this.menu.typed(input.value);
    input.style.height = "auto";
    const borders = input.offsetHeight - input.clientHeight;
    const wanted = input.scrollHeight + borders;
    input.style.height = `${Math.min(wanted, FIELD_MAX_PX)}px`;
    input.style.overflowY = wanted > FIELD_MAX_PX ? "auto" : "hidden";
  }
}
