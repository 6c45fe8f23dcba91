from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from domain.calls.events import Call
from domain.filters.explanation import explain
from domain.filters.registry import Choice, FilterField, FilterSet, Missing, Range, Rule
from domain.matching import seen_tokens
from domain.matching.matcher import Decision, Matcher, Pair, PendingPair, ProcessedToken
from tests.filters.strategies import CHANNELS, KINDS, NOON, ValuesCall, call_with, calls, filter_sets, registry

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ALPHA, BETA, GAMMA = CHANNELS
FIELDS = registry(1)


class FlowChart:
    """The flow chart read word by word: a dictionary of records per (token, subscriber), one loop over everybody."""

    def __init__(self, fields: tuple[FilterField, ...]) -> None:
        self.fields = fields
        self.subscribers: dict[int, tuple[FilterSet, ...]] = {}
        self.records: dict[tuple[str, int], ProcessedToken] = {}

    def put(self, user_id: int, sets: Iterable[FilterSet]) -> None:
        self.subscribers[user_id] = tuple(sets)
        for (token, owner), record in list(self.records.items()):
            if owner == user_id and record.status == "rejected":
                del self.records[token, owner]

    def decide(self, call: Call, now: datetime) -> tuple[set[Pair], set[PendingPair]]:
        sent: set[Pair] = set()
        waiting: set[PendingPair] = set()
        self.end_accepted(call.token.address, now)
        self.bring_back(call.token.address, now)
        for user_id in self.subscribers:
            record = self.live_record(call.token.address, user_id, now)
            if record is None:
                checked: tuple[str, ...] = ()
            elif record.status == "accepted" or call.channel.id in record.channels_checked:
                continue
            else:
                checked = record.channels_checked
            number = self.poll(user_id, {s.number for s in self.subscribers[user_id]}, call, now, waiting)
            self.records[call.token.address, user_id] = ProcessedToken(
                timestamp=now,
                channels_checked=(*checked, call.channel.id),
                status="rejected" if number is None else "accepted",
                channels_called_at={},
            )
            if number is not None:
                sent.add((user_id, number))
        return sent, waiting

    def recheck(self, call: Call, pairs: set[Pair], now: datetime) -> tuple[set[Pair], set[PendingPair]]:
        """The second look at pairs that wait: nothing but an acceptance is noted."""
        sent: set[Pair] = set()
        waiting: set[PendingPair] = set()
        self.end_accepted(call.token.address, now)
        for user_id in self.subscribers:
            record = self.live_record(call.token.address, user_id, now)
            if record is not None and record.status == "accepted":
                continue
            number = self.poll(user_id, {number for owner, number in pairs if owner == user_id}, call, now, waiting)
            if number is not None:
                self.records[call.token.address, user_id] = ProcessedToken(
                    timestamp=now, channels_checked=(), status="accepted", channels_called_at={}
                )
                sent.add((user_id, number))
        return sent, waiting

    def poll(self, user_id: int, numbers: set[int], call: Call, now: datetime, waiting: set[PendingPair]) -> int | None:
        """The first of these sets that passes; when none does, those that wait are added to `waiting`."""
        some = [s for s in self.subscribers[user_id] if s.number in numbers]
        verdicts = {s.number: explain(s, call, self.fields) for s in some}
        passed = [number for number, verdict in verdicts.items() if verdict.passed]
        if passed:
            return min(passed)
        for number, verdict in verdicts.items():
            if verdict.outcome == "waiting":
                waits = {rule.key: rule.rule.wait_minutes for rule in verdict.rules if rule.outcome == "waiting"}
                until = call.called_at + max(waits.values()) * MINUTE
                if now < until:
                    missing = tuple(sorted(waits))
                    waiting.add(PendingPair(user_id=user_id, set_number=number, until=until, missing=missing))
        return None

    def also(self, call: Call, sent: set[Pair]) -> dict[int, tuple[int, ...]]:
        """Of those who get it, all other sets that pass, whoever has any."""
        passing = {
            user_id: [s.number for s in self.subscribers[user_id] if explain(s, call, self.fields).passed]
            for user_id, _ in sent
        }
        others = {user_id: tuple(sorted({*passing[user_id]} - {number})) for user_id, number in sent}
        return {user_id: numbers for user_id, numbers in others.items() if numbers}

    def end_accepted(self, token: str, now: datetime) -> None:
        """What a look has found to be over does not come back when the clock is put back."""
        for (address, user_id), record in list(self.records.items()):
            if address == token and record.status == "accepted" and now >= record.timestamp + timedelta(days=14):
                del self.records[address, user_id]

    def bring_back(self, token: str, now: datetime) -> None:
        """A rejection from what is the future now, since the clock was put back, has its hour from now on."""
        for (address, user_id), record in list(self.records.items()):
            if address == token and record.status == "rejected" and record.timestamp > now:
                self.records[address, user_id] = msgspec.structs.replace(record, timestamp=now)

    def live_record(self, token: str, user_id: int, now: datetime) -> ProcessedToken | None:
        record = self.records.get((token, user_id))
        if record is None:
            return None
        lifetime = timedelta(days=14) if record.status == "accepted" else timedelta(hours=1)
        return record if now < record.timestamp + lifetime else None


