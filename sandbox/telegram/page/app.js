// Puts the parts of the page together: who is chosen, what is shown, where the events go.

import * as api from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { initial } from "./dom.js";
import { Notices } from "./notices.js";
import { People } from "./people.js";
import { ChatSession } from "./session.js";
import { StarsPart } from "./stars/stars.js";
import { Stats } from "./stats.js";
import { WalletsPart } from "./wallets/wallets.js";

const TYPING_MS = 5000;
const CONNECTION_TEXTS = { idle: "", connecting: "Connecting…", live: "", reconnecting: "Reconnecting…" };
const ACTION_TEXTS = { typing: "typing…", upload_photo: "sending a photo…", upload_document: "sending a file…" };

const by = (id) => document.getElementById(id);
const wide = matchMedia("(min-width: 48rem)");
const roomy = matchMedia("(min-width: 74rem)");
const app = by("app");

const notices = new Notices({
  toasts: by("toasts"),
  dialog: by("dialog"),
  dialogText: by("dialog-text"),
  dialogLink: by("dialog-link"),
  dialogClose: by("dialog-close"),
});

const people = new People(
  { list: by("people-list"), form: by("new-user"), name: by("new-user-name") },
  {
    changed: () => showPerson(),
    made: (user) => { location.hash = `#user=${user.id}`; },
    failed: (error) => notices.problem(error),
  },
);

const stars = new StarsPart(by("stars"), {
  people: () => [...people.users.values()],
  notices,
  changed: () => conversation.redraw((message) => message.invoice || message.successful_payment || message.refunded_payment),
});

const wallets = new WalletsPart(
  {
    button: by("wallet"),
    strip: by("wallet-strip"),
    stripText: by("wallet-strip-text"),
    stripPay: by("wallet-strip-pay"),
    stripClose: by("wallet-strip-close"),
  },
  { notices },
);

const conversation = new Conversation(
  { scroller: by("scroller"), list: by("messages"), earlier: by("earlier"), pill: by("pill"), pillText: by("pill-text") },
  {
    ...stars.actions,
    tap,
    copy,
    command: (text) => composer.submit(text),
    unsupported: () => notices.toast("This button works only in Telegram itself."),
  },
);

const composer = new Composer(
  { form: by("composer"), input: by("text"), menu: by("commands"), list: by("command-list"), button: by("command-button") },
  { send, failed: (error) => notices.problem(error) },
);

const stats = new Stats(by("stats-body"));

let session = null;
let loaded = false;
let typingTimer = 0;

async function send(userId, text) {
  const message = await api.sendText(userId, text);
  if (session?.userId === userId && loaded && !conversation.messages.has(message.message_id)) conversation.upsert(message);
  showPerson();
}

async function tap(message, data) {
  const { userId } = session;
  try {
    const answer = (await api.tap(userId, message.message_id, data)) ?? {};
    if (session?.userId !== userId) return;
    if (answer.url) notices.offerLink(answer.url);
    else if (answer.text && answer.show_alert) notices.alert(answer.text);
    else if (answer.text) notices.toast(answer.text);
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 504) notices.toast("The bot did not answer the tap.");
    else notices.problem(error);
  }
}

async function copy(text, message) {
  await notices.copy(text);
  await wallets.copied(text, message);
}

async function setBlocked(blocked) {
  try {
    await api.setBlocked(session.userId, blocked);
    await people.refresh();
  } catch (error) {
    notices.problem(error);
  }
}

