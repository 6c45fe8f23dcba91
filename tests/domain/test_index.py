from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.bits import rows_in
from domain.explanation import passes
from domain.filters import FIELDS, FilterSet, Range
from domain.index import FilterIndex, choose_edges
from domain.listeners import ChannelListeners
from domain.thresholds import FieldRules
from tests.domain.strategies import NOON, ValuesCall, call_with, calls, filter_sets, registry

Identity = tuple[int, int]


def found(index: FilterIndex, call: ValuesCall) -> list[Identity]:
    return identities(index, index.match(call))


def identities(index: FilterIndex, rows: np.ndarray) -> list[Identity]:
    return sorted(zip(index.owners[rows].tolist(), index.numbers[rows].tolist(), strict=True))


class IndexAgreesWithThePlainPredicate(RuleBasedStateMachine):
    """After any sequence of changes every call gets the answer of `passes`, one by one and in batches."""

    @initialize(data=st.data(), size=st.integers(0, 7), max_edges=st.integers(1, 9))
    def begin(self, data: st.DataObject, size: int, max_edges: int) -> None:
        self.size = size
        self.fields = registry(size)
        self.index = FilterIndex(self.fields, max_edges)
        self.sets: dict[Identity, FilterSet] = {}
        self.recurring = data.draw(st.lists(calls(size), min_size=3, max_size=3))
        self.recurring += [call_with([number] * size) for number in (1.0, 1.5, 2.0)]

    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        filter_set = data.draw(filter_sets(self.size, users=2, sets=2))
        self.index.put(filter_set)
        self.sets[filter_set.user_id, filter_set.number] = filter_set

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        filter_set = data.draw(filter_sets(self.size, users=2, sets=2))
        self.index.remove(filter_set.user_id, filter_set.number)
        self.sets.pop((filter_set.user_id, filter_set.number), None)

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(filter_sets(self.size, users=40), max_size=20))
        self.index.load(some)
        self.sets |= {(filter_set.user_id, filter_set.number): filter_set for filter_set in some}

    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        """More rows than there is room for, alike but for their owners."""
        pattern = data.draw(filter_sets(self.size))
        more = [msgspec.structs.replace(pattern, user_id=2**41 + number) for number in range(len(self.index) + 70)]
        self.index.load(more)
        self.sets |= {(filter_set.user_id, filter_set.number): filter_set for filter_set in more}

    @rule()
    def rebuild(self) -> None:
        self.index.rebuild()

    @rule(data=st.data())
    def match(self, data: st.DataObject) -> None:
        for call in data.draw(st.lists(calls(self.size), min_size=1, max_size=3)):
            assert found(self.index, call) == self.expected(call)

    @rule(data=st.data())
    def match_batch(self, data: st.DataObject) -> None:
        batch = data.draw(st.lists(calls(self.size), max_size=5))
        answers = [identities(self.index, rows) for rows in self.index.match_batch(batch)]
        assert answers == [self.expected(call) for call in batch]

    @precondition(lambda self: self.sets)
    @rule(data=st.data())
    def leave_out_the_seen(self, data: st.DataObject) -> None:
        users = sorted({user_id for user_id, _ in self.sets})
        seen_users = data.draw(st.sets(st.sampled_from(users)))
        seen = self.index.bitmap()
        self.index.mark(seen, np.array([self.index.slot(user) for user in seen_users], dtype=np.int32))
        call = data.draw(calls(self.size))
        answer = identities(self.index, self.index.match(call, seen))
        assert answer == [identity for identity in self.expected(call) if identity[0] not in seen_users]

    @invariant()
    def calls_that_recur_get_the_answer_of_the_moment(self) -> None:
        if hasattr(self, "sets"):
            for call in self.recurring:
                assert found(self.index, call) == self.expected(call)

    @invariant()
    def a_row_for_each_set_that_can_match(self) -> None:
        if hasattr(self, "sets"):
            known = {field.key for field in self.fields}
            assert len(self.index) == sum(s.enabled and s.ranges.keys() <= known for s in self.sets.values())

    def expected(self, call: ValuesCall) -> list[Identity]:
        return sorted(identity for identity, s in self.sets.items() if passes(s, call, self.fields))


TestIndexAgreesWithThePlainPredicate = IndexAgreesWithThePlainPredicate.TestCase
TestIndexAgreesWithThePlainPredicate.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)


def set_of(user_id: int, number: int = 1, **more: object) -> FilterSet:
    return msgspec.convert({"user_id": user_id, "number": number, "name": "", **more}, FilterSet)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000, 9000])
def test_answers_survive_growing_one_by_one(rows: int) -> None:
    index = FilterIndex(registry(2))
    for user_id in range(rows):
        index.put(set_of(user_id, ranges={"field_0": Range(float(user_id % 50), None)}))
    assert len(index) == rows
    expected = [(user_id, 1) for user_id in range(rows) if user_id % 50 <= 25]
    assert found(index, call_with([25.0, None])) == expected