class MatcherAgreesWithTheFlowChart(RuleBasedStateMachine):
    """Any sequence of calls, joins, changes, departures and steps in time, forwards and backwards."""

    fields = registry(4, KINDS)
    users = 5

    @initialize()
    def begin(self) -> None:
        self.now = NOON
        self.matcher = Matcher(self.fields)
        self.chart = FlowChart(self.fields)
        self.waiting: list[tuple[Call, set[Pair]]] = []

    def some_sets(self, data: st.DataObject, user_id: int) -> list[FilterSet]:
        drawn = data.draw(st.lists(filter_sets(self.fields), max_size=3, unique_by=lambda s: s.number))
        return [msgspec.structs.replace(filter_set, user_id=user_id) for filter_set in drawn]

    @rule(data=st.data(), user_id=st.integers(1, users))
    def put(self, data: st.DataObject, user_id: int) -> None:
        sets = self.some_sets(data, user_id)
        self.matcher.put_subscriber(user_id, sets)
        self.chart.put(user_id, sets)

    @rule(user_id=st.integers(1, users))
    def remove(self, user_id: int) -> None:
        self.matcher.remove_subscriber(user_id)
        self.chart.subscribers.pop(user_id, None)

    @rule(data=st.data(), first=st.integers(10, 40), count=st.sampled_from([1, 2, 3, 70]))
    def load(self, data: st.DataObject, first: int, count: int) -> None:
        pattern = data.draw(filter_sets(self.fields))
        sets = [msgspec.structs.replace(pattern, user_id=user_id, number=1) for user_id in range(first, first + count)]
        self.matcher.load(sets)
        for filter_set in sets:
            self.chart.put(filter_set.user_id, [filter_set])

    @rule(
        step=st.sampled_from(
            [
                *(timedelta(microseconds=1), MINUTE, HOUR / 2, HOUR - MINUTE, HOUR - timedelta(microseconds=1), HOUR),
                *(DAY, 14 * DAY - HOUR / 2, 14 * DAY - MINUTE, 14 * DAY),
            ]
        )
    )
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @rule(step=st.sampled_from([timedelta(microseconds=1), MINUTE, HOUR, 3 * HOUR, DAY, 14 * DAY, 400 * DAY]))
    def the_clock_is_put_back(self, step: timedelta) -> None:
        self.now -= step

    @rule(data=st.data(), token=st.sampled_from(["one", "two"]))
    def call(self, data: st.DataObject, token: str) -> None:
        drawn = data.draw(calls(self.fields))
        self.decide(msgspec.structs.replace(drawn, token=msgspec.structs.replace(drawn.token, address=token)))

    @rule(channel=st.sampled_from(CHANNELS))
    def easy_call(self, channel: str) -> None:
        """One that many sets pass, so that records of both kinds meet."""
        self.decide(call_with([1.0, "a", 1.0, 1.0], channel=channel, address="one"))

    @rule(channel=st.sampled_from(CHANNELS), known=st.booleans())
    def call_of_which_little_is_known(self, channel: str, known: bool) -> None:  # noqa: FBT001 - drawn
        """One that many sets wait for."""
        values = [1.0 if known else None, "a" if known else None, None, None]
        self.decide(call_with(values, channel=channel, address="one", called_at=self.now))

    def decide(self, call: ValuesCall) -> None:
        decision = self.matcher.decide(call, self.now)
        sent, waiting = self.chart.decide(call, self.now)
        self.compare(decision.accepted, sent, decision.waiting, waiting)
        assert decision.also == self.chart.also(call, sent)
        if waiting:
            self.waiting.append((call, {(some.user_id, some.set_number) for some in waiting}))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), all_arrive=st.booleans())
    def the_value_arrives(self, data: st.DataObject, all_arrive: bool) -> None:  # noqa: FBT001 - drawn
        """Or some of it, or another one, or none; and perhaps long after."""
        call, pairs = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        values = (1.0, "a", 1.0, 1.0) if all_arrive else data.draw(calls(self.fields)).values
        newer = msgspec.structs.replace(call, values=values)
        found = self.matcher.recheck(newer, pairs, self.now)
        sent, waiting = self.chart.recheck(newer, pairs, self.now)
        self.compare(found.accepted, sent, found.waiting, waiting)
        assert found.also == self.chart.also(newer, sent)
        if waiting:
            self.waiting.append((newer, {(some.user_id, some.set_number) for some in waiting}))

    def compare(
        self, accepted: Sequence[Pair], sent: set[Pair], waiting: Sequence[PendingPair], expected: set[PendingPair]
    ) -> None:
        assert len(accepted) == len({user_id for user_id, _ in accepted})
        assert set(accepted) == sent
        assert len(waiting) == len(expected)
        assert {msgspec.structs.replace(some, missing=tuple(sorted(some.missing))) for some in waiting} == expected


