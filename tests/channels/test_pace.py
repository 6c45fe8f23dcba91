from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.channels.names import channel_link, channel_named, post_link
from domain.channels.pace import PostRate, intervals_s

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LEAST_S, MOST_S = 10.0, 300.0


@given(
    rates=st.dictionaries(st.text(max_size=4), st.floats(1e-9, 10), max_size=40),
    requests_per_s=st.floats(0.01, 100),
)
def test_all_channels_together_keep_to_the_budget(rates: dict[str, float], requests_per_s: float) -> None:
    found = intervals_s(rates, requests_per_s=requests_per_s, at_least_s=LEAST_S, at_most_s=MOST_S)
    assert found.keys() == rates.keys()
    needed = sum(1 / interval for interval in found.values())
    assert needed <= requests_per_s * (1 + 1e-6)
    for one, interval in found.items():
        assert interval >= LEAST_S
        assert interval <= max(MOST_S, len(rates) / requests_per_s) * (1 + 1e-9)
        for other in found:
            assert rates[one] > rates[other] or interval >= found[other] or rates[one] == rates[other]


def test_with_room_for_all_each_is_looked_at_as_often_as_may_be() -> None:
    found = intervals_s({"a": 0.01, "b": 1e-6}, requests_per_s=10, at_least_s=LEAST_S, at_most_s=MOST_S)
    assert found == pytest.approx({"a": LEAST_S, "b": LEAST_S}, rel=1e-3)


def test_four_times_as_many_posts_are_looked_at_twice_as_often() -> None:
    found = intervals_s({"a": 0.04, "b": 0.01}, requests_per_s=0.05, at_least_s=LEAST_S, at_most_s=MOST_S)
    assert found["b"] / found["a"] == pytest.approx(2, rel=1e-3)


def test_who_has_posted_lately_and_often_posts_more_by_its_rate() -> None:
    busy, quiet, long_ago = PostRate(), PostRate(), PostRate()
    for n in range(12):
        busy.note(NOW - timedelta(minutes=10 * n))
        long_ago.note(NOW - timedelta(days=3, minutes=10 * n))
    quiet.note(NOW)
    assert busy.per_s(NOW) > quiet.per_s(NOW) > long_ago.per_s(NOW) > 0


@pytest.mark.parametrize(
    "typed",
    [
        "@Alpha_Calls",
        "alpha_calls",
        " t.me/alpha_calls ",
        "https://t.me/s/Alpha_Calls",
        "http://telegram.me/alpha_calls/123?single",
        "https://t.me/alpha_calls?before=20",
    ],
)
def test_a_channel_is_named_as_people_do(typed: str) -> None:
    assert channel_named(typed) == "@alpha_calls"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "abc",
        "https://t.me/+AbCdEf",
        "t.me/joinchat/AAA",
        "t.me/c/123/4",
        "https://x.com/alpha",
        "двап",
        "a" * 40,
    ],
)
def test_what_names_no_public_channel_is_none(typed: str) -> None:
    assert channel_named(typed) is None


@given(typed=st.text(max_size=400))
def test_whatever_is_typed_a_name_stays_the_same_when_read_again(typed: str) -> None:
    name = channel_named(typed)
    assert name is None or channel_named(name) == channel_named(channel_link(name)) == name


def test_links() -> None:
    assert post_link("@alpha", 12) == "https://t.me/alpha/12"
