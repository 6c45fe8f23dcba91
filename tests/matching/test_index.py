from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.filters.explanation import Verdict, explain, fits
from domain.filters.registry import FIELDS, Choice, FilterSet, Missing, Range, Rule, Unit, Words
from domain.matching.bits import Sparse, pack, rows_in
from domain.matching.choices import ChoiceColumn
from domain.matching.index import FilterIndex
from domain.matching.labels import RowLabels
from domain.matching.ranges import choose_edges
from domain.matching.thresholds import FieldRules
from tests.filters.oracle import passes
from tests.filters.strategies import CHANNEL, KINDS, NOON, ValuesCall, call_with, calls, filter_sets, merged, registry

Identity = tuple[int, int]


def found(index: FilterIndex, call: ValuesCall) -> list[Identity]:
    return identities(index, index.match(call))


def identities(index: FilterIndex, rows: np.ndarray) -> list[Identity]:
    return sorted(zip(index.owners[rows].tolist(), index.numbers[rows].tolist(), strict=True))


class IndexAgreesWithThePlainPredicate(RuleBasedStateMachine):
    """After any sequence of changes every call gets the answer of `passes`, one by one and in batches."""

    @initialize(data=st.data(), size=st.integers(0, 9), max_edges=st.integers(1, 9))
    def begin(self, data: st.DataObject, size: int, max_edges: int) -> None:
        self.size = size
        self.fields = registry(size, KINDS)
        self.index = FilterIndex(self.fields, max_edges)
        self.sets: dict[Identity, FilterSet] = {}
        self.recurring = data.draw(st.lists(calls(self.fields, merged), min_size=2, max_size=2))
        alike = {"choice": "a", "text": "cat"}
        self.recurring += [
            call_with([alike.get(field.unit, number) for field in self.fields[:-1]]) for number in (1.0, 1.5)
        ]
        self.recurring.append(call_with([None] * size))

    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        filter_set = data.draw(filter_sets(self.fields, users=2, sets=2))
        self.index.put(filter_set)
        self.sets[filter_set.user_id, filter_set.number] = filter_set

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        filter_set = data.draw(filter_sets(self.fields, users=2, sets=2))
        self.index.remove(filter_set.user_id, filter_set.number)
        self.sets.pop((filter_set.user_id, filter_set.number), None)

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(filter_sets(self.fields, users=40), max_size=20))
        self.index.load(some)
        self.sets |= {(filter_set.user_id, filter_set.number): filter_set for filter_set in some}

    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        """More rows than there is room for, alike but for their owners."""
        pattern = data.draw(filter_sets(self.fields))
        more = [msgspec.structs.replace(pattern, user_id=2**41 + number) for number in range(len(self.index) + 70)]
        self.index.load(more)
        self.sets |= {(filter_set.user_id, filter_set.number): filter_set for filter_set in more}

    @rule()
    def rebuild(self) -> None:
        self.index.rebuild()

    @rule(data=st.data())
    def match(self, data: st.DataObject) -> None:
        for call in data.draw(st.lists(calls(self.fields, merged), min_size=1, max_size=3)):
            assert found(self.index, call) == self.expected(call)

    @rule(data=st.data())
    def match_batch(self, data: st.DataObject) -> None:
        batch = data.draw(st.lists(calls(self.fields, merged), max_size=5))
        answers = [identities(self.index, rows) for rows in self.index.match_batch(batch)]
        assert answers == [self.expected(call) for call in batch]

    @precondition(lambda self: self.sets)
    @rule(data=st.data())
    def leave_out_the_seen(self, data: st.DataObject) -> None:
        users = sorted({user_id for user_id, _ in self.sets})
        seen_users = data.draw(st.sets(st.sampled_from(users)))
        seen = self.index.bitmap()
        self.index.mark(seen, np.array([self.index.slot(user) for user in seen_users], dtype=np.int32))
        call = data.draw(calls(self.fields, merged))
        answer = identities(self.index, self.index.match(call, seen))
        assert answer == [identity for identity in self.expected(call) if identity[0] not in seen_users]
        waiting = self.waiting(call, seen)
        assert waiting == {
            who: why for who, why in self.expected_waiting(self.verdicts(call)).items() if who[0] not in seen_users
        }

    @invariant()
    def calls_that_recur_get_the_answer_of_the_moment(self) -> None:
        if hasattr(self, "sets"):
            for call in self.recurring:
                verdicts = self.verdicts(call)
                passed = [identity for identity, verdict in verdicts.items() if verdict.passed]
                assert found(self.index, call) == sorted(passed)
                assert self.waiting(call) == self.expected_waiting(verdicts)

    @invariant()
    def a_row_for_each_set_that_can_match(self) -> None:
        if hasattr(self, "sets"):
            units: dict[str, Unit] = {field.key: field.unit for field in self.fields}
            able = [
                all(key in units and fits(rule, units[key]) for key, rule in s.rules.items())
                for s in self.sets.values()
                if s.enabled
            ]
            assert len(self.index) == sum(able)

    def waiting(self, call: ValuesCall, seen: np.ndarray | None = None) -> dict[Identity, dict[str, int]]:
        index = self.index
        return {
            (int(index.owners[row]), int(index.numbers[row])): {
                self.fields[position].key: minutes for position, minutes in waits
            }
            for row, waits in index.waiting(call, seen)
        }

    def verdicts(self, call: ValuesCall) -> dict[Identity, Verdict]:
        return {identity: explain(s, call, self.fields) for identity, s in self.sets.items()}

    def expected_waiting(self, verdicts: dict[Identity, Verdict]) -> dict[Identity, dict[str, int]]:
        return {
            identity: {rule.key: rule.rule.wait_minutes for rule in verdict.rules if rule.outcome == "waiting"}
            for identity, verdict in verdicts.items()
            if verdict.outcome == "waiting"
        }

    def expected(self, call: ValuesCall) -> list[Identity]:
        return sorted(identity for identity, s in self.sets.items() if passes(s, call, self.fields))


