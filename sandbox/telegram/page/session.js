// One chat, live: the stored messages plus the event stream, kept whole over lost connections.

import * as api from "./api.js";

const EVENT_NAMES = ["message", "edit", "delete", "action", "commands", "stars"];
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8000;

export class ChatSession {
  /**
   * `sink`: `snapshot(chat)` after each (re)connection, `event(name, data)` for what happens after it,
   * `state("connecting" | "live" | "reconnecting")`, `gone()` when the person does not exist.
   */
  constructor(place, sink) {
    this.place = place;
    this.sink = sink;
    this.closed = new AbortController();
    this.retryMs = RETRY_FIRST_MS;
    this.connection = 0;
    this.waiting = null;
    sink.state("connecting");
    this.#connect();
  }

  close() {
    this.closed.abort();
    this.source?.close();
    clearTimeout(this.timer);
  }

  #connect() {
    this.source = new EventSource(api.eventsUrl(this.place));
    this.source.addEventListener("open", () => this.#opened());
    this.source.addEventListener("error", () => this.#lost());
    for (const name of EVENT_NAMES) {
      this.source.addEventListener(name, (event) => this.#received(name, event.data));
    }
  }

  /** The snapshot is asked for after the stream is open, so nothing can fall between the two. */
  async #opened() {
    const connection = ++this.connection;
    this.waiting = [];
    let chat;
    try {
      chat = await api.chat(this.place, this.closed.signal);
    } catch (error) {
      if (connection === this.connection) this.#refused(error);
      return;
    }
    if (connection !== this.connection) return;
    this.sink.snapshot(chat);
    for (const [name, data] of this.waiting) this.sink.event(name, data);
    this.waiting = null;
    this.retryMs = RETRY_FIRST_MS;
    this.sink.state("live");
  }

  /** An EventSource does not tell why it failed: asking for the chat does. */
  async #lost() {
    const connection = this.#disconnect();
    try {
      await api.chat(this.place, this.closed.signal);
    } catch (error) {
      if (connection === this.connection) this.#refused(error);
      return;
    }
    if (connection === this.connection) this.#retry();
  }

  #refused(error) {
    if (this.closed.signal.aborted) return;
    if (error instanceof api.ApiError && error.status === 404) this.sink.gone();
    else this.#retry();
  }

  /** What is still under way belongs to the lost connection: its number is no longer the present one. */
  #disconnect() {
    this.source.close();
    this.connection += 1;
    if (!this.closed.signal.aborted) this.sink.state("reconnecting");
    return this.connection;
  }

  /** The browser's own retry gives up on an HTTP error, so every retry is ours. */
  #retry() {
    if (this.closed.signal.aborted) return;
    this.#disconnect();
    this.timer = setTimeout(() => this.#connect(), this.retryMs * (0.75 + Math.random() / 2));
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  #received(name, text) {
    const data = JSON.parse(text);
    if (this.waiting === null) this.sink.event(name, data);
    else this.waiting.push([name, data]);
  }
}
