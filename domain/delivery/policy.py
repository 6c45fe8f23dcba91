"""What happens to a message whose turn has come: it goes out, it waits for the digest, or it is withheld.

Of an alert, the first of these that applies decides; what of it counts for other kinds their `Rules` say:

1. The subscriber does not receive (expired, paused), everything is snoozed, or the token is muted: withheld for good.
2. Telegram does not let them be written to: held until they can be. What they have paid for is not gone.
3. The plan makes alerts due some time after the decision, and that time has not come: put aside until then.
4. It was due longer ago than `FRESH_FOR`: too late to be an alert, so it goes into a digest that is due at once. In
   quiet hours such a digest waits for their end, as any does. Without a delay it counts from the decision, not from the
   frame: somebody who let a call wait for a missing figure wanted it late, and it is news to them when it passes.
5. It is quiet: held until the quiet hours end, unless the call scores `pass_score` or more.
6. `alerts_per_hour`, those that they want or those that their plan includes, have gone out within the last 60 minutes:
   held until the wall clock's next full hour, or until the quiet hours end where that hour is quiet. The last third of
   the slots (rounded down) is kept for the best: once only those are left, a call must score above the median of all
   calls that came up in the last 60 minutes. So the first calls of an hour do not take the place of its best, and most
   slots never stay empty.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.lifetimes import FRESH_FOR
from domain.calls.score import MAX_SCORE
from domain.delivery.quiet import MINUTES_PER_DAY, is_quiet, next_full_hour, quiet_until
from domain.filters.lists import Unreadable
from domain.filters.numbers import Assumed, read_value
from domain.payments.plans import Plan
from domain.reading.typed import clip, plain
from domain.subscribers.subscriber import Preferences, QuietHours, Subscriber
from runtime.errors import UserFacingError

HoldReason = Literal["quiet", "cap", "kept", "stale", "unreachable"]
"""`cap`: the alerts of the hour are used up. `kept`: what is left of them is kept for better calls."""
WithholdReason = Literal["unknown", "banned", "expired", "paused", "snoozed", "muted", "unreachable", "stale"]

BEYOND_CAP: Final[frozenset[str]] = frozenset[HoldReason]({"cap", "kept"})
"""Held calls that come at the full hour."""

HOUR: Final = timedelta(hours=1)
NO_DELAY: Final = timedelta(0)
MIN_UNREACHABLE_WAIT: Final = timedelta(minutes=1)
MAX_UNREACHABLE_WAIT: Final = timedelta(days=1)
MAX_MUTED: Final = 200
MAX_PER_HOUR: Final = 1_000
MORNING_MINUTE: Final = 8 * 60
_NUMBER: Final = r"(-?[\d.,' ]*\d(?: ?k)?)"
_AT_MOST: Final = re.compile(
    rf"(?:(?:at most|up to|no more than|max(?:imum)?|<=|≤) ?)?{_NUMBER}(?: (?:or|and) (?:less|fewer))?"
    r"(?: ?(?:/|per|an) ?h(?:our)?)?"
)
_AT_LEAST: Final = re.compile(
    rf"(?:(?:at least|from|min(?:imum)?|>=|≥) ?)?{_NUMBER}(?: ?/ ?100)?(?: ?\+| (?:or|and) (?:more|up|above))?"
)
"""Also as it is shown, `80+`, and with what is counted."""


class Send(Struct, frozen=True):
    is_late: bool = False
    """It waited longer than its kind stays fresh, and says so."""
    silent: bool = False
    """It is quiet."""


class Hold(Struct, frozen=True):
    until: datetime
    reason: HoldReason


class Withhold(Struct, frozen=True):
    reason: WithholdReason


class Delay(Struct, frozen=True):
    """The plan makes it due later; it is decided anew then."""

    until: datetime


Verdict = Send | Hold | Withhold | Delay
HoldsBack = Literal["snoozed", "quiet", "cap", "kept"]
"""`kept`: most calls wait, for what is left of the alerts of the hour is kept for better ones."""


class HeldBack(Struct, frozen=True):
    """Why somebody who receives alerts gets none for now, by their own wish or their plan's."""

    reason: HoldsBack
    until: datetime
    used: int = 0
    """Of the alerts per hour, where it is these."""


