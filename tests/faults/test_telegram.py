"""Telegram refuses, fails, forgets to answer; people block the bot and come back; groups move; somebody else polls."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime

import aiohttp
import pytest
from msgspec.structs import replace

from domain.filters.registry import Choice, Rule
from domain.subscribers.subscriber import Destination, Preferences
from sandbox.telegram.faults import Fault
from tests.faults.conftest import Verdict
from tests.faults.market import CHANNELS, FIRST_USER_ID, accepted, taker
from tests.faults.stage import WARM_UP_CALLS, Stage

STORM_S = 3.0


@pytest.mark.thorough
async def test_storm_of_refusals(stage: Stage, verdict: Verdict) -> None:
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            stage.telegram.faults.storm(STORM_S if not stage.size.full else 20)
        counts = await stage.finish(bot)
    assert stage.telegram.stats.refusals_429
    verdict("Telegram answering 429 to everything for a while", counts)


async def test_errors_and_lost_answers(stage: Stage, verdict: Verdict) -> None:
    """A message that was delivered and not answered is sent again and says so; nothing else comes twice."""
    unanswered = 20 if stage.size.full else 3
    faults = stage.telegram.faults
    faults.hold_s = 0.5
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            faults.error_5xx_rate, faults.drop_rate = 0.15, 0.05
            faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY, unanswered)
            await stage.ledger.more(len(stage.ledger.missing) // 2)
        faults.error_5xx_rate = faults.drop_rate = 0.0
        counts = await stage.finish(bot)
    happened = stage.telegram.stats.faults_injected
    assert happened[Fault.ERROR_5XX]
    assert happened[Fault.DROP]
    assert happened[Fault.TIMEOUT_AFTER_DELIVERY] == unanswered
    verdict("Telegram answering 5xx, hanging up, delivering without an answer", counts, repeats=unanswered)


@pytest.mark.thorough
async def test_blocked_users_come_back(stage: Stage, verdict: Verdict) -> None:
    """What passes while somebody blocks the bot is not sent later; what passes after /start is."""
    takers = [taker(FIRST_USER_ID + 100_000 + number) for number in range(5)]
    paid = {one.user_id: one.paid_until for one in takers}
    blocked = set(paid)
    await stage.enrol(takers)
    stage.workload.subscribers.extend(takers)
    async with stage.bot() as bot:
        await stage.warm_up()
        for number, user_id in enumerate(sorted(blocked)):
            if number % 2:
                stage.person(user_id).block()
            else:  # nobody tells the bot: it finds out by its next message
                stage.person(user_id).chat.is_blocked = True
        await stage.play(stage.size.calls // 2)
        stage.ledger.excused = accepted(takers, stage.published[WARM_UP_CALLS:])
        await stage.complete(bot)
        for user_id in blocked:
            await stage.person(user_id).send("/start")
            await stage.person(user_id).next_message(where=lambda message: "Welcome back" in message.get("text", ""))
        await stage.play()
        await stage.complete(bot)
        async with asyncio.timeout(30):  # the journal may lag
            while await _paid_until(stage, blocked) != paid:  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.1)
        counts = await stage.finish(bot)
    assert any("blocked" in description for description in stage.telegram.stats.errors)
    verdict("Users who block the bot and come back (what passed meanwhile left out)", counts)


async def _paid_until(stage: Stage, user_ids: set[int]) -> dict[int, datetime]:
    """The end of paid time of those who are reachable, as PostgreSQL has it."""
    async with stage.database() as connection:
        rows = await connection.fetch(
            "SELECT user_id, paid_until FROM subscribers WHERE user_id = ANY($1) AND NOT unreachable", sorted(user_ids)
        )
    return {row["user_id"]: row["paid_until"] for row in rows}


@pytest.mark.thorough
async def test_migrated_groups(stage: Stage, verdict: Verdict) -> None:
    owners = [stage.person(FIRST_USER_ID + 200_000 + number) for number in range(2)]
    groups = [stage.telegram.group(f"group of {owner.id}", [owner]) for owner in owners]
    rules: dict[str, Rule] = {"channel": Choice(included=frozenset(CHANNELS[:4]))}
    for owner, group in zip(owners, groups, strict=True):
        chosen = Destination(chat_id=group.chat_id, title=group.title)
        subscriber = replace(taker(owner.id, rules), preferences=Preferences(destination=chosen))
        await stage.enrol([subscriber])
        stage.workload.subscribers.append(subscriber)
        stage.ledger.user_of[group.chat_id] = owner.id
    async with stage.bot() as bot:
        await stage.warm_up()
        async with stage.playing():
            for owner, group in zip(owners, groups, strict=True):
                supergroup = group.upgrade(owner)
                stage.ledger.user_of[supergroup.chat_id] = owner.id
        counts = await stage.finish(bot)
    verdict("Groups that become supergroups", counts)


@pytest.mark.thorough
async def test_two_pollers(stage: Stage, verdict: Verdict) -> None:
    """Somebody polls with the same token: answers suffer, alerts do not, and /readyz says why."""
    async with stage.bot() as bot:
        await stage.warm_up()
        url = f"{stage.telegram.url}/bot{stage.telegram.token}/getUpdates"
        async with stage.playing(), aiohttp.ClientSession() as session:
            for _ in range(8):
                await session.post(url, json={"timeout": 0})
                await asyncio.sleep(0.1)
        counts = await stage.finish(bot)
    assert any("Conflict" in description for description in stage.telegram.stats.errors)
    verdict("A second poller with the bot's token (409)", counts)


@pytest.mark.thorough
async def test_two_whole_bots(stage: Stage, verdict: Verdict) -> None:
    """The same bot started twice on the same stores: one of them works, the other is on standby."""
    async with AsyncExitStack() as stack, stage.bot() as bot:
        await stage.warm_up()
        second = await stage.role(stack, "all")
        await stage.play()
        await stage.complete(bot)
        second.interrupt()
        await second.exit_code()
        counts = await stage.finish(bot)
    verdict("The bot started twice on the same stores", counts)
