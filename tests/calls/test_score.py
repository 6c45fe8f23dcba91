from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.events import Call, Channel, ChannelRecord, Token
from domain.calls.score import MAX_SCORE, score

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BARE = Call(id="1", token=Token(address="So1"), channel=Channel(id="@a"), called_at=AT, received_at=AT)

figure = st.none() | st.floats() | st.sampled_from([0.0, -1.0, 1e300, 5e-324])
count = st.none() | st.integers() | st.just(10**400)
flag = st.none() | st.booleans()
tokens = st.builds(
    Token,
    address=st.just("So1"),
    market_cap_usd=figure,
    liquidity_usd=figure,
    mint_revoked=flag,
    freeze_revoked=flag,
    lp_locked_percent=figure,
    top10_percent=figure,
    developer_percent=figure,
    snipers_percent=figure,
    risk_score=figure,
)
records = st.none() | st.builds(
    ChannelRecord, win_rate_low_percent=figure, median_multiple=figure, average_multiple=figure
)


@given(tokens, records, records, count)
def test_every_call_has_a_score(
    token: Token, record: ChannelRecord | None, record_30d: ChannelRecord | None, callers: int | None
) -> None:
    channel = Channel(id="@a", record=record, record_30d=record_30d)
    assert 0 <= score(replace(BARE, token=token, channel=channel, calling_channels=callers)) <= MAX_SCORE


def test_nothing_known_is_the_middle() -> None:
    assert score(BARE) == 50


def test_the_best_and_the_worst() -> None:
    good = Token(
        address="So1",
        market_cap_usd=100_000,
        liquidity_usd=20_000,
        mint_revoked=True,
        freeze_revoked=True,
        lp_locked_percent=100,
        top10_percent=0,
        developer_percent=0,
        snipers_percent=0,
        risk_score=0,
    )
    bad = replace(
        good,
        liquidity_usd=0,
        mint_revoked=False,
        freeze_revoked=False,
        lp_locked_percent=0,
        top10_percent=90,
        developer_percent=50,
        snipers_percent=70,
        risk_score=100,
    )
    great = Channel(id="@a", record=ChannelRecord(win_rate_low_percent=50, median_multiple=8))
    poor = Channel(id="@a", record=ChannelRecord(win_rate_low_percent=0, median_multiple=1))
    assert score(replace(BARE, token=good, channel=great, calling_channels=4)) == MAX_SCORE
    assert score(replace(BARE, token=bad, channel=poor, calling_channels=0)) == 0


def test_the_last_month_counts_before_the_whole_life() -> None:
    then, now = ChannelRecord(win_rate_low_percent=50), ChannelRecord(win_rate_low_percent=0)
    fallen = replace(BARE, channel=Channel(id="@a", record=then, record_30d=now))
    risen = replace(BARE, channel=Channel(id="@a", record=now, record_30d=then))
    assert score(fallen) < score(BARE) < score(risen)
    silent = replace(BARE, channel=Channel(id="@a", record=then, record_30d=ChannelRecord(calls=3)))
    assert score(silent) == score(risen)