class Rules(Struct, frozen=True, kw_only=True):
    """What counts for a kind of message when its turn comes."""

    needs_plan: bool = True
    """Who has not paid, or has paused, gets none."""
    is_held: bool = False
    """What is not to go out now waits for the digest; else who cannot be reached gets none, and at night it comes
    without a sound."""
    heeds_wishes: bool = True
    """Snooze, muted tokens, quiet hours."""
    outlasts_snooze: bool = False
    """Whoever puts it waits for the end of a snooze. One that begins while it is on its way takes its sound alone."""
    is_capped: bool = False
    """It counts among the alerts per hour, and is due as late as the plan has it."""
    fresh_for: timedelta | None = None
    """`None`: it never gets too old."""
    when_stale: Literal["hold", "mark", "drop"] = "drop"
    """`hold`: it goes into a digest. `mark`: it is sent and says that it is late. `drop`: it is withheld, and counted.
    """


ALERTS: Final = Rules(is_held=True, is_capped=True, fresh_for=FRESH_FOR, when_stale="hold")
DIGESTS: Final = Rules(is_held=True, heeds_wishes=False)
"""A digest was held back before, so nothing is too old for it, and what it tells took no slot."""


class RecentAlert(Struct, frozen=True):
    """An alert whose turn came before."""

    at: datetime
    score: int
    sent: bool


def decide(
    subscriber: Subscriber,
    *,
    token_address: str,
    score: int,
    decided_at: datetime,
    now: datetime,
    recent: Sequence[RecentAlert],
    rules: Rules = ALERTS,
    plan: Plan | None = None,
) -> Verdict:
    """Decide one message. `recent`: the subscriber's alerts of the last hour; older ones are ignored.

    `token_address` and `score` are those of an alert; other kinds have none. `plan`: what the subscriber's includes.
    """
    preferences = subscriber.preferences
    reason = _closed(subscriber, rules, now) or (rules.heeds_wishes and _silenced(preferences, token_address, now))
    is_snoozed = reason == "snoozed" and rules.outlasts_snooze
    if reason and not is_snoozed:
        return Withhold(reason)
    if subscriber.unreachable:
        return Hold(now, "unreachable") if rules.is_held else Withhold("unreachable")
    delay = plan.delay if plan and rules.is_capped else NO_DELAY
    due_at = decided_at + delay
    is_stale = rules.fresh_for is not None and now - due_at > rules.fresh_for
    is_early = delay > NO_DELAY and now < due_at  # without a delay, a clock that ran ahead has decided it
    if is_early or (is_stale and rules.when_stale != "mark"):
        return Delay(due_at) if is_early else _too_late(now, rules)
    quiet = quiet_at(preferences, now) if rules.heeds_wishes else None
    is_night = quiet is not None and score < quiet.pass_score
    if quiet and is_night and rules.is_held:
        return Hold(quiet_until(quiet, preferences.time_zone, now), "quiet")
    cap = smaller_cap(preferences.alerts_per_hour, plan.alerts_per_hour if plan else None) if rules.is_capped else None
    beyond = None if cap is None else _beyond(cap, score, now, recent)
    if beyond is not None:
        return Hold(cap_digest_at(preferences, now), beyond)
    return Send(is_late=is_stale, silent=is_night or is_snoozed)


def held_back(preferences: Preferences, now: datetime) -> HeldBack | None:
    """What the wishes of a subscriber hold back now, and until when; caps are not among them."""
    quiet, until = quiet_at(preferences, now), preferences.snoozed_until
    if until is not None and now < until:
        return HeldBack("snoozed", until)
    if quiet is not None:
        return HeldBack("quiet", quiet_until(quiet, preferences.time_zone, now))
    return None


def silent_until(preferences: Preferences, at: datetime) -> datetime:
    """Return the first instant from `at` on at which neither a snooze nor quiet hours hold anything back."""
    return _after_quiet(preferences, max(at, preferences.snoozed_until or at))


