"""Columns say what the domain's own predicate says, and a replay accepts what the matcher accepted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from random import Random

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from domain.backtest.columns import ABOUT, COLUMNS, filter_columns, row_of
from domain.backtest.expressions import condition_of
from domain.backtest.replay import Replay, replay
from domain.calls.events import Channel, Token
from domain.calls.merges import Merges
from domain.filters.explanation import explain
from domain.filters.registry import FilterField, FilterSet, Range, Rule, Words
from domain.filters.rules import naming_all
from domain.matching.matcher import Matcher
from domain.stored.journal import DecidedCall
from managers.archive.parquet import frame
from tests.filters.strategies import (
    CHANNELS,
    KINDS,
    NOON,
    ValuesCall,
    calls,
    filter_sets,
    registry,
    rules,
    values_of,
)

ME = 2**40
FIELDS = registry(8, KINDS)
FEW = registry(2, ("count", "text"))
AT_FIRST = NOON


def table(decided: Sequence[DecidedCall], fields: Sequence[FilterField]) -> pl.DataFrame:
    rows = [row_of(one, number, fields) for number, one in enumerate(decided)]
    return frame((*ABOUT, *filter_columns(fields)), rows)


def decided_call(call: ValuesCall, at: datetime = NOON, reason: str = "first_check") -> DecidedCall:
    return DecidedCall(call=call, decided_at=at, reason=reason, checked_channels=())


def test_no_two_columns_have_one_name() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


@settings(max_examples=40)
@given(st.lists(calls(FIELDS), min_size=1, max_size=6), st.lists(filter_sets(FIELDS), min_size=1, max_size=6))
def test_an_expression_says_what_the_predicate_says(some: list[ValuesCall], sets: list[FilterSet]) -> None:
    columns = table([decided_call(call) for call in some], FIELDS)
    for one in sets:
        condition = condition_of(one, FIELDS)
        said = columns.select(passes=condition.passes, waits=condition.waits).rows()
        verdicts = [explain(replace(one, enabled=True), call, FIELDS).outcome for call in some]
        if len(said) == 1:  # an expression without a column has one row
            said *= len(some)
        assert said == [(verdict == "passed", verdict == "waiting") for verdict in verdicts]


@settings(max_examples=40)
@given(
    st.lists(calls(FIELDS), min_size=1, max_size=6),
    st.lists(filter_sets(FIELDS), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(CHANNELS), st.sampled_from((*CHANNELS, "@nobody"))), max_size=3).map(Merges.of),
)
def test_channels_that_are_one_are_one_in_the_past_as_well(
    some: list[ValuesCall], sets: list[FilterSet], merges: Merges
) -> None:
    known = [replace(call, channel=merges.known_as(call)) for call in some]
    for one in sets:
        live = [explain(replace(one, enabled=True), call, FIELDS).outcome == "passed" for call in known]
        condition = condition_of(naming_all(one, merges.ids_of), FIELDS)
        for decided in (some, known):  # before it was said, and since
            said = table([decided_call(call) for call in decided], FIELDS).select(passes=condition.passes)["passes"]
            assert said.to_list() * (len(some) if len(said) == 1 else 1) == live


@given(st.sampled_from([float("nan"), float("inf"), -float("inf"), -0.0]), st.booleans(), calls(FEW))
def test_strange_ends_of_a_range(end: float, is_minimum: bool, call: ValuesCall) -> None:  # noqa: FBT001 - drawn
    limits = Range(end, None) if is_minimum else Range(None, end)
    one = FilterSet(user_id=ME, number=1, name="", rules={"field_0": limits})
    said = table([decided_call(call)], FEW).select(condition_of(one, FEW).passes).item()
    assert said == explain(one, call, FEW).passed


class Step(Struct, frozen=True):
    """Somebody else changes something, then a call is made after a while."""

    after: timedelta
    other_joins: bool
    is_stale: bool
    token: str
    channel: str
    values: tuple[float | str | None, ...]


PAUSES = [
    timedelta(),
    timedelta(minutes=1),
    timedelta(minutes=40),
    timedelta(hours=1),
    timedelta(days=3),
    timedelta(14),
]
steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([*PAUSES[:4], *PAUSES[:4], *PAUSES]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from([False, False, False, False, False, True]),
        st.sampled_from(["a", "a", "b"]),
        st.sampled_from(CHANNELS),
        st.tuples(*(values_of(field.unit) for field in FEW[:-1])),
    ),
    max_size=25,
)
my_rules = st.lists(rules(FEW), min_size=1, max_size=3)


def step(token: str, after: timedelta = timedelta()) -> Step:
    return Step(after=after, other_joins=False, is_stale=False, token=token, channel=CHANNELS[0], values=(None, None))


@settings(max_examples=40)
@example([step("a"), step("a", timedelta(14)), step("b")], [{}])  # two at one moment, of which one comes again
@given(steps, my_rules)
def test_a_replay_accepts_what_the_matcher_accepted(plan: list[Step], mine: list[dict[str, Rule]]) -> None:
    compare(plan, [FilterSet(user_id=ME, number=n, name="", rules=r) for n, r in enumerate(mine, start=1)])


@pytest.mark.parametrize("seed", range(2))
def test_so_it_does_over_months_of_a_busy_market(seed: int) -> None:
    random = Random(seed)
    plan = [
        Step(
            after=random.choices(PAUSES, [30, 30, 10, 5, 1, 0.1])[0],
            other_joins=random.random() < 0.2,
            is_stale=random.random() < 0.05,
            token=f"token {random.randrange(8)}",
            channel=random.choice(CHANNELS),
            values=(random.choices([0.0, 1.0, None], [20, 1, 1])[0], random.choice(["a cat", "a dog", None])),
        )
        for _ in range(2_500)
    ]
    likes: list[dict[str, Rule]] = [{"field_0": Range(1.0)}, {"field_0": Range(1.0, missing="wait", wait_minutes=5)}]
    likes.append({"field_0": Range(1.0, missing="pass"), "field_1": Words(("cat",))})
    assert compare(plan, [FilterSet(user_id=ME, number=n, name="", rules=likes[n]) for n in (1, 2)]) > 20
    assert compare(plan, [FilterSet(user_id=ME, number=1, name="", rules=likes[0])]) > 20


def compare(plan: Sequence[Step], sets: Sequence[FilterSet]) -> int:
    """Hold a replay against the matcher; return how many were accepted."""
    matcher = Matcher(FEW)
    matcher.put_subscriber(ME, sets)
    stored, accepted = live(matcher, plan)
    mine, also = Replay(sets, FEW), Replay([FilterSet(user_id=ME, number=9, name="", rules={})], FEW)
    for _, day in groupby(enumerate(stored), key=lambda one: one[1].decided_at.date()):
        rows = [row_of(one, number, FEW) for number, one in day]
        last = rows[-1][5]
        assert isinstance(last, datetime)
        replay([mine, also], frame((*ABOUT, *filter_columns(FEW)), rows).lazy(), last)
    assert mine.accepted().select("call_id", "set_number").rows() == accepted
    return len(accepted)


def live(matcher: Matcher, plan: Sequence[Step]) -> tuple[list[DecidedCall], list[tuple[str, int]]]:
    """What is stored of these calls, and which of them were accepted for me, by which set."""
    now, stored, accepted = AT_FIRST, list[DecidedCall](), list[tuple[str, int]]()
    for number, step in enumerate(plan):
        now += step.after
        if step.other_joins:
            other = ME + 1 + number % 3
            rules = {"field_0": Range(1.0, None)} if number % 2 else {"gone": Range()}
            matcher.put_subscriber(other, [FilterSet(user_id=other, number=1, name="", rules=dict(rules))])
        call = ValuesCall(
            id=f"call-{number}",
            token=Token(address=step.token),
            channel=Channel(id=step.channel),
            called_at=now,
            received_at=now,
            values=step.values,
        )
        if step.is_stale:
            stored.append(decided_call(call, now, "stale"))
            continue
        decision = matcher.decide(call, now)
        if decision.reason != "already_checked":
            stored.append(decided_call(call, now, decision.reason))
        accepted += [(call.id, set_number) for user_id, set_number in decision.accepted if user_id == ME]
    return stored, accepted