TestMatcherAgreesWithTheFlowChart = MatcherAgreesWithTheFlowChart.TestCase
TestMatcherAgreesWithTheFlowChart.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def at_least(user_id: int, minimum: float, number: int = 1, channels: Iterable[str] = ()) -> FilterSet:
    rules: dict[str, Rule] = {"field_0": Range(minimum, None)}
    if channels:
        rules["channel"] = Choice(frozenset(channels))
    return FilterSet(user_id=user_id, number=number, name="", rules=rules)


def matcher_with(*sets: FilterSet, **bounds: int) -> Matcher:
    matcher = Matcher(FIELDS, **bounds)
    matcher.load(sets)
    return matcher


def called(value: float, channel: str = ALPHA, address: str = "token") -> ValuesCall:
    return call_with([value], channel=channel, address=address)


def users(decision: Decision) -> list[int]:
    return [user_id for user_id, _ in decision.accepted]


EDGE = [timedelta(0), MINUTE, HOUR / 2, HOUR - timedelta(microseconds=1), HOUR, 2 * HOUR, 14 * DAY]


def _at(whole: int, sign: int, part: timedelta, rest_us: int) -> timedelta:
    return whole * 14 * DAY + sign * part + timedelta(microseconds=rest_us)


near_the_end = st.builds(
    _at, st.integers(0, 2), st.sampled_from([-1, 1]), st.sampled_from(EDGE), st.sampled_from([0, 1, -1])
)
"""Times from the first call on, around the ends of fourteen days and of the hours before and after them."""
events = st.one_of(
    st.tuples(near_the_end, st.just("call"), st.sampled_from(CHANNELS[:2]), st.sampled_from([1.0, 5.0, 9.0])),
    st.tuples(near_the_end, st.just("put"), st.integers(1, 4), st.sampled_from([1.0, 5.0, 9.0])),
)


