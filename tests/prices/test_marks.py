"""A mark that is off by a thousand is set aside; a price that did move so far is believed when it is borne out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.prices.marks import COUNTS_FOR, Marks
from domain.prices.readings import PriceReading, TokenRef

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINT = TokenRef("2g4LS3y2myPe6vj9wTvoBE1wKqxvhnZPoZA9QU9upump")


def mark(price_usd: float, source: str = "one", after_s: float = 0.0) -> PriceReading:
    return PriceReading(token=MINT, price_usd=price_usd, at=AT + timedelta(seconds=after_s), source=source)


def test_a_single_mark_off_by_ten_thousand_is_never_seen() -> None:
    marks = Marks()
    said = [mark(1e-5), mark(1.1e-5), mark(0.11), mark(1.2e-5, "two"), mark(0.12), mark(1.3e-5)]
    assert [marks.believes(one) for one in said] == [True, True, False, True, False, True]


def test_a_second_source_bears_it_out() -> None:
    marks = Marks()
    assert marks.believes(mark(1.0))
    assert not marks.believes(mark(1e-5))
    assert marks.believes(mark(1.2e-5, "two"))
    assert marks.believes(mark(1.1e-5))


def test_two_sources_that_are_off_in_different_ways_bear_out_neither() -> None:
    marks = Marks()
    assert marks.believes(mark(1.0))
    assert not marks.believes(mark(1e-5))
    assert not marks.believes(mark(1e5, "two"))


def test_where_there_is_one_source_it_has_to_insist() -> None:
    marks = Marks()
    said = [mark(1.0), mark(1e-4), mark(1e-4), mark(1.1e-4), mark(1e-4)]
    assert [marks.believes(one) for one in said] == [True, False, False, True, True]


def test_after_half_an_hour_there_is_nothing_to_hold_it_against() -> None:
    marks = Marks()
    assert marks.believes(mark(1.0))
    assert not marks.believes(mark(1e-4, after_s=COUNTS_FOR.total_seconds()))
    marks = Marks()
    assert marks.believes(mark(1.0))
    assert marks.believes(mark(1e-4, after_s=COUNTS_FOR.total_seconds() + 1))


def test_only_so_many_tokens_are_remembered() -> None:
    marks = Marks(max_tokens=2)
    for name in ("a", "b", "a", "c"):
        marks.believes(PriceReading(token=TokenRef(name), price_usd=1.0, at=AT, source="one"))
    assert len(marks) == 2
    assert not marks.believes(PriceReading(token=TokenRef("a"), price_usd=1e4, at=AT, source="one"))
    assert marks.believes(PriceReading(token=TokenRef("b"), price_usd=1e4, at=AT, source="one"))


@given(
    st.lists(st.floats(0.5, 2.0), min_size=1, max_size=30),
    st.dictionaries(st.integers(0, 29), st.sampled_from([1e-4, 1e4, 1e-6]), max_size=4),
)
def test_single_faults_pass_never_and_prices_between_them_always(moves: list[float], faults: dict[int, float]) -> None:
    marks, price_usd = Marks(), 1.0
    assert marks.believes(mark(price_usd))
    was_off = False
    for number, move in enumerate(moves):
        price_usd = min(10.0, max(0.1, price_usd * move))
        is_off = number in faults and not was_off
        said = price_usd * (faults[number] if is_off else 1.0)
        assert marks.believes(mark(said, after_s=number)) != is_off
        was_off = is_off
