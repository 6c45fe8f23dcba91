"""The wall clock jumps: what waits, what expires and who was told must not depend on it."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack

import pytest

from tests.faults.conftest import Verdict
from tests.faults.process import Bot, FaultClock
from tests.faults.stage import STARTS_WITHIN_S, Stage

HOUR_S = 3600
ADMIN_ID = 77
PAST_FRESHNESS_S = 11 * 60


@pytest.mark.thorough
@pytest.mark.parametrize(
    "steps_s",
    [
        pytest.param((120, -120, 0), id="minutes"),
        pytest.param((-3600, 0), id="hour-back-and-forth"),
        pytest.param((3600, 0, -3600), id="hour-forth-and-back"),
    ],
)
async def test_stepped(steps_s: tuple[int, ...], stage: Stage, verdict: Verdict) -> None:
    clock = FaultClock(stage.data_dir)
    async with stage.bot(FAULT_CLOCK_FILE=str(clock.path)) as bot:
        await stage.warm_up()
        async with stage.playing(over_s=2):
            for step_s in steps_s:
                clock.step(step_s)
                await stage.ledger.more(3)
        counts = await stage.finish(bot)
    steps = ", ".join(f"{step_s:+d} s" for step_s in steps_s)
    verdict(f"The wall clock stepped: {steps}", counts)


@pytest.mark.thorough
async def test_what_waited_too_long_comes_in_a_digest(stage: Stage, verdict: Verdict) -> None:
    """Telegram is unavailable until alerts are no news any more: nothing is sent as if it were new, nothing is lost."""
    clock = FaultClock(stage.data_dir)
    async with stage.bot(FAULT_CLOCK_FILE=str(clock.path)) as bot:
        await stage.warm_up()
        stage.telegram.faults.storm(4)
        await stage.play(over_s=1)
        await asyncio.sleep(1)  # everything is claimed by now, nothing is sent
        clock.step(PAST_FRESHNESS_S)
        stage.telegram.faults.ahead_s = PAST_FRESHNESS_S
        counts = await stage.finish(bot)
    verdict("Telegram away for longer than an alert is fresh", counts)
    assert counts.in_digests


@pytest.mark.thorough
@pytest.mark.parametrize(
    "ahead_s",
    [pytest.param(HOUR_S, id="ahead"), pytest.param(-HOUR_S, id="behind", marks=pytest.mark.thorough)],
)
async def test_wrong_from_the_start(ahead_s: int, stage: Stage, verdict: Verdict) -> None:
    """Alerts come as if the clock were right, and admins are told how wrong it is."""
    clock, admin = FaultClock(stage.data_dir), stage.person(ADMIN_ID)
    admin.chat.is_started = True
    clock.step(ahead_s)
    async with stage.bot(FAULT_CLOCK_FILE=str(clock.path), ADMIN_CHAT_IDS=str(ADMIN_ID)) as bot:
        await stage.warm_up()
        await stage.play()
        await stage.complete(bot)
        told = await admin.next_message(where=lambda message: "clock" in message.get("text", ""), timeout_s=30)
        document = await stage.health(bot)
        clock.step(0)
        well = await admin.next_message(where=lambda message: "is over" in message.get("text", ""), timeout_s=30)
        counts = await stage.finish(bot)
    direction = "ahead" if ahead_s > 0 else "behind"
    verdict(f"The machine's clock an hour {direction} from the start", counts)
    assert not counts.in_digests
    assert re.search(rf"3,(600|599|601) s {direction}", told["text"]), told["text"]
    assert "clock" in well["text"]
    [part] = [part for part in document["parts"] if part["name"] == "clock"]
    assert part["ok"]
    assert re.search(rf"3,(600|599|601) s {direction}", part["detail"])
    assert [alarm["name"] for alarm in document["alarms"]] == ["clock"]


@pytest.mark.thorough
@pytest.mark.parametrize("wrong", [("ingest",), ("match",), ("send",), ("gateway", "ingest", "match", "send")], ids=str)
async def test_wrong_in_some_roles(wrong: tuple[str, ...], stage: Stage, verdict: Verdict) -> None:
    """Processes that never ask Telegram learn what time it is from those that do."""
    clock, admin = FaultClock(stage.data_dir), stage.person(ADMIN_ID)
    admin.chat.is_started = True
    clock.step(HOUR_S)
    async with AsyncExitStack() as stack:
        bots: dict[str, Bot] = {}
        for role in ("gateway", "ingest", "match", "send", "track"):
            more = {"FAULT_CLOCK_FILE": str(clock.path)} if role in wrong else {}
            bots[role] = await stage.role(stack, role, ADMIN_CHAT_IDS=str(ADMIN_ID), **more)
        await bots["match"].says(r"Matching .* subscribers", timeout_s=STARTS_WITHIN_S)
        await stage.feed.someone_listens.wait()
        await stage.warm_up()
        await stage.play()
        await stage.ledger.complete(patience_s=stage.size.patience_s)
        told = await admin.next_message(where=lambda message: "clock" in message.get("text", ""), timeout_s=30)
        await asyncio.gather(*(stage.end(bot) for bot in bots.values()))
        counts = stage.ledger.counts()
    verdict(f"The clock an hour ahead for the roles {', '.join(wrong)}", counts)
    assert not counts.in_digests
    assert "s ahead" in told["text"]
    # It is told when the first is known to be wrong, so what is known of the others depends on who was asked first.
    assert ("this machine" if "gateway" in wrong else wrong[0]) in told["text"]