const sink = {
  snapshot({ messages, commands, stars: wallet }) {
    stars.update(wallet);
    conversation.load(messages, { keepPlace: loaded });
    composer.menu.setCommands(commands);
    loaded = true;
    by("scroller").setAttribute("aria-busy", "false");
    showPerson();
  },
  event(name, data) {
    if (name === "message" || name === "edit") {
      conversation.upsert(data, { edited: name === "edit" });
      showAction(null);
    } else if (name === "delete") conversation.remove(data.message_id);
    else if (name === "action") showAction(data.action ?? "typing");
    else if (name === "stars") stars.update(data);
    else if (name === "commands") composer.menu.setCommands(data.commands ?? data);
    showPerson();
  },
  state(state) {
    by("connection").dataset.state = state;
    by("connection").textContent = CONNECTION_TEXTS[state];
  },
  gone() {
    notices.toast("There is no such person here.");
    location.hash = "";
  },
};

function openChat(userId) {
  closeChat();
  app.dataset.view = "chat";
  by("scroller").setAttribute("aria-busy", "true");
  people.select(userId);
  by("connection").dataset.userId = userId;
  composer.reset(userId);
  stars.reset(userId);
  wallets.reset();
  session = new ChatSession(userId, sink);
  showPerson();
  composer.focus();
}

function closeChat() {
  session?.close();
  session = null;
  loaded = false;
  showAction(null);
  conversation.load([]);
  composer.reset(null);
  stars.reset(null);
  wallets.reset();
  composer.menu.setCommands([]);
  people.select(null);
  sink.state("idle");
  app.dataset.view = "people";
}

/** Everything that depends on who is chosen and on the state of the chat. */
function showPerson() {
  for (const node of document.querySelectorAll("[data-bot-name]")) node.textContent = people.bot?.name ?? "the bot";
  for (const id of ["bot-avatar", "welcome-avatar"]) by(id).textContent = initial(people.bot?.name);
  const user = session ? people.get(session.userId) : undefined;
  const blocked = user?.blocked ?? false;
  const fresh = loaded && conversation.isEmpty;
  document.title = user ? `${user.name} · Telegram sandbox` : "Telegram sandbox";
  if (!by("chat-note").hasAttribute("data-action")) by("chat-note").textContent = user ? `You are ${user.name}` : "";
  by("welcome").hidden = !fresh;
  by("unblock").hidden = !blocked;
  by("start").hidden = blocked || !fresh;
  by("composer").hidden = blocked || fresh;
  by("block").setAttribute("aria-pressed", String(blocked));
}

function showAction(action) {
  clearTimeout(typingTimer);
  const note = by("chat-note");
  note.toggleAttribute("data-action", action !== null);
  if (action !== null) {
    note.textContent = ACTION_TEXTS[action] ?? "busy…";
    typingTimer = setTimeout(() => showAction(null), TYPING_MS);
  } else {
    const user = session ? people.get(session.userId) : undefined;
    note.textContent = user ? `You are ${user.name}` : "";
  }
}

function route() {
  const match = /^#user=(-?\d+)$/.exec(location.hash);
  if (match) openChat(Number(match[1]));
  else if (wide.matches && people.users.size > 0) location.replace(`#user=${people.users.keys().next().value}`);
  else closeChat();
}

function showStats(open) {
  app.toggleAttribute("data-stats", open);
  by("stats-toggle").setAttribute("aria-expanded", String(open));
}

function closeStats() {
  showStats(false);
  by("stats-toggle").focus();
}

by("block").addEventListener("click", () => setBlocked(by("block").getAttribute("aria-pressed") !== "true"));
by("unblock").addEventListener("click", () => setBlocked(false));
by("start").addEventListener("click", () => composer.submit("/start"));
by("stats-toggle").addEventListener("click", () => {
  showStats(!app.hasAttribute("data-stats"));
  if (app.hasAttribute("data-stats") && !roomy.matches) by("stats").focus();
});
by("stats-close").addEventListener("click", closeStats);
app.addEventListener("click", (event) => event.target === app && closeStats()); // the veil beside the open panel
by("stats").addEventListener("keydown", (event) => event.key === "Escape" && closeStats());
roomy.addEventListener("change", () => showStats(roomy.matches));
addEventListener("hashchange", route);

showStats(roomy.matches);
await Promise.all([people.start(), wallets.start()]);
route();
stats.start();