@given(happens=st.lists(events, min_size=3, max_size=14))
@example(happens=[(d, "call", ALPHA, 5.0) for d in (timedelta(0), 14 * DAY - HOUR / 2, 14 * DAY + MINUTE)])
def test_around_the_end_of_fourteen_days(happens: list[tuple[timedelta, str, Any, float]]) -> None:
    matcher, chart = Matcher(FIELDS), FlowChart(FIELDS)

    def put(user_id: int, minimum: float) -> None:
        sets = [at_least(user_id, minimum)]
        matcher.put_subscriber(user_id, sets)
        chart.put(user_id, sets)

    put(1, 1)
    put(2, 5)
    for after, what, which, value in sorted(happens, key=lambda event: event[0]):
        if what == "put":
            put(which, value)
            continue
        decision = matcher.decide(called(value, which), NOON + after)
        sent, _ = chart.decide(called(value, which), NOON + after)
        assert set(decision.accepted) == sent


def test_whoever_was_skipped_until_the_end_is_checked_after_it() -> None:
    """What others were checked against meanwhile says nothing about them."""
    matcher = matcher_with(at_least(1, 5), at_least(2, 9))
    assert users(matcher.decide(called(5), NOON)) == [1]
    assert users(matcher.decide(called(5), NOON + 14 * DAY - HOUR / 2)) == []
    decision = matcher.decide(called(9), NOON + 14 * DAY + MINUTE)
    assert users(decision) == [1]  # the other one was checked half an hour ago
    assert matcher.decide(called(9), NOON + 14 * DAY + 2 * MINUTE).reason == "already_checked"


def test_an_earlier_record_elsewhere_sets_the_end() -> None:
    """After a restart the memory is new, and Redis knows of an acceptance of ten days ago."""
    matcher = matcher_with(at_least(1, 5))
    assert users(matcher.decide(called(5), NOON + 10 * DAY)) == [1]
    matcher.accepted_until("token", 1, NOON + 14 * DAY)
    assert users(matcher.decide(called(5, BETA), NOON + 14 * DAY - timedelta(microseconds=1))) == []
    assert users(matcher.decide(called(5, BETA), NOON + 14 * DAY)) == [1]
    assert matcher.accepted_remembered == 1


# the edges of the flow chart, one by one


def test_not_processed_and_passes_is_accepted() -> None:
    decision = matcher_with(at_least(1, 5)).decide(called(5), NOON)
    assert (decision.accepted, decision.reason) == (((1, 1),), "first_check")
    assert decision.checked_channels == (ALPHA,)


def test_not_processed_and_fails_is_rejected_with_its_channel() -> None:
    matcher = matcher_with(at_least(1, 5))
    assert matcher.decide(called(4), NOON).accepted == ()
    record = matcher.token_record("token")
    assert record == ProcessedToken(
        timestamp=NOON, channels_checked=(ALPHA,), status="rejected", channels_called_at={ALPHA: NOON}
    )


def test_accepted_is_skipped_for_14_days_from_any_channel() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(5), NOON)
    for later in (MINUTE, 2 * HOUR, 14 * DAY - timedelta(microseconds=1)):
        assert matcher.decide(called(5, BETA), NOON + later).accepted == ()
    assert users(matcher.decide(called(5, GAMMA), NOON + 14 * DAY)) == [1]


def test_rejected_and_no_new_channel_is_skipped() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    decision = matcher.decide(called(9), NOON + 59 * MINUTE)
    assert (decision.accepted, decision.reason) == ((), "already_checked")
    record = matcher.token_record("token")
    assert record is not None
    assert record.timestamp == NOON, "a call that is skipped does not move the timestamp"


