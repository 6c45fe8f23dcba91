// The sandbox's page API, one function per request.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks the page API; ApiError with the sandbox's own words when it refuses. */
export async function request(method, path, { body, signal } = {}) {
  const options = { method, signal, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(`/sandbox/api${path}`, options);
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const answer = isJson ? await response.json() : null;
  if (!response.ok) {
    const reason = answer?.description ?? answer?.error ?? answer?.detail;
    throw new ApiError(response.status, typeof reason === "string" ? reason : `the server answered ${response.status}`);
  }
  return answer;
}

export const users = () => request("GET", "/users");
export const createUser = (name) => request("POST", "/users", { body: { name } });
export const groups = () => request("GET", "/groups");
export const createGroup = (group) => request("POST", "/groups", { body: group });

/** Where a person writes: their chat with the bot, or a group. */
export const placeOf = (userId, groupId = null) => (groupId === null ? `/users/${userId}` : `/users/${userId}/groups/${groupId}`);
export const chat = (place, signal) => request("GET", `${place}/chat`, { signal });
export const sendText = (place, message) => request("POST", `${place}/messages`, { body: message });
export const editText = (place, messageId, text) => request("PUT", `${place}/messages/${messageId}`, { body: { text } });
export const openTopic = (place, name) => request("POST", `${place}/topics`, { body: { name } });
export const setBlocked = (userId, blocked) => request("POST", `/users/${userId}/block`, { body: { blocked } });
export const stats = () => request("GET", "/stats");

/** The bot's answer to a tap: `{text, show_alert, url}`; ApiError 504 when the bot gave none within 10 s. */
export const tap = (place, messageId, data) => request("POST", `${place}/taps`, { body: { message_id: messageId, data } });

export const eventsUrl = (place) => `/sandbox/api${place}/events`;
export const fileUrl = (fileId) => `/sandbox/api/files/${encodeURIComponent(fileId)}`;
