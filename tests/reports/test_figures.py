"""Each token counts once, what is not known is left out and counted, and nothing is better than it was."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from domain.reports.figures import (
    TrackedCall,
    best_of,
    held_for_a_day,
    multiples_of,
    person_figures,
    sold_at_best,
    standing_of,
)
from domain.tracking.outcome import Outcome
from domain.tracking.records import MIN_TOKENS

NOW = datetime(2026, 11, 27, 20, tzinfo=UTC)
DAY_S = 86_400
known = st.none() | st.floats(0, 100)


@st.composite
def tracked(draw: st.DrawFn) -> TrackedCall:
    called_at = NOW.timestamp() - draw(st.integers(1, 7 * DAY_S))
    ended = draw(st.booleans())
    after_a_day = draw(known)
    outcome = Outcome(
        token=draw(st.sampled_from("abcdefgh")),
        channel=0,
        called_at=called_at,
        price_usd=1.0,
        peak_multiple=draw(st.floats(1, 1000)),
        peak_after_s=0.0,
        reachable_multiple=draw(known),
        returns={} if after_a_day is None else {DAY_S: after_a_day},
        ended_at=called_at + draw(st.integers(1, 2 * DAY_S)) if ended else None,
        ending="liquidity" if ended else None,
    )
    return TrackedCall(number=draw(st.integers(1, 10**6)), name="n", channel="c", outcome=outcome, told_at=called_at)


calls = st.lists(tracked(), min_size=1, max_size=30)


@given(calls)
def test_each_token_counts_once_everywhere(some: list[TrackedCall]) -> None:
    tokens = len({call.outcome.token for call in some})
    assert len(multiples_of(some)) == tokens
    assert person_figures(some, NOW, None).record.tokens == tokens
    assert len(best_of(some, 99)) == tokens
    standing = standing_of("x", some, NOW)
    assert standing.tokens == tokens
    assert (standing.wins is None) == (tokens < MIN_TOKENS)
    for curve in (sold_at_best(some), held_for_a_day(some)):
        assert len(curve.points) + curve.missing == tokens


@given(calls)
def test_a_curve_never_falls_below_what_was_staked(some: list[TrackedCall]) -> None:
    for curve in (sold_at_best(some), held_for_a_day(some)):
        assert [point.at for point in curve.points] == sorted(point.at for point in curve.points)
        staked = range(1, len(curve.points) + 1)
        assert all(point.won >= -stakes - 1e-9 for point, stakes in zip(curve.points, staked, strict=True))


@given(calls)
def test_the_best_is_first_and_says_at_least_while_it_is_open(some: list[TrackedCall]) -> None:
    figures = person_figures(some, NOW, None)
    multiples = [call.multiple for call in figures.best]
    assert multiples == sorted(multiples, reverse=True)
    assert multiples[0] == max(multiples_of(some))
    certain = {call.number for call in some if call.outcome.ended_at is not None}
    assert all(call.is_least or call.number in certain for call in figures.best)


def test_what_was_dead_by_then_is_lost_and_what_nobody_priced_is_left_out() -> None:
    def call(token: str, ended_after_s: float | None, returned: float | None) -> TrackedCall:
        at = NOW.timestamp() - 3 * DAY_S
        outcome = Outcome(
            token=token,
            channel=0,
            called_at=at,
            price_usd=1.0,
            peak_multiple=1.0,
            peak_after_s=0.0,
            returns={} if returned is None else {DAY_S: returned},
            ended_at=None if ended_after_s is None else at + ended_after_s,
            ending=None if ended_after_s is None else "silence",
        )
        return TrackedCall(number=1, name="n", channel="c", outcome=outcome)

    curve = held_for_a_day([call("a", 60, None), call("b", None, None), call("c", 2 * DAY_S, None), call("d", None, 3)])
    assert curve.missing == 2
    assert [point.won for point in curve.points] == [-1.0, 1.0]
