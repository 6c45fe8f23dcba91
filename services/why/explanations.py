"""Why did I get this, why did I not: the verdict that was given, computed again from what was stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.addresses import call_tag
from domain.calls.lifetimes import ACCEPTED_FOR, REJECTED_FOR
from domain.delivery.policy import comes_at, why_no_alerts
from domain.delivery.quiet import zone_of
from domain.stored.journal import DecidedCall, DeliveryRecord
from domain.subscribers.subscriber import Subscriber
from domain.why.verdicts import AMBIGUOUS_FOR, Judged, Judgement, failed_only, given_up_as, judge, judge_as_given
from services.subscribers.subscribers import Subscribers
from services.why.answers import (
    CallExplanation,
    Delivery,
    EarlierCall,
    Explanation,
    InDigest,
    NearMiss,
    NearMisses,
    Outcome,
)
from services.why.history import Brought, HistoryStore, Recent, Revision, newest_first
from services.why.naming import named_as_now, with_names_of_now

MAX_CALLS: Final = 100
"""Of one token: the newest ones are explained."""
MAX_TODAY: Final = 2_000
MAX_NEAR_MISSES: Final = 100
_CHECKED: Final[frozenset[Judgement]] = frozenset({"passed", "waiting", "failed", "muted_channel"})
"""Judgements of a call that was held against filters."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class ExplanationsService:
    def __init__(self, *, history: HistoryStore, subscribers: Subscribers, clock: Callable[[], datetime]) -> None:
        self._history = history
        self._subscribers = subscribers
        self._clock = clock

    async def why_token(self, user_id: int, address: str) -> Explanation | None:
        """Explain the decided calls of a token of the last 14 days; `None` if there was none.

        Besides the calls only what is the caller's own is read. `UserFacingError` for somebody unknown.
        """
        subscriber = await self._subscribers.require(user_id)
        facts = await self._facts(subscriber, address)
        if not facts.calls:
            return None
        return await self._explanation(address, facts.calls, facts, subscriber)

    async def why_call(self, user_id: int, address: str, tag: str) -> Explanation | None:
        """Explain the call of a token that a button names by `call_tag`; `None` if it is not there any more."""
        subscriber = await self._subscribers.require(user_id)
        facts = await self._facts(subscriber, address)
        named = next((one for one in facts.calls if call_tag(one.call.id) == tag), None)
        if named is None:
            return None
        one = await self._explanation(address, [named], facts, subscriber)
        return replace(one, unshown=len(facts.calls) - 1)

    async def _explanation(
        self, address: str, decided: Iterable[DecidedCall], facts: _Facts, subscriber: Subscriber
    ) -> Explanation:
        calls = [with_names_of_now(await self._explain(one, facts), facts.revisions) for one in decided]
        waits = calls[0].outcome in {"waiting", "gave_up"}
        death = await self._history.death(address) if waits else None
        return Explanation(address=address, calls=tuple(calls), subscriber=subscriber, death=death)

    async def near_misses(self, user_id: int) -> NearMisses:
        """Find today's calls that failed exactly one rule of one of the user's sets, and no set let through."""
        subscriber = await self._subscribers.require(user_id)
        zone = subscriber.preferences.time_zone
        midnight = self._clock().astimezone(zone_of(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        recent = await self._history.recent(user_id, lambda _: True)
        revisions = await self._revisions(subscriber, midnight, recent)
        since = _filters_since(revisions, midnight)
        known: set[str] = set()
        checked = 0
        found: dict[tuple[str, int, str], NearMiss] = {}
        async for batch in self._history.decided_since(since or self._clock(), recent.calls, limit=MAX_TODAY):
            fresh = [one for one in batch if one.call.id not in known]
            known.update(one.call.id for one in fresh)
            judged = [(one, _judged_then(one, revisions)) for one in fresh]
            checked += sum(verdict.judgement in _CHECKED for _, verdict in judged)
            misses = [miss for one, verdict in judged if (miss := _near_miss(one, verdict))]
            for miss in await self._missed(user_id, misses, recent):
                found.setdefault((miss.decided.call.token.address, miss.filter_set.number, miss.rule.key), miss)
            if len(known) >= MAX_TODAY or len(found) >= MAX_NEAR_MISSES:
                break
            # Two thousand explanations in one go would keep everybody's alerts waiting.
            await asyncio.sleep(0)
        newest = sorted(found.values(), key=lambda miss: miss.decided.decided_at, reverse=True)
        return NearMisses(
            found=tuple(newest[:MAX_NEAR_MISSES]),
            calls_checked=checked,
            complete=len(known) < MAX_TODAY and len(found) < MAX_NEAR_MISSES,
            since=since,
            time_zone=zone,
        )

    async def _missed(self, user_id: int, misses: Sequence[NearMiss], recent: Recent) -> list[NearMiss]:
        """Leave out those whose token had come already."""
        addresses = sorted({miss.decided.call.token.address for miss in misses})
        accepted_at: dict[str, datetime] = {}
        for address, call_id in (await self._history.accepted(user_id, addresses)).items():
            by = await self._call(call_id, recent)
            accepted_at[address] = by.decided_at if by else _NEVER
        return [m for m in misses if m.decided.decided_at < accepted_at.get(m.decided.call.token.address, _NEVER)]

    async def _call(self, call_id: str, recent: Recent) -> DecidedCall | None:
        on_its_way = next((one for one in recent.calls if one.call.id == call_id), None)
        return on_its_way or await self._history.call(call_id)

    # one token

    async def _facts(self, subscriber: Subscriber, address: str) -> _Facts:
        user_id = subscriber.user_id
        if not (address.isascii() and address.isalnum()):  # a forged button
            return _Facts(user_id=user_id)
        wanted = address.encode()
        accepted_by = (await self._history.accepted(user_id, [address])).get(address)
        recent = await self._history.recent(user_id, lambda data: wanted in data)
        calls = [*await self._history.calls_of(address, MAX_CALLS), *recent.calls]
        if accepted_by and accepted_by not in {one.call.id for one in calls}:
            # The call that brought the alert, behind hundreds of newer ones.
            by = await self._history.call(accepted_by)
            calls += [by] if by else []
        calls = newest_first(one for one in calls if one.call.token.address == address)
        if not calls:
            return _Facts(user_id=user_id)
        revisions = await self._revisions(subscriber, calls[-1].decided_at, recent)
        # What is still in the journal is the newer word.
        told = [*await self._history.deliveries(user_id, address), *reversed(recent.deliveries)]
        records = {one.call_id: one for one in told if one.kind == "alert"}
        accepted = frozenset((*records, accepted_by) if accepted_by else records)
        return _Facts(
            user_id=user_id,
            calls=tuple(calls),
            revisions=revisions,
            records=records,
            digests={one.call_id: one for one in told if one.kind == "digest"},
            accepted=accepted,
            brought=await self._history.brought(user_id, address),
            comes_at=await self._comes_at(subscriber, accepted),
        )

    async def _revisions(self, subscriber: Subscriber, since: datetime, recent: Recent) -> list[Revision]:
        """Return the documents since then, newest first; the current one where no history is known."""
        stored = await self._history.revisions(subscriber.user_id, since - AMBIGUOUS_FOR)
        by_number = {one.subscriber.revision: one for one in (*recent.revisions, *stored)}
        known = [by_number[number] for number in sorted(by_number, reverse=True)]
        if known and known[0].subscriber != subscriber:
            # Stored since, or a preset that it follows has changed and the document is not stored again yet.
            known.insert(0, Revision(subscriber, self._clock()))
        return known or [Revision(subscriber, subscriber.created_at)]

    async def _comes_at(self, subscriber: Subscriber, call_ids: Iterable[str]) -> dict[str, datetime | None]:
        """Return when the digest comes in which each of these calls is told, of those that wait for one.

        `None`: no alerts come at all for now.
        """
        now = self._clock()
        held, preferences = await self._history.held(subscriber.user_id, call_ids), subscriber.preferences
        if why_no_alerts(subscriber, now) or subscriber.unreachable:
            return dict.fromkeys(one.call_id for one in held)
        return {one.call_id: comes_at(preferences, one.reason, one.held_at, now) for one in held}

    async def _explain(self, one: DecidedCall, facts: _Facts) -> CallExplanation:
        if one.call.id in facts.accepted:
            return await self._explain_accepted(one, facts)
        earlier = _accepted_before(one, facts)
        checked = _checked_before(one, facts)
        candidates = _candidates(facts.revisions, one.decided_at)
        # Where something else explains why it did not come, the settings that were current need not.
        told = candidates[:1] if earlier or checked else candidates
        judged = judge_as_given(told, one.call, one.decided_at, given_up=given_up_as(one.reason), accepted=False)
        outcome = _outcome(
            judged.judgement,
            sent_earlier=earlier is not None,
            checked_before=checked is not None,
            waits=judged.judgement == "waiting"
            and await self._history.still_waits(facts.user_id, one.call.id, self._clock()),
        )
        # A call that came to nothing for another reason is not explained by one that came before it.
        before = {"sent_earlier": earlier, "checked_before": checked}.get(outcome)
        return CallExplanation(
            decided=one, shown=one.call, outcome=outcome, judged=judged, earlier=_earlier(before, facts)
        )

    async def _explain_accepted(self, one: DecidedCall, facts: _Facts) -> CallExplanation:
        delivery = await self._delivery(one, facts)
        shown, decided_at, late_s = one.call, one.decided_at, None
        if delivery and delivery.decided_at > one.decided_at:
            # It passed late: what counted were the figures of then, held against the settings of then.
            decided_at = delivery.decided_at
            late_s = (decided_at - one.call.called_at).total_seconds()
            shown = await self._history.late_call(one.call.id, decided_at) or one.call
        candidates = _candidates(facts.revisions, decided_at)
        judged = judge_as_given(candidates, shown, decided_at, given_up=None, accepted=True)
        return CallExplanation(
            decided=one, shown=shown, outcome="accepted", judged=judged, delivery=delivery, late_s=late_s
        )

    async def _delivery(self, one: DecidedCall, facts: _Facts) -> Delivery | None:
        """Look where the alert is: finished, waiting, or finished while we looked. `None`: nobody knows."""
        record = facts.records.get(one.call.id)
        if record is None:
            waiting = await self._history.waiting(facts.user_id, one.call.id, one.decided_at)
            if waiting:
                return Delivery(
                    status="in_flight" if waiting.in_flight else "queued",
                    set_number=waiting.alert.set_number,
                    decided_at=waiting.alert.decided_at,
                )
            wanted = one.call.id.encode()
            recent = await self._history.recent(facts.user_id, lambda data: wanted in data)
            stored = await self._history.deliveries(facts.user_id, one.call.token.address)
            record = next((r for r in (*recent.deliveries, *stored) if r.call_id == one.call.id), None)
        if record is None:
            return None
        return Delivery(
            status=record.status,
            set_number=record.set_number,
            decided_at=record.decided_at,
            sent_at=record.sent_at,
            latency_s=record.latency_s,
            may_repeat=record.may_repeat,
            reason=record.reason,
            digest=_in_digest(facts, one.call.id),
        )


def _in_digest(facts: _Facts, call_id: str) -> InDigest:
    if call_id in facts.comes_at:  # whatever a digest before has come to: it was taken back
        return InDigest(status="waits", at=facts.comes_at[call_id])
    record = facts.digests.get(call_id)
    match record.status if record else None:
        case "sent" | "merged":
            return InDigest(status="sent", at=record and record.sent_at)
        case "withheld" | "dead" | "unrecorded" as status:
            return InDigest(status=status, reason=record and record.reason)
        case _:
            return InDigest()


class _Facts(Struct, frozen=True, kw_only=True):
    """What is known for one user and one token."""

    user_id: int
    calls: tuple[DecidedCall, ...] = ()
    """Newest first."""
    revisions: Sequence[Revision] = ()
    """Newest first."""
    records: dict[str, DeliveryRecord] = {}
    """Of alerts, by call id."""
    digests: Mapping[str, DeliveryRecord] = {}
    """Of what held calls came to, by call id."""
    accepted: frozenset[str] = frozenset()
    """Ids of the calls that were accepted."""
    brought: Sequence[Brought] = ()
    """What PostgreSQL knows of these, and of those that are too old to be explained themselves; newest first."""
    comes_at: Mapping[str, datetime | None] = {}
    """By call id, of those that wait for a digest."""


def _outcome(judgement: Judgement, *, sent_earlier: bool, checked_before: bool, waits: bool) -> Outcome:
    """Say why a call that was not accepted was not."""
    match judgement:
        case "passed" | "waiting" if sent_earlier:
            return "sent_earlier"
        case "passed" | "waiting" if checked_before:
            return "checked_before"
        case "passed":
            return "not_checked"
        case "waiting":
            return "waiting" if waits else "gave_up"
        case _:
            return judgement


def _candidates(revisions: Sequence[Revision], at: datetime) -> list[Subscriber | None]:
    """Return the document that was current, then those that may have been: a change was under way."""
    current = next((place for place, one in enumerate(revisions) if one.changed_at <= at), None)
    if current is None and revisions[-1].subscriber.created_at <= at - AMBIGUOUS_FOR:
        current = len(revisions) - 1  # what came before is too long ago
    near: set[int] = set()
    for place, one in enumerate(revisions):
        if abs(one.changed_at - at) <= AMBIGUOUS_FOR:
            near |= {place, place + 1}
    if current and any(filter_set.follows for filter_set in revisions[current].subscriber.filter_sets):
        # The matcher obeys a changed preset at once, the documents of those who follow it come later.
        near.add(current - 1)
    others = [revisions[place].subscriber for place in sorted(near - {current}) if place < len(revisions)]
    return [None if current is None else revisions[current].subscriber, *others]


def _accepted_before(one: DecidedCall, facts: _Facts) -> DecidedCall | None:
    """Find the call that brought the alert for this token before this one was decided."""
    for earlier in facts.brought:
        if earlier.accepted_at <= one.decided_at < earlier.accepted_at + ACCEPTED_FOR:
            return earlier.decided
    return next(
        (
            other
            for other in facts.calls
            if other.call.id in facts.accepted and one.decided_at - ACCEPTED_FOR < other.decided_at <= one.decided_at
        ),
        None,
    )


def _checked_before(one: DecidedCall, facts: _Facts) -> DecidedCall | None:
    """Find the same channel's call that was checked: its record lives on while other channels call within the hour."""
    last = one.decided_at
    for other in facts.calls:
        if other.decided_at > one.decided_at or given_up_as(other.reason) or other.call.id == one.call.id:
            continue
        if last - other.decided_at >= REJECTED_FOR:
            return None
        if other.call.channel.id == one.call.channel.id:
            return other
        last = other.decided_at
    return None


def _earlier(other: DecidedCall | None, facts: _Facts) -> EarlierCall | None:
    if other is None:
        return None
    channel, call_id = other.call.channel, other.call.id
    told, comes_at = (facts.records.get(call_id), facts.digests.get(call_id)), facts.comes_at.get(call_id)
    state = "told"
    if call_id in facts.comes_at:
        state = "waits" if comes_at else "waits_openly"
    elif any(record is not None and record.status in {"withheld", "dead"} for record in told):
        state = "withheld"
    return EarlierCall(
        call_id=call_id, channel=channel.title or channel.id, at=other.decided_at, state=state, comes_at=comes_at
    )


def _filters_since(revisions: Sequence[Revision], midnight: datetime) -> datetime | None:
    """Return when, after midnight, a filter was on for the first time; `revisions`: newest first."""
    first = next((r for r in reversed(revisions) if any(one.enabled for one in r.subscriber.filter_sets)), None)
    return None if first is None else max(midnight, first.changed_at)


def _judged_then(one: DecidedCall, revisions: Sequence[Revision]) -> Judged:
    """Judge by the settings that were current."""
    current = _candidates(revisions, one.decided_at)[0]
    judged = judge(current, one.call, one.decided_at, given_up=given_up_as(one.reason))
    return named_as_now(judged, one.decided_at, revisions)


def _near_miss(one: DecidedCall, judged: Judged) -> NearMiss | None:
    if judged.judgement != "failed":
        return None
    for kept_back in judged.sets:
        rule = failed_only(kept_back.verdict)
        if rule:
            return NearMiss(decided=one, filter_set=kept_back.filter_set, rule=rule)
    return None