def test_rejected_and_a_new_channel_passes_is_upgraded() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    decision = matcher.decide(called(5, BETA), NOON + MINUTE)
    assert (users(decision), decision.reason) == ([1], "new_channel")
    assert decision.checked_channels == (ALPHA, BETA)
    assert matcher.decide(called(5, GAMMA), NOON + 2 * MINUTE).accepted == ()


def test_rejected_and_a_new_channel_fails_moves_the_timestamp() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    matcher.decide(called(4, BETA), NOON + 50 * MINUTE)
    assert matcher.decide(called(9), NOON + 100 * MINUTE).accepted == ()
    assert users(matcher.decide(called(9), NOON + 110 * MINUTE)) == [1]


def test_rejected_is_forgotten_after_an_hour() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    assert matcher.decide(called(5), NOON + HOUR - timedelta(microseconds=1)).accepted == ()
    decision = matcher.decide(called(5), NOON + HOUR)
    assert (users(decision), decision.reason) == ([1], "first_check")


def test_accepted_through_one_set_is_not_matched_through_another() -> None:
    matcher = matcher_with(
        at_least(1, 5, number=2), at_least(1, 3, number=1, channels=[BETA]), at_least(1, 4, number=3)
    )
    assert matcher.decide(called(5), NOON).accepted == ((1, 2),)
    assert matcher.decide(called(5, BETA), NOON + MINUTE).accepted == ()


def test_the_set_with_the_lowest_number_is_named() -> None:
    matcher = matcher_with(at_least(1, 1, number=3), at_least(1, 1, number=1), at_least(1, 9, number=0))
    assert matcher.decide(called(5), NOON).accepted == ((1, 1),)


# joining and changing


def test_who_joins_is_checked_against_a_channel_that_was_checked() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    matcher.put_subscriber(2, [at_least(2, 4)])
    decision = matcher.decide(called(9), NOON + MINUTE)
    assert (users(decision), decision.reason) == ([2], "newcomers")
    assert matcher.decide(called(9), NOON + MINUTE).reason == "already_checked"


def test_who_changes_a_filter_is_checked_again() -> None:
    matcher = matcher_with(at_least(1, 5), at_least(2, 5))
    matcher.decide(called(4), NOON)
    matcher.put_subscriber(1, [at_least(1, 4)])
    assert users(matcher.decide(called(4), NOON + MINUTE)) == [1]


def test_a_newcomers_hour_is_his_own() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    matcher.put_subscriber(2, [at_least(2, 5)])
    matcher.decide(called(4), NOON + 30 * MINUTE)
    assert users(matcher.decide(called(9), NOON + HOUR)) == [1]
    assert users(matcher.decide(called(9), NOON + 90 * MINUTE)) == [2]


def test_who_changes_twice_is_not_held_to_the_record_in_between() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    matcher.put_subscriber(2, [at_least(2, 5)])
    matcher.decide(called(4), NOON + 30 * MINUTE)
    matcher.put_subscriber(2, [at_least(2, 4)])
    assert users(matcher.decide(called(4), NOON + 61 * MINUTE)) == [2]


def test_whoever_accepted_and_changes_everything_stays_accepted() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(5), NOON)
    matcher.put_subscriber(1, [at_least(1, 1, number=7), at_least(1, 2, number=8)])
    assert matcher.decide(called(9, BETA), NOON + MINUTE).accepted == ()
    matcher.remove_subscriber(1)
    matcher.put_subscriber(1, [at_least(1, 1)])
    assert matcher.decide(called(9, GAMMA), NOON + 2 * MINUTE).accepted == ()


def test_the_new_owner_of_a_row_is_not_hidden_by_the_old_one() -> None:
    matcher = matcher_with(at_least(1, 5))
    assert users(matcher.decide(called(5), NOON)) == [1]
    assert matcher.decide(called(5, BETA), NOON).accepted == ()
    matcher.remove_subscriber(1)
    matcher.put_subscriber(2, [at_least(2, 5)])
    assert users(matcher.decide(called(5, GAMMA), NOON)) == [2]


