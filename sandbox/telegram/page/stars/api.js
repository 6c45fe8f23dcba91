// What the page asks the sandbox about Stars.

import { request } from "../api.js";

const path = (userId) => `/users/${userId}/stars`;

/** `{balance, subscriptions, payments}` of a person. */
export const wallet = (userId) => request("GET", path(userId));

/** `place`: `{chat_id, message_id}` or `{link}`. */
export const invoice = (userId, place) => request("POST", `${path(userId)}/invoice`, { body: place });

export const topUp = (userId, amount) => request("POST", `${path(userId)}/top-ups`, { body: { amount } });

/** `{status, error, message, charge_id}`, as soon as the bot has answered or ten seconds have passed. */
export const pay = (userId, place, fault) =>
  request("POST", `${path(userId)}/payments`, { body: fault ? { ...place, fault } : place });

/** `change`: "cancel", "resume", or "renew" for letting the period be over now. */
export const changeSubscription = (userId, chargeId, change) =>
  request("POST", `${path(userId)}/subscriptions/${encodeURIComponent(chargeId)}`, { body: { change } });
