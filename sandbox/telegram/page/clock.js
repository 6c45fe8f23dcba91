// Times as people read them, in the reader's own zone.

const hourMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });

/** Unix seconds or an ISO time as a Date; null for anything else. */
export function toDate(value) {
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

export function clockTime(date) {
  return hourMinute.format(date);
}

export function dayKey(date) {
  return date.toDateString();
}

export function dayLabel(date) {
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (dayKey(date) === dayKey(new Date())) return "Today";
  if (dayKey(date) === dayKey(yesterday)) return "Yesterday";
  return longDay.format(date);
}

export function shortTime(date) {
  return dayKey(date) === dayKey(new Date()) ? hourMinute.format(date) : dayMonth.format(date);
}