def test_who_left_gets_nothing() -> None:
    matcher = matcher_with(at_least(1, 5), at_least(2, 5))
    matcher.remove_subscriber(1)
    matcher.put_subscriber(2, [])
    assert matcher.decide(called(9), NOON).accepted == ()


def test_loading_in_parts_leaves_those_already_checked_alone() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    matcher.load([at_least(2, 5), at_least(3, 9)])
    assert users(matcher.decide(called(5), NOON)) == [2]
    assert users(matcher.decide(called(5, BETA), NOON)) == [1]


def test_a_set_of_somebody_else_is_refused() -> None:
    with pytest.raises(ValueError, match="somebody else"):
        Matcher(FIELDS).put_subscriber(1, [at_least(2, 5)])


# waiting for a value

WAITING_FIELDS = registry(2)


def waits_for(user_id: int, number: int = 1, minutes: int = 5, missing: Missing = "wait", **more: Rule) -> FilterSet:
    rules = {"field_0": Range(5.0, missing=missing, wait_minutes=minutes), **more}
    return FilterSet(user_id=user_id, number=number, name="", rules=rules)


def waiting_matcher(*sets: FilterSet) -> Matcher:
    matcher = Matcher(WAITING_FIELDS)
    matcher.load(sets)
    return matcher


def saying(first: float | None, second: float | None = None, channel: str = ALPHA) -> ValuesCall:
    return call_with([first, second], channel=channel)


def test_who_waits_is_neither_accepted_nor_forgotten() -> None:
    decision = waiting_matcher(waits_for(1)).decide(saying(None), NOON)
    assert decision.accepted == ()
    assert decision.waiting == (PendingPair(user_id=1, set_number=1, until=NOON + 5 * MINUTE, missing=("field_0",)),)


def test_the_longest_wait_counts_of_the_rules_without_a_value() -> None:
    matcher = waiting_matcher(waits_for(1, field_1=Range(1.0, missing="wait", wait_minutes=20)))
    (both,) = matcher.decide(saying(None), NOON).waiting
    assert (both.until, both.missing) == (NOON + 20 * MINUTE, ("field_0", "field_1"))
    (first,) = matcher.decide(saying(None, 1.0, BETA), NOON).waiting
    assert (first.until, first.missing) == (NOON + 5 * MINUTE, ("field_0",))
    assert matcher.decide(saying(None, 0.5, GAMMA), NOON).waiting == (), "a rule that fails ends the wait"


def test_the_value_arrives_and_passes() -> None:
    matcher = waiting_matcher(waits_for(1))
    matcher.decide(saying(None), NOON)
    assert matcher.recheck(saying(5.0), [(1, 1)], NOON + MINUTE) == (((1, 1),), (), {})
    assert matcher.recheck(saying(5.0), [(1, 1)], NOON + MINUTE) == ((), (), {}), "accepted, so once"
    assert matcher.decide(saying(5.0, None, BETA), NOON + 2 * MINUTE).accepted == ()


def test_the_value_arrives_and_fails() -> None:
    matcher = waiting_matcher(waits_for(1))
    matcher.decide(saying(None), NOON)
    assert matcher.recheck(saying(4.0), [(1, 1)], NOON + MINUTE) == ((), (), {})
    assert matcher.decide(saying(9.0), NOON + 2 * MINUTE).reason == "already_checked", "what remains is a rejection"
    assert users(matcher.decide(saying(9.0, None, BETA), NOON + 2 * MINUTE)) == [1]


def test_the_value_does_not_arrive() -> None:
    matcher = waiting_matcher(waits_for(1))
    waiting = matcher.decide(saying(None), NOON).waiting
    assert matcher.recheck(saying(None), [(1, 1)], NOON + 4 * MINUTE) == ((), waiting, {})
    assert matcher.recheck(saying(None), [(1, 1)], NOON + 5 * MINUTE) == ((), (), {})


