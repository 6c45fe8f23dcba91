"""Faults that can be switched on, seen by the real library."""

from __future__ import annotations

import pytest
from telegram.error import NetworkError, TimedOut

from sandbox.telegram.faults import Fault, Faults
from tests.sandbox.telegram_kit import Clock, started, telegram_and_bot


async def test_a_502_did_nothing() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        telegram.faults.fail_next(Fault.ERROR_5XX)
        with pytest.raises(NetworkError):
            await bot.send_message(ann.id, "lost")
        await bot.send_message(ann.id, "arrives")
        assert [each["text"] for each in ann.messages] == ["/start", "arrives"]
        assert telegram.stats.faults_injected == {"error_5xx": 1}


async def test_a_dropped_connection_did_nothing() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        telegram.faults.fail_next(Fault.DROP, 2)
        for _ in range(2):
            with pytest.raises(NetworkError):
                await bot.send_message(ann.id, "lost")
        assert telegram.stats.messages == 0


async def test_a_time_out_after_delivery_delivered() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        with pytest.raises(TimedOut):
            await bot.send_message(ann.id, "arrived all the same", read_timeout=0.2)
        assert ann.messages[-1]["text"] == "arrived all the same"
        assert (await bot.get_me()).is_bot


async def test_an_answer_that_never_comes_ends_in_a_closed_connection() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        telegram.faults.hold_s = 0.01
        telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        with pytest.raises(NetworkError):
            await bot.send_message(ann.id, "arrived")
        assert ann.messages[-1]["text"] == "arrived"


async def test_updates_still_flow_whatever_the_faults() -> None:
    async with telegram_and_bot() as (telegram, bot):
        telegram.faults.error_5xx_rate = 1.0
        telegram.faults.drop_rate = 1.0
        await started(telegram)
        assert len(await bot.get_updates()) == 1


async def test_latency_delays_and_delivers() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        telegram.faults.latency_s = (0.001, 0.01)
        await bot.send_message(ann.id, "late")
        assert ann.messages[-1]["text"] == "late"


def test_the_same_seed_gives_the_same_faults() -> None:
    def drawn(seed: int) -> list[Fault | None]:
        faults = Faults(Clock(), seed=seed)
        faults.error_5xx_rate, faults.drop_rate, faults.timeout_after_delivery_rate = 0.1, 0.1, 0.1
        return [faults.draw(is_send=True) for _ in range(200)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert set(drawn(1)) == {None, *Fault}
