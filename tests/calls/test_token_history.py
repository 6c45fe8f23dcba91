from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.calls import figures
from domain.calls.events import Origin, PriceTick, Token
from domain.calls.token_history import REMEMBERED_FOR, Past, TokenHistory
from tests.feed.support import address

START = datetime(2026, 11, 20, tzinfo=UTC)
TOKEN = address(1)
DISTINCT = st.lists(
    st.tuples(st.integers(0, 500), st.sampled_from("abcd"), st.none() | st.floats(1, 1e6)),
    min_size=1,
    max_size=12,
    unique_by=lambda call: call[0],
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def tick(seconds: float, market_cap_usd: float | None, token: str = TOKEN) -> PriceTick:
    return PriceTick(token_address=token, price_usd=1.0, market_cap_usd=market_cap_usd, at=at(seconds))


@given(DISTINCT, st.integers())
def test_what_is_said_of_a_call_depends_on_the_times_of_the_calls_alone(
    calls: list[tuple[int, str, float | None]], seed: int
):
    history, order = TokenHistory(), list(calls)
    Random(seed).shuffle(order)
    for seconds, channel, cap in order[: len(order) // 2]:
        history.restore(TOKEN, channel, at(seconds), cap)
    for seconds, channel, cap in order:
        history.add(TOKEN, channel, at(seconds), cap)
    first = min(calls)
    for seconds, channel, cap in calls:
        channels = {other for time, other, _ in calls if time <= seconds}
        assert history.add(TOKEN, channel, at(seconds), cap) == Past(len(channels), first[2], first[1])


def test_of_calls_at_the_same_moment_the_one_that_arrived_first_is_the_first():
    history = TokenHistory()
    assert history.add(TOKEN, "a", START, 5.0) == Past(1, 5.0, "a")
    assert history.add(TOKEN, "b", START, 7.0) == Past(2, 5.0, "a")
    assert history.add(TOKEN, "a", START, 5.0) == Past(1, 5.0, "a")
    assert history.add(address(2), "b", START, None) == Past(1, None, "b")


def test_a_first_call_without_a_value_can_say_it_later_and_nobody_else_for_it():
    history = TokenHistory()
    assert history.add(TOKEN, "a", START, None) == Past(1, None, "a")
    assert history.add(TOKEN, "b", at(5), 9.0) == Past(2, None, "a")
    assert history.add(TOKEN, "a", START, 4.0) == Past(1, 4.0, "a")


def test_after_two_weeks_of_silence_a_token_is_new():
    history = TokenHistory()
    history.add(TOKEN, "a", START, 5.0)
    history.add(TOKEN, "b", START + REMEMBERED_FOR, 6.0)
    assert history.add(TOKEN, "c", START + REMEMBERED_FOR, 7.0) == Past(3, 5.0, "a")
    assert history.add(TOKEN, "c", START + 2 * REMEMBERED_FOR + timedelta(seconds=1), 8.0) == Past(1, 8.0, "c")


def test_history_is_bounded_and_the_past_never_pushes_out_the_present():
    history = TokenHistory(max_tokens=3)
    for number in range(5):
        history.add(address(number + 1), "a", at(number), 1.0)
    assert len(history) == 3
    history.restore(address(9), "a", START, 1.0)
    history.restore(address(5), "b", START, 2.0)
    assert len(history) == 3
    assert history.add(address(5), "c", at(9), 3.0) == Past(3, 2.0, "b")
    assert history.add(address(9), "b", at(9), 3.0) == Past(1, 3.0, "b")


def test_channels_of_one_token_are_bounded():
    history = TokenHistory()
    said = [history.add(TOKEN, f"@{number}", at(number), 1.0).calling_channels for number in range(600)]
    assert said[:500] == list(range(1, 501))
    assert set(said[500:]) == {501}


def origin(seconds: float) -> Origin:
    return Origin("test", at(seconds))


def test_a_gap_is_filled_by_the_first_who_knows_and_says_where_from():
    own = Token(address=TOKEN, holders=5)
    unknown_origin = Token(address=TOKEN, price_usd=9.0)
    first = figures.attributed(Token(address=TOKEN, holders=6, mint_revoked=False), origin(1))
    second = figures.attributed(Token(address=TOKEN, mint_revoked=True, website=""), origin(2))
    filled = figures.completed(own, unknown_origin, first, second)
    assert filled == Token(
        address=TOKEN,
        holders=5,
        mint_revoked=False,
        website="",
        origins={"mint_revoked": origin(1), "website": origin(2)},
    )
    assert figures.completed(filled, first, second) is filled


def test_each_figure_is_taken_from_where_it_is_newest():
    old = figures.attributed(Token(address=TOKEN, holders=6, dex="a", price_usd=1.0), origin(1))
    new = figures.attributed(Token(address=TOKEN, holders=7, dex="b"), origin(2))
    also_new = figures.attributed(Token(address=TOKEN, dex="c"), origin(2))
    found = figures.newest(TOKEN, [old, new, also_new])
    assert (found.holders, found.dex, found.price_usd) == (7, "b", 1.0)
    assert found.origins == {"holders": origin(2), "dex": origin(2), "price_usd": origin(1)}
    assert figures.newest(TOKEN, []) == Token(address=TOKEN)