TestIndexAgreesWithThePlainPredicate = IndexAgreesWithThePlainPredicate.TestCase
TestIndexAgreesWithThePlainPredicate.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)


def set_of(
    user_id: int, number: int = 1, some: dict[str, Rule] | None = None, *, enabled: bool = True, **rules: Rule
) -> FilterSet:
    return FilterSet(user_id=user_id, number=number, name="", enabled=enabled, rules={**(some or {}), **rules})


def only(*values: str) -> Choice:
    return Choice(frozenset(values))


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000, 9000])
def test_answers_survive_growing_one_by_one(rows: int) -> None:
    index = FilterIndex(registry(2))
    for user_id in range(rows):
        index.put(set_of(user_id, field_0=Range(float(user_id % 50), None)))
    assert len(index) == rows
    expected = [(user_id, 1) for user_id in range(rows) if user_id % 50 <= 25]
    assert found(index, call_with([25.0, None])) == expected


def test_many_rules_in_one_set() -> None:
    """More thresholds than fit the slots of a row, next to sets with few, changed back and forth."""
    fields = registry(12)
    index = FilterIndex(fields)
    many: dict[str, Rule] = {field.key: Range(1.0, 3.0) for field in fields[:-1]}
    few: dict[str, Rule] = {"field_3": Range(2.0, 3.0)}
    index.load([set_of(1, some=many), set_of(2, some=few)])
    index.put(set_of(3, some=many))
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
    index.put(set_of(1, some=few))
    index.put(set_of(2, some=many))
    index.rebuild()
    assert found(index, outside) == [(1, 1)]
    assert found(index, inside) == [(1, 1), (2, 1), (3, 1)]


def test_more_channels_than_bitmaps_are_kept_for() -> None:
    column = ChoiceColumn(CHANNEL, 1, max_bitmaps=2)
    for row in range(20):
        column.write(row, only(f"@{row}", f"@{row + 1}"))
    empty, into = column.nbytes, np.zeros(1, dtype=np.uint64)
    for _ in range(2):
        for number in range(1, 20):
            listening = column.passing(f"@{number}", into) & np.uint64(2**20 - 1)
            assert rows_in(Sparse.of(listening)).tolist() == [number - 1, number]
    assert column.nbytes == empty + 2 * 8


