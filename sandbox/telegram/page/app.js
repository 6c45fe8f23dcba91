// Puts the parts of the page together: who is chosen, what is shown, where the events go.

import * as api from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { Groups } from "./groups.js";
import { telegramLink } from "./links.js";
import { el, initial } from "./dom.js";
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

const groups = new Groups(
  {
    list: by("group-list"),
    form: by("new-group"),
    title: by("new-group-title"),
    topics: by("new-group-topics"),
    bar: by("group-bar"),
    owner: by("new-group-owner"),
    as: by("group-as"),
    topic: by("group-topic"),
  },
  {
    people: () => [...people.users.values()],
    me: () => chosen?.userId ?? lookedAt(),
    go: (userId, groupId) => { location.hash = `#user=${userId}&group=${groupId}`; },
    failed: (error) => notices.problem(error),
  },
);

const conversation = new Conversation(
  { scroller: by("scroller"), list: by("messages"), earlier: by("earlier"), pill: by("pill"), pillText: by("pill-text") },
  {
    ...stars.actions,
    tap,
    copy,
    command: (text) => composer.submit(text),
    edit: (message) => composer.edit(message),
    author: (message) => groups.author(message),
    isOwn,
    follow,
    unsupported: () => notices.toast("This button works only in Telegram itself."),
  },
);

const composer = new Composer(
  { form: by("composer"), input: by("text"), menu: by("commands"), list: by("command-list"), button: by("command-button"), editStrip: by("edit-strip"), editCancel: by("edit-cancel") },
  { send, change, failed: (error) => notices.problem(error) },
);

const stats = new Stats(by("stats-body"));

/** Who writes where: `{ userId, groupId, start }`, with what a link has the Start button say. */
let chosen = null;
let session = null;
/** As whom somebody looked last: that is who they are where nobody is picked, as in a phone's list. */
const LOOKED_AT = "person";
let loaded = false;
let typingTimer = 0;

function lookedAt() {
  const userId = Number(sessionStorage.getItem(LOOKED_AT));
  return people.users.has(userId) ? userId : null;
}

async function send(place, text) {
  const message = await api.sendText(place, { text, ...groups.written });
  if (session?.place === place && loaded && !conversation.messages.has(message.message_id)) conversation.upsert(message);
  showPerson();
}

async function change(place, messageId, text) {
  const message = await api.editText(place, messageId, text);
  if (session?.place === place && loaded) conversation.upsert(message);
}

function isOwn(message) {
  if (chosen?.groupId == null) return message.from?.is_bot === false;
  if (message.sender_chat) return groups.get(chosen.groupId)?.owner === chosen.userId;
  return message.from?.id === chosen.userId;
}

/** Opens a link into Telegram here; false if it leads elsewhere. */
function follow(raw) {
  const found = telegramLink(raw, people.bot?.username);
  if (found === null || chosen === null) return false;
  if (found.share !== undefined) offerShare(found.share);
  else location.hash = found.start === null ? `#user=${chosen.userId}` : `#user=${chosen.userId}&start=${found.start}`;
  return true;
}

/** Sending a link to somebody: here they open it at once, as nobody but the bot can be written to. */
async function offerShare(address) {
  try {
    await people.refresh(); // somebody may have been added in another tab a moment ago
  } catch (error) {
    notices.problem(error);
  }
  const others = [...people.users.values()].filter(({ id }) => id !== chosen.userId);
  const choices = others.map((user) => {
    const open = () => openShared(address, user);
    return el("button", { type: "button", class: "chip", "data-testid": "share-person", onclick: open }, user.name);
  });
  by("share-people").replaceChildren(...choices);
  by("share-new").onsubmit = (event) => {
    event.preventDefault();
    openSharedAsNew(address, by("share-new-name").value.trim());
  };
  by("share-link").textContent = address;
  by("share").showModal();
}