def test_a_call_that_comes_too_late_is_not_waited_for() -> None:
    assert waiting_matcher(waits_for(1)).decide(saying(None), NOON + 5 * MINUTE).waiting == ()


def test_a_second_look_moves_no_timestamp() -> None:
    matcher = waiting_matcher(waits_for(1))
    matcher.decide(saying(None), NOON)
    before = matcher.token_record("token")
    matcher.recheck(saying(None), [(1, 1)], NOON + MINUTE)
    assert matcher.token_record("token") == before


def test_who_was_accepted_meanwhile_drops_out() -> None:
    matcher = waiting_matcher(waits_for(1), waits_for(2))
    matcher.decide(saying(None), NOON)
    assert users(matcher.decide(saying(5.0, None, BETA), NOON + MINUTE)) == [1, 2]
    assert matcher.recheck(saying(5.0), [(1, 1), (2, 1)], NOON + 2 * MINUTE) == ((), (), {})


def test_who_has_the_token_by_another_set_does_not_wait() -> None:
    matcher = waiting_matcher(waits_for(1, 1), at_least(1, 0, 2), waits_for(2, 1), waits_for(2, 2, missing="pass"))
    decision = matcher.decide(saying(None), NOON)
    assert decision.accepted == ((2, 2),)
    assert [(some.user_id, some.set_number) for some in decision.waiting] == [(1, 1)]


def test_pairs_are_looked_at_as_they_are_now() -> None:
    matcher = waiting_matcher(waits_for(1), waits_for(2), waits_for(3), at_least(4, 0))
    matcher.decide(saying(None), NOON)
    matcher.put_subscriber(1, [waits_for(1, field_1=Range(1.0))])
    matcher.remove_subscriber(2)
    pairs = [(1, 1), (2, 1), (3, 1), (3, 7), (9, 9)]
    assert matcher.recheck(saying(5.0), pairs, NOON + MINUTE) == (((3, 1),), (), {})


def test_all_sets_that_pass_are_named_after_the_first() -> None:
    matcher = matcher_with(*(at_least(1, minimum, number) for number, minimum in enumerate((9, 5, 1, 3), 1)))
    matcher.load([at_least(2, 5)])
    decision = matcher.decide(called(5), NOON)
    assert decision.accepted == ((1, 2), (2, 1))
    assert decision.also == {1: (3, 4)}


def test_what_did_not_wait_is_named_as_well_when_it_passes_by_then() -> None:
    """The first call said too little for set 1, whose rule does not wait; by now both pass."""
    matcher = waiting_matcher(waits_for(1, 1, missing="fail"), waits_for(1, 2))
    assert [one.set_number for one in matcher.decide(saying(None), NOON).waiting] == [2]
    assert matcher.recheck(saying(5.0), [(1, 2)], NOON + MINUTE) == (((1, 2),), (), {1: (1,)})


def test_the_lowest_number_of_the_pairs_is_named() -> None:
    matcher = waiting_matcher(waits_for(1, 1), waits_for(1, 2), waits_for(1, 3))
    assert len(matcher.decide(saying(None), NOON).waiting) == 3
    assert matcher.recheck(saying(5.0), [(1, 3), (1, 2)], NOON + MINUTE) == (((1, 2),), (), {1: (1, 3)})


# what Redis is told


def test_the_record_is_the_documented_json() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    assert msgspec.json.decode(msgspec.json.encode(matcher.token_record("token", "accepted"))) == {
        "timestamp": "2026-01-01T12:00:00Z",
        "channels_checked": [ALPHA],
        "status": "accepted",
        "channels_called_at": {ALPHA: "2026-01-01T12:00:00Z"},
    }
    assert matcher.token_record("another") is None


# a clock that is put back

moments = st.integers(0, 13 * 24 * 60).map(lambda minutes: NOON + minutes * MINUTE)


