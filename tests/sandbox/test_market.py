from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import mean, median
from typing import NamedTuple

import pytest

from domain.calls.addresses import is_mint
from domain.calls.events import Call, PriceTick, Token
from sandbox.market.market import Market
from sandbox.market.words import HOSTILE_NAMES

START = datetime(2026, 11, 20, tzinfo=UTC)


class Record(NamedTuple):
    calls: int
    win_rate: float
    average: float
    median: float


class Run:
    """Two and a half hours of one market."""

    def __init__(self) -> None:
        self.market = Market(seed=11)
        self.before = self.records()
        self.events = list(islice(self.market.events(START), 100_000))
        self.calls = {e.id: e for e in self.events if isinstance(e, Call)}
        self.ticks: dict[str, list[PriceTick]] = defaultdict(list)
        for event in self.events:
            if isinstance(event, PriceTick):
                self.ticks[event.token_address].append(event)
        self.end = self.events[-1].called_at if isinstance(self.events[-1], Call) else self.events[-1].at

    def records(self) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for channel_id in self.market.channel_ids:
            channel = self.market.channel(channel_id)
            assert channel is not None
            record = channel.record
            assert record is not None
            assert record.calls is not None
            assert record.win_rate_percent is not None
            assert record.average_multiple is not None
            assert record.median_multiple is not None
            found[channel_id] = Record(
                record.calls, record.win_rate_percent, record.average_multiple, record.median_multiple
            )
        return found


@pytest.fixture(scope="module")
def run() -> Run:
    return Run()


def test_the_same_seed_gives_the_same_market():
    first = list(islice(Market(seed=5).events(START), 5_000))
    assert list(islice(Market(seed=5).events(START), 5_000)) == first
    assert list(islice(Market(seed=6).events(START), 5_000)) != first


def test_rates_are_what_was_asked_for(run: Run):
    seconds = (run.end - START).total_seconds()
    assert len(run.calls) / seconds == pytest.approx(1.5, rel=0.05)
    assert (len(run.events) - len(run.calls)) / seconds == pytest.approx(10, rel=0.05)


def test_there_are_many_channels_of_different_skill(run: Run):
    assert len(run.market.channel_ids) >= 24
    assert len(set(run.market.channel_ids)) == len(run.market.channel_ids)
    rates = sorted(record.win_rate for record in run.before.values())
    assert rates[0] < 12
    assert rates[-1] > 40
    assert {call.channel.id for call in run.calls.values()} == set(run.market.channel_ids)


def test_a_record_is_what_its_calls_became(run: Run):
    new: dict[str, list[float]] = defaultdict(list)
    for outcome in run.market.outcomes:
        new[outcome.channel_id].append(outcome.best_multiple)
    assert sum(map(len, new.values())) > 5_000
    after = run.records()
    for channel_id, old in run.before.items():
        now, multiples = after[channel_id], new[channel_id]
        assert now.calls == old.calls + len(multiples)
        wins = old.win_rate / 100 * old.calls + sum(multiple >= 2 for multiple in multiples)
        assert now.win_rate == pytest.approx(100 * wins / now.calls, abs=0.02)
        total = old.average * old.calls + sum(multiples)
        assert now.average == pytest.approx(total / now.calls, abs=0.002)
        assert now.median <= now.average


def test_an_outcome_is_what_the_ticks_show(run: Run):
    checked = 0
    for outcome in run.market.outcomes:
        call = run.calls[outcome.call_id]
        ticks = run.ticks[call.token.address]
        later = ticks[bisect_left(ticks, call.called_at, key=lambda tick: tick.at) :]
        best = max((tick.price_usd for tick in later), default=0.0) / (call.token.price_usd or 1.0)
        assert best <= outcome.best_multiple * 1.001
        if outcome.best_multiple > 1.001:
            assert best == pytest.approx(outcome.best_multiple)
            checked += 1
    assert checked > 2_000


def test_ticks_of_a_token_are_in_order(run: Run):
    for ticks in run.ticks.values():
        assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_most_calls_go_nowhere_and_a_few_very_far(run: Run):
    multiples = [outcome.best_multiple for outcome in run.market.outcomes]
    assert median(multiples) < 1.6
    assert 0.1 < mean(m >= 2 for m in multiples) < 0.4
    assert 0.002 < mean(m >= 10 for m in multiples) < 0.08
    assert max(multiples) > 50


def test_most_tokens_die(run: Run):
    an_hour_later = run.end + timedelta(hours=1)
    left = [
        (token.price_usd or 0) / call.token.price_usd
        for call in list(run.calls.values())[:3_000]
        if call.token.price_usd and (token := run.market.token(call.token.address, an_hour_later))
    ]
    assert mean(share < 0.2 for share in left) > 0.8


def test_better_channels_really_call_better(run: Run):
    outcomes: dict[str, list[float]] = defaultdict(list)
    for outcome in run.market.outcomes:
        outcomes[outcome.channel_id].append(outcome.best_multiple)
    by_record = sorted(run.before, key=lambda channel_id: run.before[channel_id].win_rate)
    worst = [m >= 2 for c in by_record[:7] for m in outcomes[c]]
    best = [m >= 2 for c in by_record[-7:] for m in outcomes[c]]
    assert mean(best) > 2 * mean(worst)