def test_many_rules_in_one_set() -> None:
    """More thresholds than fit the slots of a row, next to sets with few, changed back and forth."""
    fields = registry(12)
    index = FilterIndex(fields)
    many = {field.key: Range(1.0, 3.0) for field in fields}
    few = {"field_3": Range(2.0, 3.0)}
    index.load([set_of(1, ranges=many), set_of(2, ranges=few)])
    index.put(set_of(3, ranges=many))
    inside = call_with([2.0] * 12)
    outside = call_with([2.0] * 11 + [math.nextafter(3.0, 4.0)])
    missing = call_with([2.0] * 11 + [None])
    assert found(index, inside) == [(1, 1), (2, 1), (3, 1)]
    assert found(index, outside) == [(2, 1)]
    assert found(index, missing) == [(2, 1)]
    assert [identities(index, rows) for rows in index.match_batch([outside, inside])] == [
        [(2, 1)],
        [(1, 1), (2, 1), (3, 1)],
    ]
    index.put(set_of(1, ranges=few))
    index.put(set_of(2, ranges=many))
    index.rebuild()
    assert found(index, outside) == [(1, 1)]
    assert found(index, inside) == [(1, 1), (2, 1), (3, 1)]


def test_more_channels_than_bitmaps_are_kept_for() -> None:
    listeners = ChannelListeners(64, max_bitmaps=2)
    for row in range(20):
        listeners.write(row, frozenset({f"@{row}", f"@{row + 1}"}))
    empty = listeners.nbytes
    for _ in range(2):
        for number in range(1, 20):
            bitmap = listeners.listening(f"@{number}")
            assert bitmap is not None
            assert rows_in(bitmap).tolist() == [number - 1, number]
    assert listeners.nbytes == empty + 2 * 8


def test_changing_channels_again_and_again_takes_no_more_memory() -> None:
    index = FilterIndex(registry(0))
    for turn in range(1000):
        index.put(set_of(turn % 7, channels=[f"@{turn % 5}", f"@{turn % 3}"]))
    assert index.memory_bytes() < 20_000
    assert found(index, call_with(channel="@4")) == [(994 % 7, 1), (999 % 7, 1)]


def test_a_rule_without_bounds_still_wants_a_value() -> None:
    index = FilterIndex(registry(2))
    index.load([set_of(1, ranges={"field_0": Range()}), set_of(2)])
    index.put(set_of(3, ranges={"field_0": Range()}))
    for _ in range(2):
        assert found(index, call_with([None, None])) == [(2, 1)]
        assert found(index, call_with([math.inf, None])) == [(1, 1), (2, 1), (3, 1)]
        index.rebuild()


def test_a_reused_row_belongs_to_its_new_owner_only() -> None:
    index = FilterIndex(registry(1))
    index.put(set_of(1, ranges={"field_0": Range(5.0, None)}, channels=["@alpha"]))
    version = index.version
    index.remove(1, 1)
    index.put(set_of(2))
    assert index.version > version
    assert found(index, call_with([1.0], channel="@beta")) == [(2, 1)]
    assert index.numbers_of(1) == []
    assert index.slot(1) != index.slot(2)


def test_a_bitmap_from_before_the_index_grew_is_refused() -> None:
    index = FilterIndex(registry(0))
    old = index.bitmap()
    index.load(set_of(user_id) for user_id in range(100))
    with pytest.raises(ValueError, match="older"):
        index.match(call_with(), old)


def test_a_set_that_is_switched_off_occupies_no_bit() -> None:
    index = FilterIndex(FIELDS)
    index.put(set_of(1, channels=["@alpha"]))
    index.put(set_of(2))
    assert len(index) == 2
    index.put(set_of(1, channels=["@alpha"], enabled=False))
    index.put(set_of(2, enabled=False))
    assert len(index) == 0
    assert found(index, call_with()) == []


def test_the_last_of_several_loaded_with_one_identity_stays() -> None:
    index = FilterIndex(registry(1))
    index.load([set_of(1, ranges={"field_0": Range(9.0)}), set_of(1, ranges={"field_0": Range(1.0)})])
    assert len(index) == 1
    assert found(index, call_with([2.0])) == [(1, 1)]


@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=60),
    st.integers(1, 8),
)
def test_edges_are_sorted_distinct_finite_and_few(limits: list[tuple[float, float]], max_edges: int) -> None:
    minimums, maximums = np.array(limits, dtype=np.float64).reshape(-1, 2).T
    edges = choose_edges(FieldRules(np.arange(len(limits)), minimums, maximums), max_edges)
    assert edges == sorted(set(edges))
    assert all(map(math.isfinite, edges))
    assert len(edges) <= max_edges


def test_thresholds_people_choose_most_become_edges() -> None:
    minimums = np.concatenate([np.full(500, 1000.0), np.full(300, 50_000.0), np.arange(200.0)])
    edges = choose_edges(FieldRules(np.arange(1000), minimums, np.full(1000, np.inf)), 10)
    assert {1000.0, 50_000.0} <= set(edges)
    assert len(edges) == 10


def test_the_registry_of_the_product_is_what_it_reads_by_default() -> None:
    index = FilterIndex()
    index.put(set_of(1, ranges={"token_age_s": Range(None, 60.0)}))
    fresh = call_with()
    assert found(index, fresh) == []
    token = msgspec.structs.replace(fresh.token, created_at=NOON)
    assert found(index, msgspec.structs.replace(fresh, token=token)) == [(1, 1)]