@given(st.lists(st.tuples(moments, st.sampled_from(CHANNELS), st.sampled_from([4.0, 5.0])), max_size=30))
def test_whatever_the_clock_does_within_14_days_nobody_is_accepted_twice(
    happenings: list[tuple[datetime, str, float]],
) -> None:
    matcher = matcher_with(at_least(1, 5), at_least(2, 4))
    accepted = [
        user_id for at, channel, value in happenings for user_id in users(matcher.decide(called(value, channel), at))
    ]
    assert len(accepted) == len(set(accepted))
    assert (2 in accepted) == bool(happenings)


def test_a_step_back_makes_nobodys_14_days_shorter() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(5), NOON)
    assert matcher.decide(called(5, BETA), NOON - 10 * DAY).accepted == ()
    assert matcher.decide(called(5, GAMMA), NOON + 14 * DAY - MINUTE).accepted == ()


def test_a_rejection_from_the_future_lasts_an_hour_from_now() -> None:
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    back = NOON - 300 * DAY
    assert matcher.decide(called(9), back).reason == "already_checked"
    assert matcher.decide(called(9), back + HOUR - MINUTE).reason == "already_checked"
    assert users(matcher.decide(called(9), back + HOUR)) == [1]


# bounds: what is forgotten is checked again


def test_the_least_recently_called_token_is_forgotten_first() -> None:
    matcher = matcher_with(at_least(1, 5), max_tokens=2)
    for address in ("a", "b", "a", "c"):
        matcher.decide(called(9, address=address), NOON)
    assert matcher.decide(called(9, BETA, "a"), NOON).accepted == ()
    assert users(matcher.decide(called(9, BETA, "b"), NOON)) == [1]
    assert matcher.tokens_remembered == 2


def test_accepted_subscribers_are_bounded_over_all_tokens() -> None:
    matcher = matcher_with(*(at_least(user_id, 5) for user_id in range(10)), max_accepted=25)
    for address in ("a", "b", "c"):
        assert len(matcher.decide(called(9, address=address), NOON).accepted) == 10
    assert matcher.accepted_remembered == 20
    assert len(matcher.decide(called(9, BETA, "a"), NOON).accepted) == 10
    matcher.decide(called(9, BETA, "a"), NOON + 14 * DAY)
    assert matcher.accepted_remembered == 20, "ten that ended, and ten anew"


def test_many_newcomers_one_after_the_other_keep_few_records() -> None:
    changes, token = seen_tokens.ChangeLog(), seen_tokens.TokenMemory()
    for slot in range(300):
        changes.add(np.array([slot], dtype=np.int32))
        token.bring_up_to(slot, changes)
        token.note_check(ALPHA, NOON, slot)
        assert len(token.cohorts) <= seen_tokens.MAX_COHORTS
    token.note_check(BETA, NOON, 1000)
    assert token.cohorts[-1].stop == 300


def test_many_newcomers_are_all_checked_against_a_new_channel() -> None:
    matcher = matcher_with(at_least(1, 5))
    for user_id in range(2, 300):
        matcher.put_subscriber(user_id, [at_least(user_id, 5)])
        matcher.decide(called(4), NOON + timedelta(seconds=user_id))
    assert users(matcher.decide(called(9, BETA), NOON + 10 * MINUTE)) == list(range(1, 300))


def test_changes_beyond_memory_mean_that_everybody_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_tokens, "MAX_CHANGES", 10)
    matcher = matcher_with(at_least(1, 5))
    matcher.decide(called(4), NOON)
    for user_id in range(2, 40):
        matcher.put_subscriber(user_id, [at_least(user_id, 9)])
    decision = matcher.decide(called(5), NOON + MINUTE)
    assert (users(decision), decision.reason) == ([1], "first_check")


def test_a_token_called_by_endless_channels_keeps_a_bounded_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_tokens, "MAX_CHANNELS", 3)
    matcher = matcher_with(at_least(1, 5))
    for number in range(10):
        matcher.decide(called(4, f"@{number}"), NOON)
        record = matcher.token_record("token")
        assert record is not None
        assert len(record.channels_checked) <= 3