function openShared(address, user) {
  const found = telegramLink(address, people.bot?.username);
  by("share").close();
  location.hash = found?.start ? `#user=${user.id}&start=${found.start}` : `#user=${user.id}`;
}

async function openSharedAsNew(address, name) {
  if (name === "") return;
  by("share-new-name").value = ""; // a second tap adds nobody
  try {
    const user = await api.createUser(name);
    await people.refresh();
    openShared(address, user);
  } catch (error) {
    notices.problem(error);
  }
}

async function tap(message, data) {
  const { place } = session;
  try {
    const answer = (await api.tap(place, message.message_id, data)) ?? {};
    if (session?.place !== place) return;
    if (answer.url && follow(answer.url)) return;
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
    await api.setBlocked(chosen.userId, blocked);
    await people.refresh();
  } catch (error) {
    notices.problem(error);
  }
}

const sink = {
  snapshot({ messages, commands, stars: wallet }) {
    if (wallet) stars.update(wallet);
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

function openChat({ userId, groupId, start }) {
  closeChat();
  chosen = { userId, groupId, start };
  sessionStorage.setItem(LOOKED_AT, userId);
  const place = api.placeOf(userId, groupId);
  app.dataset.view = "chat";
  by("scroller").setAttribute("aria-busy", "true");
  people.select(groupId === null ? userId : null);
  groups.select(groupId);
  by("connection").dataset.userId = groupId === null ? userId : `${userId}&group=${groupId}`;
  composer.reset(place);
  stars.reset(userId);
  wallets.reset();
  session = new ChatSession(place, sink);
  showPerson();
  composer.focus();
}

function closeChat() {
  session?.close();
  session = null;
  chosen = null;
  loaded = false;
  showAction(null);
  conversation.load([]);
  composer.reset(null);
  stars.reset(null);
  wallets.reset();
  composer.menu.setCommands([]);
  people.select(null);
  groups.select(null);
  sink.state("idle");
  app.dataset.view = "people";
}

/** Everything that depends on who is chosen and on the state of the chat. */
function showPerson() {
  for (const node of document.querySelectorAll("[data-bot-name]")) node.textContent = people.bot?.name ?? "the bot";
  for (const id of ["bot-avatar", "welcome-avatar"]) by(id).textContent = initial(people.bot?.name);
  const user = chosen ? people.get(chosen.userId) : undefined;
  const group = chosen ? groups.get(chosen.groupId) : undefined;
  if (group) by("chat-title").textContent = group.title;
  const blocked = !group && (user?.blocked ?? false);
  const fresh = !group && loaded && (conversation.isEmpty || chosen?.start != null);
  document.title = user ? `${user.name} · Telegram sandbox` : "Telegram sandbox";
  if (!by("chat-note").hasAttribute("data-action")) by("chat-note").textContent = user ? `You are ${user.name}` : "";
  by("welcome").hidden = !(loaded && !group && conversation.isEmpty);
  by("stars").hidden = chosen?.groupId != null; // Stars are a person's own, and their wallet is in their chat
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
    const user = chosen ? people.get(chosen.userId) : undefined;
    note.textContent = user ? `You are ${user.name}` : "";
  }
}

function route() {
  const match = /^#user=(\d+)(?:&group=(-\d+))?(?:&start=([A-Za-z0-9_-]{1,64}))?$/.exec(location.hash);
  if (match) openChat({ userId: Number(match[1]), groupId: match[2] ? Number(match[2]) : null, start: match[3] ?? null });
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
by("start").addEventListener("click", () => {
  composer.submit(chosen?.start == null ? "/start" : `/start ${chosen.start}`);
  if (chosen?.start == null) return;
  chosen.start = null;
  history.replaceState(null, "", `#user=${chosen.userId}`);
  showPerson();
});
by("share-close").addEventListener("click", () => by("share").close());
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
await Promise.all([people.start(), wallets.start(), groups.start()]);
route();
stats.start();
