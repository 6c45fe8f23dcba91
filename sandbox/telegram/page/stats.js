// The side panel: what the feed, the bot and the flood limits are doing, once a second.

import * as api from "./api.js";
import { el, svgElement } from "./dom.js";
import { poll } from "./poll.js";

const REFRESH_MS = 1000;
const HISTORY = 60;
const CHART = { width: 240, height: 40 };

const GROUPS = [
  {
    title: "Feed",
    rows: [
      { key: "calls_per_s", label: "Feed rate", show: perSecond("calls/s"), chart: true },
      { key: "calls", label: "Calls", show: count },
    ],
  },
  {
    title: "Delivery",
    rows: [
      { key: "messages_per_s", label: "Messages", show: perSecond("msg/s"), chart: true },
      { key: "alerts", label: "Alerts", show: count },
      { key: "messages", label: "Messages in all", show: count },
    ],
  },
  {
    title: "End to end",
    note: "From a call's post, or its frame, until its alert arrives in Telegram, seen from outside. What comes in a digest (quiet hours, beyond the alerts of an hour) is not timed. The ⚡ on a card is the bot's part of it: from the call reaching the bot until it gave the alert to Telegram. The p99 takes 100 alerts: of fewer it would be the slowest one.",
    rows: [
      { key: "latency_count", label: "Alerts timed", show: count },
      { key: "latency_p50_ms", label: "Half of them within (p50)", show: milliseconds },
      { key: "latency_p99_ms", label: "99 of 100 within (p99)", show: milliseconds },
    ],
  },
  {
    title: "Bot API",
    note: "Errors are requests that Telegram refused, such as an edit that changes nothing.",
    rows: [
      { key: "refusals_429", label: "Flood refusals", show: count, warn: true },
      { key: "errors", label: "Errors", show: count, warn: true },
      { key: "updates", label: "Updates", show: count },
    ],
  },
];

export class Stats {
  constructor(body) {
    this.body = body;
    this.rows = [];
    body.append(...GROUPS.map((group) => this.#group(group)));
  }

  start() {
    return poll(REFRESH_MS, () => this.#refresh(), () => this.body.classList.add("stale"));
  }

  async #refresh() {
    const figures = await api.stats();
    this.body.classList.remove("stale");
    for (const { row, value, history, line } of this.rows) {
      const figure = figures[row.key];
      const known = typeof figure === "number";
      value.textContent = known ? row.show(figure) : "–";
      if (row.warn) value.toggleAttribute("data-warn", known && figure > 0);
      if (line && known) {
        history.push(figure);
        if (history.length > HISTORY) history.shift();
        line.setAttribute("points", points(history));
      }
    }
  }

  #group({ title, note, rows }) {
    const list = el("dl");
    const section = el("section", { class: "figure-group" }, el("h3", {}, title), note ? el("p", { class: "figure-note" }, note) : null, list);
    for (const row of rows) {
      const value = el("dd", { "data-testid": `stat-${row.key}` }, "–");
      list.append(el("div", { class: "figure" }, el("dt", {}, row.label), value));
      const line = row.chart ? svgElement("polyline", { points: "" }) : null;
      if (line) list.before(chart(line));
      this.rows.push({ row, value, history: [], line });
    }
    return section;
  }
}

function chart(line) {
  const { width, height } = CHART;
  const svg = svgElement("svg", {
    class: "spark",
    viewBox: `0 0 ${width} ${height}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  svg.append(line);
  return svg;
}

/** The last minute, newest at the right edge, the highest value at the top. */
function points(history) {
  const { width, height } = CHART;
  const top = Math.max(...history, 1e-9);
  const step = width / (HISTORY - 1);
  const first = HISTORY - history.length;
  return history.map((value, index) => `${(first + index) * step},${height - 2 - (value / top) * (height - 4)}`).join(" ");
}

function count(value) {
  return Math.round(value).toLocaleString("en");
}

function perSecond(unit) {
  return (value) => `${value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 })} ${unit}`;
}

function milliseconds(value) {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
}
