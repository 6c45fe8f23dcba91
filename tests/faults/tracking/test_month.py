"""A month passes in minutes: what was told and what is recorded is what the raw ticks say, in spite of a kill."""

from __future__ import annotations

import pytest

from tests.faults.ledger import IN_FLIGHT
from tests.faults.tracking.conftest import TrackingVerdict
from tests.faults.tracking.exchange import Exchange
from tests.faults.tracking.lives import DAY_S, Span

DAYS = Span(tokens=8, called_within_s=0.1 * DAY_S, lasts_s=0.9 * DAY_S, tracked_for_s=1.05 * DAY_S)
"""A day's return and every kind of end, within a day and a half."""
MONTH = Span(tokens=48, called_within_s=11 * DAY_S, lasts_s=14 * DAY_S, tracked_for_s=14 * DAY_S)

"""The returns of a week, and each kind of end often."""

TIMEOUT_S = 2_400
"""For a machine that has a lot else to do; alone, the month takes some minutes."""
ENDS = {"age", "liquidity", "fallen", "silence"}
THOROUGH = pytest.mark.thorough


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize(
    ("exchange", "days"),
    [pytest.param(DAYS, 1.5, id="days", marks=THOROUGH), pytest.param(MONTH, 30, id="month", marks=THOROUGH)],
    indirect=["exchange"],
)
async def test_a_time_passes(days: float, exchange: Exchange, verdict: TrackingVerdict) -> None:
    half_s = days * DAY_S / 2
    async with exchange.bot() as bot:
        await exchange.play(half_s)
        await bot.kill()
    async with exchange.bot() as bot:
        await exchange.play(half_s)
        counts = await exchange.finish(bot)
    verdict(f"`kill -9` in the middle of {days:g} days on a clock that runs fast", counts, repeats=IN_FLIGHT)
    assert counts.ended == counts.calls
    if days >= 30:
        assert {made.life.end for made in exchange.calls} == ENDS