def ends_early(before: Preferences, after: Preferences, now: datetime) -> bool:
    """Whether a change lets go of what was held back, or lets it go sooner."""
    return silent_until(after, now) < silent_until(before, now)


def may_leave_at(preferences: Preferences, reason: str, held_at: datetime) -> datetime:
    """Return from when on a call that was held may leave, once nothing is silent.

    By the settings as they are now: whoever ends the quiet hours early waits for nothing but the full hour, where a
    call was beyond the alerts per hour.
    """
    return next_full_hour(preferences.time_zone, held_at) if reason in BEYOND_CAP else held_at


def comes_at(preferences: Preferences, reason: str, held_at: datetime, now: datetime) -> datetime:
    """Return when a call that is held comes in a digest, if nothing is changed."""
    return silent_until(preferences, max(now, may_leave_at(preferences, reason, held_at)))


def beyond_cap(per_hour: int, now: datetime, recent: Sequence[RecentAlert]) -> HeldBack | None:
    """What the alerts of the last hour hold back: every call, or, once the kept ones alone are left, most."""
    sent = sorted(one.at for one in recent if one.sent and now - one.at < HOUR)
    held: tuple[tuple[HoldsBack, int], ...] = (("cap", per_hour), ("kept", per_hour - reserved_slots(per_hour)))
    for reason, slots in held:
        if len(sent) >= slots:
            return HeldBack(reason, sent[-slots] + HOUR, len(sent))
    return None


def smaller_cap(wanted: int | None, included: int | None) -> int | None:
    """Return how many alerts an hour come: as many as somebody wants, and no more than their plan includes."""
    caps = [cap for cap in (wanted, included) if cap is not None]
    return min(caps, default=None)


def digest_waits_until(subscriber: Subscriber, now: datetime, newest_at: datetime) -> datetime:
    """Return when a digest that is due may go out: now, or when the silence that the subscriber wants has ended.

    Somebody who cannot be written to is tried again after as long as they have been away (`newest_at`: when the last
    of its calls was held), so that thousands of them cost nothing; whoever sees them come back need not wait for it.
    """
    if subscriber.unreachable and why_no_alerts(subscriber, now) is None:
        return now + min(max(now - newest_at, MIN_UNREACHABLE_WAIT), MAX_UNREACHABLE_WAIT)
    return silent_until(subscriber.preferences, now)


def cap_digest_at(preferences: Preferences, now: datetime) -> datetime:
    return _after_quiet(preferences, next_full_hour(preferences.time_zone, now))


def quiet_at(preferences: Preferences, at: datetime) -> QuietHours | None:
    """Return the quiet hours where they hold anything back at that moment."""
    quiet, ended_until = preferences.quiet, preferences.quiet_ended_until
    if quiet is None or (ended_until is not None and at < ended_until):
        return None
    return quiet if is_quiet(quiet, preferences.time_zone, at) else None


def _after_quiet(preferences: Preferences, at: datetime) -> datetime:
    quiet = quiet_at(preferences, at)
    return quiet_until(quiet, preferences.time_zone, at) if quiet else at


def snooze_until_morning(preferences: Preferences, now: datetime) -> datetime:
    """Return when the wall clock next shows the end of the quiet hours, or eight o'clock for who has none."""
    minute = preferences.quiet.end_minute if preferences.quiet else MORNING_MINUTE
    all_but_this = QuietHours(start_minute=(minute + 1) % MINUTES_PER_DAY, end_minute=minute)
    return quiet_until(all_but_this, preferences.time_zone, now + timedelta(minutes=1))


def parse_cap(text: str) -> int:
    """Read alerts per hour. Raises `UserFacingError`."""
    return _whole_number(_AT_MOST, text, "cap.unreadable", 1, MAX_PER_HOUR, "10")


def parse_pass_score(text: str) -> int:
    """Read from which score on calls come through. Raises `UserFacingError`."""
    return _whole_number(_AT_LEAST, text, "level.unreadable", 0, MAX_SCORE, "80")


