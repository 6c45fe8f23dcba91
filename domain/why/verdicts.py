"""What one subscriber's settings said about one decided call, and whether that explains what came of it.

Pure: everything is computed from what was stored, so the same question has the same answer later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, cast

from msgspec import Struct

from domain.calls.events import Call, Token
from domain.filters.explanation import RuleVerdict, Verdict, explain
from domain.filters.registry import FilterField, FilterSet
from domain.subscribers.subscriber import Subscriber

Judgement = Literal[
    "passed",
    "waiting",
    "failed",
    "stale",
    "blocked",
    "not_subscribed",
    "banned",
    "expired",
    "paused",
    "unreachable",
    "no_sets",
    "muted_channel",
]
"""`stale`: the call came too late to be held against anything; `blocked`: an admin had blocked its channel.
`not_subscribed`: the person came later. `no_sets`: none was switched on.
`muted_channel`: no filter took the channel's calls, whatever its rules said."""
GivenUp = Literal["stale", "blocked"]

AMBIGUOUS_FOR: Final = timedelta(seconds=1)
"""A change is stored a moment before the matcher obeys it, on another clock than decisions: this close to a change,
the decision itself tells which settings it was made by."""


class SetVerdict(Struct, frozen=True, kw_only=True):
    filter_set: FilterSet
    verdict: Verdict
    waits_until: datetime | None = None
    """Where the verdict is `waiting`: when the waiting ends."""


class Judged(Struct, frozen=True, kw_only=True):
    judgement: Judgement
    subscriber: Subscriber | None
    """The document that this was judged by."""
    sets: tuple[SetVerdict, ...] = ()


def judge(subscriber: Subscriber | None, call: Call, decided_at: datetime, *, given_up: GivenUp | None) -> Judged:
    """Hold a call against a subscriber's settings, as the matcher does.

    The matcher has a muted channel as a rule of each set (`Subscriber.matched_sets`). Here the sets are judged by what
    somebody has put into them, and the mute decides by its own name.
    """
    if subscriber is None:
        return Judged(judgement="not_subscribed", subscriber=None)
    sets = tuple(_judge_set(filter_set, call) for filter_set in subscriber.filter_sets)
    judgement = _judgement(subscriber, sets, decided_at, given_up=given_up)
    if judgement in {"passed", "waiting", "failed"} and subscriber.preferences.has_muted(call.channel):
        judgement = "muted_channel"
    return Judged(judgement=judgement, subscriber=subscriber, sets=sets)


def judge_as_given(
    candidates: Iterable[Subscriber | None],
    call: Call,
    decided_at: datetime,
    *,
    given_up: GivenUp | None,
    accepted: bool,
) -> Judged:
    """Judge by the first of the candidates that gives what was given; by the very first where none does."""
    first: Judged | None = None
    for subscriber in candidates:
        judged = judge(subscriber, call, decided_at, given_up=given_up)
        if (judged.judgement in {"passed", "waiting"}) if accepted else judged.judgement != "passed":
            return judged
        first = first or judged
    return first or judge(None, call, decided_at, given_up=given_up)


def given_up_as(reason: str) -> GivenUp | None:
    """Read from what was decided of a call why it was held against nothing."""
    return "stale" if reason == "stale" else "blocked" if reason == "blocked" else None


def figures_read(field: FilterField, call: Call) -> frozenset[str]:
    """Return which figures of the token a field looks at, by their names in `Token`."""
    reading = _Reading(call)
    field.value(cast("Call", reading))
    return frozenset(reading.token.names)


def failed_only(verdict: Verdict) -> RuleVerdict | None:
    """Return the rule that alone kept a call from passing."""
    failed = [rule for rule in verdict.rules if rule.outcome != "passed"]
    return failed[0] if verdict.enabled and len(failed) == 1 and failed[0].outcome == "failed" else None


def _judge_set(filter_set: FilterSet, call: Call) -> SetVerdict:
    verdict = explain(filter_set, call)
    if verdict.outcome != "waiting":
        return SetVerdict(filter_set=filter_set, verdict=verdict)
    minutes = max(rule.rule.wait_minutes for rule in verdict.rules if rule.outcome == "waiting")
    return SetVerdict(filter_set=filter_set, verdict=verdict, waits_until=call.called_at + timedelta(minutes=minutes))


def _judgement(
    subscriber: Subscriber, sets: Sequence[SetVerdict], at: datetime, *, given_up: GivenUp | None
) -> Judgement:
    if given_up:
        return given_up
    if closed := _closed(subscriber, at):
        return closed
    if not any(one.filter_set.enabled for one in sets):
        return "no_sets"
    outcomes = {one.verdict.outcome for one in sets}
    return "passed" if "passed" in outcomes else "waiting" if "waiting" in outcomes else "failed"


def _closed(subscriber: Subscriber, at: datetime) -> Judgement | None:
    """Say why nothing at all was held against their filters."""
    if subscriber.banned_at:
        return "banned"
    if subscriber.unreachable:
        return "unreachable"
    if not subscriber.has_plan_at(at):
        return "expired"
    return "paused" if subscriber.paused else None


class _ReadingToken:
    """A token that remembers what was asked of it."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.names.add(name)
        return getattr(self._token, name)


class _Reading:
    """A call whose token remembers what was asked of it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.token = _ReadingToken(call.token)

    def __getattr__(self, name: str) -> object:
        return getattr(self._call, name)