def test_later_channels_repost_and_none_repeats_itself(run: Run):
    callers: dict[str, list[str]] = defaultdict(list)
    for call in run.calls.values():
        callers[call.token.address].append(call.channel.id)
    assert mean(len(channels) > 1 for channels in callers.values()) > 0.2
    assert all(len(set(channels)) == len(channels) for channels in callers.values())


def test_mints_are_mints_names_are_sometimes_hostile_and_fields_sometimes_missing(run: Run):
    tokens = [call.token for call in run.calls.values()]
    assert all(is_mint(token.address) for token in tokens)
    assert {token.name for token in tokens} >= set(HOSTILE_NAMES)
    for missing in ("market_cap_usd", "liquidity_usd", "holders", "created_at", "name", "top10_percent", "website"):
        share = mean(getattr(token, missing) is None for token in tokens)
        assert 0 < share < 0.1
    assert all(call.token.created_at is None or call.token.created_at <= call.called_at for call in run.calls.values())


def test_every_figure_of_a_token_is_said_of_some(run: Run):
    market = Market(seed=4)
    market.media_url = "http://127.0.0.1:1/media"
    tokens = [event.token for event in islice(market.events(START), 4_000) if isinstance(event, Call)]
    for figure in set(Token.__struct_fields__) - {"origins", "disputed"}:
        assert mean(getattr(token, figure) is not None for token in tokens) > 0.01, figure
    assert not any(call.token.image_url for call in run.calls.values())


def test_figures_agree_with_each_other(run: Run):
    for call in run.calls.values():
        token = run.market.token(call.token.address, call.called_at)
        assert token is not None
        assert token.market_cap_usd is not None
        assert (token.fdv_usd or 0) >= token.market_cap_usd
        volumes = [v for v in (token.volume_5m_usd, token.volume_1h_usd, token.volume_24h_usd) if v is not None]
        assert volumes == sorted(volumes)
        assert len(volumes) in {0, 3}
        assert (token.developer_percent or 0) <= (token.top10_percent or 100)
        for change in (token.price_change_5m_percent, token.price_change_1h_percent, token.price_change_24h_percent):
            assert change is None or change >= -100


def test_young_tokens_have_less_and_it_comes_later(run: Run):
    learned = 0
    for call in list(run.calls.values())[:3_000]:
        now = run.market.token(call.token.address, call.called_at)
        later = run.market.token(call.token.address, call.called_at + timedelta(minutes=10))
        assert now is not None
        assert later is not None
        unknown = {f for f in Token.__struct_fields__ if getattr(now, f) is None}
        still_unknown = {f for f in Token.__struct_fields__ if getattr(later, f) is None}
        assert still_unknown <= unknown
        assert later.risk_score is not None
        learned += unknown > still_unknown
        if "holders" in unknown:
            assert {"top10_percent", "risk_score", "snipers_percent"} <= unknown
    assert 0.1 < learned / 3_000 < 0.5


def test_those_that_die_show_it_more_often(run: Run):
    lasting = {outcome.call_id: outcome.best_multiple >= 2 for outcome in run.market.outcomes}
    risks: dict[bool, list[float]] = {True: [], False: []}
    for call_id, rises in lasting.items():
        if (risk := run.calls[call_id].token.risk_score) is not None:
            risks[rises].append(risk)
    assert mean(risks[False]) > mean(risks[True]) + 5
    assert min(risks[False]) < median(risks[True])


def test_the_record_of_30_days_holds_the_latest_outcomes_only(run: Run):
    later = run.end + timedelta(days=31)
    market = Market(seed=12)
    started = {c: channel.record_30d for c in market.channel_ids if (channel := market.channel(c))}
    for record in started.values():
        assert record is not None
        assert (record.calls or 0) > 0
    calls = [e for e in islice(market.events(START), 5_000) if isinstance(e, Call)]
    settled = len(market.outcomes)
    assert 0 < settled < len(calls)
    for channel_id in market.channel_ids:
        channel = market.channel(channel_id)
        assert channel
        assert channel.record
        assert channel.record_30d
        assert 0 < (channel.record_30d.calls or 0) <= (channel.record.calls or 0)
    # A month later nothing is left but what is settled then.
    market.next_call(later)
    recent = [channel.record_30d for c in market.channel_ids if (channel := market.channel(c))]
    assert sum(record.calls or 0 for record in recent if record) == len(market.outcomes) - settled


def test_memory_is_bounded_at_any_rate():
    market = Market(seed=2)
    for _ in islice(market.events(START, calls_per_s=5_000, ticks_per_s=500), 60_000):
        pass
    memories = (market._tokens, market._living, market._peaks, market._deaths)  # pyright: ignore[reportPrivateUsage] - bounds are inside
    assert max(map(len, memories)) <= 45_000
    assert len(market.outcomes) > 0