def _whole_number(said: re.Pattern[str], text: str, key: str, least: int, most: int, example: str) -> int:
    """Read one number: as elsewhere, or with the words that go with these settings."""
    read = said.fullmatch(plain(text) or "")
    typed = clip(text)
    if not read:
        raise UserFacingError(key, typed=typed, least=least, most=most)
    try:
        number = int(read_value(read[1], "count", Assumed()))
    except Unreadable as error:
        if error.key == "number.unreadable":
            raise UserFacingError(key, typed=typed, least=least, most=most) from error
        number = -1 if error.key == "number.negative" else most + 1
    if number > most:
        raise UserFacingError("number.out_of_range", typed=typed, largest=most, expected=example)
    if number < least:
        raise UserFacingError("number.too_small", typed=typed, smallest=least, expected=example)
    return number


def mute(preferences: Preferences, token_address: str, until: datetime, name: str = "") -> Preferences:
    """Mute a token, shown by this name; of more than 200 the ones that end first leave."""
    muted = {**preferences.muted_tokens, token_address: until}
    kept = sorted(muted.items(), key=lambda item: item[1], reverse=True)[:MAX_MUTED]
    names = {**preferences.muted_names, token_address: name} if name else preferences.muted_names
    return _muted(preferences, dict(kept), names)


def unmute(preferences: Preferences, token_address: str) -> Preferences:
    kept = {address: until for address, until in preferences.muted_tokens.items() if address != token_address}
    return _muted(preferences, kept, preferences.muted_names)


def _muted(preferences: Preferences, tokens: dict[str, datetime], names: Mapping[str, str]) -> Preferences:
    kept = {address: name for address, name in names.items() if address in tokens}
    return replace(preferences, muted_tokens=tokens, muted_names=kept)


def mute_channel(preferences: Preferences, channel_id: str, title: str) -> Preferences:
    """Mute a channel until it is unmuted; of more than 200 the first leave."""
    others = {one: name for one, name in preferences.muted_channels.items() if one != channel_id}
    kept = list(others.items())[-MAX_MUTED + 1 :]
    return replace(preferences, muted_channels={**dict(kept), channel_id: title})


def unmute_channel(preferences: Preferences, channel_ids: Collection[str]) -> Preferences:
    """`channel_ids`: by all of which it is known."""
    kept = {one: name for one, name in preferences.muted_channels.items() if one not in channel_ids}
    return replace(preferences, muted_channels=kept)


def why_no_alerts(subscriber: Subscriber, now: datetime) -> WithholdReason | None:
    """Say why nothing at all goes to the subscriber now or later; `None` when they receive, or will."""
    if subscriber.banned_at:
        return "banned"
    if not subscriber.has_plan_at(now):
        return "expired"
    return "paused" if subscriber.paused else None


def _too_late(now: datetime, rules: Rules) -> Verdict:
    return Hold(now, "stale") if rules.when_stale == "hold" else Withhold("stale")


def _closed(subscriber: Subscriber, rules: Rules, now: datetime) -> WithholdReason | None:
    """Say why a kind of message does not go out to them at all."""
    if subscriber.banned_at:
        return "banned"
    return why_no_alerts(subscriber, now) if rules.needs_plan else None


def _silenced(preferences: Preferences, token_address: str, now: datetime) -> WithholdReason | None:
    if preferences.snoozed_until and now < preferences.snoozed_until:
        return "snoozed"
    muted_until = preferences.muted_tokens.get(token_address)
    return "muted" if muted_until and now < muted_until else None


def reserved_slots(per_hour: int) -> int:
    """Return how many of the alerts an hour are kept for calls that score better than most."""
    return per_hour // 3


def _beyond(per_hour: int, score: int, now: datetime, recent: Sequence[RecentAlert]) -> Literal["cap", "kept"] | None:
    """Say why a call gets none of the alerts of the hour; `None` when it gets one."""
    last_hour = [one for one in recent if now - one.at < HOUR]
    free = per_hour - sum(one.sent for one in last_hour)
    if free <= 0:
        return "cap"
    is_kept = free <= reserved_slots(per_hour) and last_hour and score <= median(one.score for one in last_hour)
    return "kept" if is_kept else None