def test_a_channel_with_two_names_passes_by_either_and_is_excluded_by_either() -> None:
    index = FilterIndex(registry(0))
    rules = {
        1: only("@old"),
        2: only("@new"),
        3: only("@else"),
        4: Choice(excluded=frozenset({"@old"})),
        5: Choice(frozenset({"@old"}), frozenset({"@new"})),
        6: Choice(frozenset({"@new", "@old"}), frozenset({"@else"})),
    }
    index.load([set_of(number, channel=rule) for number, rule in rules.items()])
    call = call_with(channel="@new", also=("@old",))
    for _ in range(2):
        assert found(index, call) == [(1, 1), (2, 1), (6, 1)]
    index.remove(5, 1)
    index.put(set_of(7, channel=only("@old")))  # in the row of the one that excluded it
    assert found(index, call) == [(1, 1), (2, 1), (6, 1), (7, 1)]
    assert found(index, call_with(channel="@new")) == [(2, 1), (4, 1), (6, 1)], "apart again"


def test_changing_channels_again_and_again_takes_no_more_memory() -> None:
    index = FilterIndex(registry(0))
    for turn in range(1000):
        index.put(set_of(turn % 7, channel=only(f"@{turn % 5}", f"@{turn % 3}")))
    assert index.memory_bytes() < 20_000
    assert found(index, call_with(channel="@4")) == [(994 % 7, 1), (999 % 7, 1)]


def test_a_rule_without_bounds_still_wants_a_value() -> None:
    index = FilterIndex(registry(2))
    index.load([set_of(1, field_0=Range()), set_of(2)])
    index.put(set_of(3, field_0=Range()))
    for _ in range(2):
        assert found(index, call_with([None, None])) == [(2, 1)]
        assert found(index, call_with([math.inf, None])) == [(1, 1), (2, 1), (3, 1)]
        index.rebuild()


def test_a_reused_row_belongs_to_its_new_owner_only() -> None:
    index = FilterIndex(registry(1))
    index.put(set_of(1, field_0=Range(5.0, None), channel=only("@alpha")))
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
    index.put(set_of(1, channel=only("@alpha")))
    index.put(set_of(2))
    assert len(index) == 2
    index.put(set_of(1, channel=only("@alpha"), enabled=False))
    index.put(set_of(2, enabled=False))
    assert len(index) == 0
    assert found(index, call_with()) == []


def test_the_last_of_several_loaded_with_one_identity_stays() -> None:
    index = FilterIndex(registry(1))
    index.load([set_of(1, field_0=Range(9.0)), set_of(1, field_0=Range(1.0))])
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
    index.put(set_of(1, token_age_s=Range(None, 60.0)))
    fresh = call_with()
    assert found(index, fresh) == []
    token = msgspec.structs.replace(fresh.token, created_at=NOON)
    assert found(index, msgspec.structs.replace(fresh, token=token)) == [(1, 1)]


def test_a_field_that_nobody_has_a_rule_on_any_more_costs_nothing() -> None:
    def never(_: object) -> float:
        raise AssertionError("asked in vain")

    fields = (msgspec.structs.replace(registry(1)[0], value=never), CHANNEL)
    index = FilterIndex(fields)
    assert found(index, call_with()) == []
    index.put(set_of(1, field_0=Range(1.0, missing="wait", wait_minutes=1)))
    index.put(set_of(1))
    assert found(index, call_with()) == [(1, 1)]
    assert index.waiting(call_with()) == []


def test_memory_grows_with_the_fields_in_use_only() -> None:
    sizes: list[int] = []
    for fields in (registry(1), registry(200)):
        index = FilterIndex(fields)
        index.load(set_of(user_id, field_0=Range(float(user_id))) for user_id in range(1000))
        sizes.append(index.memory_bytes())
    assert sizes[0] == sizes[1]


