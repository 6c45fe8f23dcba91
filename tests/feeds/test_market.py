from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import mean, median
from typing import NamedTuple

import pytest

from domain.calls import Call, PriceTick
from managers.sources.base import is_address
from sandbox.market import Market
from sandbox.market_words import HOSTILE_NAMES

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
    assert all(is_address(token.address) for token in tokens)
    assert {token.name for token in tokens} >= set(HOSTILE_NAMES)
    for missing in ("market_cap_usd", "liquidity_usd", "holders", "created_at", "name"):
        share = mean(getattr(token, missing) is None for token in tokens)
        assert 0 < share < 0.1
    assert all(call.token.created_at is None or call.token.created_at <= call.called_at for call in run.calls.values())


def test_memory_is_bounded_at_any_rate():
    market = Market(seed=2)
    for _ in islice(market.events(START, calls_per_s=5_000, ticks_per_s=500), 60_000):
        pass
    memories = (market._tokens, market._living, market._peaks, market._deaths)  # pyright: ignore[reportPrivateUsage] - bounds are inside
    assert max(map(len, memories)) <= 45_000
    assert len(market.outcomes) > 0