def test_edges_come_with_rules_however_they_come() -> None:
    """Loaded at once or put one by one, no call leaves more than a fraction of the rows to be verified."""
    sets = [set_of(user_id, field_0=Range(float(user_id), float(user_id))) for user_id in range(1000)]
    loaded, grown = FilterIndex(registry(1)), FilterIndex(registry(1))
    loaded.load(sets)
    for filter_set in sets:
        grown.put(filter_set)
    for index in (loaded, grown):
        columns = index._columns  # pyright: ignore[reportPrivateUsage] - no answer shows what was verified in vain
        (column,) = columns._ranges  # pyright: ignore[reportPrivateUsage] - likewise
        everybody = pack(np.arange(1024) < 1000)
        counts = [int(np.bitwise_count(bitmap[:16] & everybody).sum()) for bitmap in column.views[:-1]]
        assert len(column.edges) == 127
        assert max(counts) <= 600, "half of the rules came after the last choice of edges"


def test_labels_that_nobody_has_are_forgotten() -> None:
    labels: RowLabels[str] = RowLabels()
    for turn in range(1000):
        labels.write(turn % 5, f"label {turn}")
        labels.write(70, None)
    assert labels.count == 5
    assert labels.of(70) is None
    assert labels.of(4) == "label 999"
    assert labels.nbytes < 5_000


def test_words_are_looked_for_in_whom_nothing_else_left_out() -> None:
    fields = registry(2, ["count", "text"])
    index = FilterIndex(fields)
    index.load(set_of(user, field_0=Range(float(user)), field_1=Words(("cat",), ("inu",))) for user in range(200))
    assert found(index, call_with([2.0, "CAT"])) == [(0, 1), (1, 1), (2, 1)]
    assert found(index, call_with([2.0, "cat inu"])) == []
    batch = [call_with([1.0, "a cat"]), call_with([500.0, None]), call_with([0.0, "Cat"])]
    assert [identities(index, rows) for rows in index.match_batch(batch)] == [[(0, 1), (1, 1)], [], [(0, 1)]]


@pytest.mark.parametrize("missing", ["fail", "pass", "wait"])
@pytest.mark.parametrize("kind", [Range, Choice, Words])
@pytest.mark.parametrize("loaded", [True, False])
def test_a_rule_leaves_nothing_behind(kind: type[Rule], missing: Missing, loaded: bool) -> None:  # noqa: FBT001 - a table
    """Whatever a set had, once it is changed, moved to another or freed, every call is answered as if it never had."""
    units: dict[type[Rule], Unit] = {Range: "change", Choice: "choice", Words: "text"}
    some_rules: dict[type[Rule], list[Rule]] = {
        Range: [Range(1.0, 2.0), Range(None, -1.0)],
        Choice: [only("a"), Choice(frozenset(), frozenset("a"))],
        Words: [Words(("a",)), Words((), ("a",))],
    }
    fields = registry(1, [units[kind]])
    known = {Range: (-5.0, 1.5, 9.0), Choice: ("a", "b", "c"), Words: ("a", "b", "")}
    incoming = [call_with([value]) for value in (None, *known[kind])]
    one, other = (msgspec.structs.replace(rule, missing=missing, wait_minutes=5) for rule in some_rules[kind])
    index = FilterIndex(fields)
    index.load([set_of(1, field_0=one)] if loaded else [])
    nothing: dict[str, Rule] = {}
    had, has = {"field_0": one}, {"field_0": other}
    steps = [(1, had), (1, has), (1, nothing), (1, had), (2, nothing), (1, None), (3, nothing), (2, has)]
    sets: dict[int, FilterSet] = {}
    for user_id, some in steps:
        if some is None:
            index.remove(user_id, 1)
            sets.pop(user_id)
        else:
            sets[user_id] = set_of(user_id, 1, some)
            index.put(sets[user_id])
        for call in incoming:
            verdicts = {user: explain(filter_set, call, fields).outcome for user, filter_set in sets.items()}
            assert found(index, call) == [(user, 1) for user in sorted(sets) if verdicts[user] == "passed"]
            waiting = [int(index.owners[row]) for row, _ in index.waiting(call)]
            assert sorted(waiting) == [user for user in sorted(sets) if verdicts[user] == "waiting"]
