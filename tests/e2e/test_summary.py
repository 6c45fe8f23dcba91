"""The summary at the end adds up, whatever became of the alerts."""

from __future__ import annotations

import asyncio
import io
import random
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace
from rich.console import Console

from bot.console import Summary, Terminal, summarise
from composition import Composition
from domain.subscribers.subscriber import Preferences, QuietHours
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.world.world import copied_addresses
from services.claims.left import count_left
from services.delivery.held import HeldCalls
from services.stores.spool import Spool
from services.subscribers.group import SubscriberServices
from tests.e2e.conftest import subscribe
from tests.e2e.test_dialogues import new_call, until

CALLS = 12
KINDS = ("plain", "quiet", "capped", "snoozed", "muted", "blocked", "free")


async def summary_of(bot: Composition) -> Summary:
    left = await count_left(bot.connections.redis, bot.of(Spool))
    return summarise(bot.metrics, left=left, twice=0)


async def summary_once(bot: Composition, condition: Callable[[Summary], bool]) -> Summary:
    async with asyncio.timeout(20):
        while not condition(summary := await summary_of(bot)):  # noqa: ASYNC110 - counters, no event
            await asyncio.sleep(0.02)
    return summary


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.thorough)])
async def test_it_adds_up_after_mutes_quiet_hours_caps_digests_and_merges(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox, seed: int
) -> None:
    chance = random.Random(seed)
    kinds = [*KINDS, *chance.choices(KINDS, k=4)]
    people = [telegram.user(f"{kind} {n}") for n, kind in enumerate(kinds)]
    await asyncio.gather(*(subscribe(person, "everything") for person in people))
    await feed.someone_listens.wait()
    calls = list({call.token.address: call for call in (new_call(feed) for _ in range(4 * CALLS))}.values())[:CALLS]
    for person, kind in zip(people, kinds, strict=True):
        await prepare(bot, person, kind, chance.sample([call.token.address for call in calls], CALLS // 3))
    feed.publish(calls[0])
    await until(lambda: bot.metrics.counts.alerts_sent > 0)
    for call in calls[1:]:
        feed.publish(call)
    await people[0].next_message(where=lambda m: calls[-1].token.address in copied_addresses(m))
    summary = await summary_once(bot, lambda summary: not (summary.waiting or summary.lost))
    owed = summary.matched
    assert (summary.received, sum(summary.fates.values())) == (CALLS, owed)
    assert owed > CALLS * sum(kind != "blocked" for kind in kinds)
    assert {name for name, count in summary.fates.items() if count} == set(summary.fates) - {"refused for good"}

    # A digest is no alert: whether it goes out or is withheld changes none of these numbers.
    quiet = [person for person, kind in zip(people, kinds, strict=True) if kind == "quiet"]
    held = bot.of(HeldCalls)
    for person in quiet:
        await change(bot, person, lambda wanted: replace(wanted, quiet=None))
        await held.dispatch(person.id, await held.of(person.id), bot.bot.services.conversation.clock())
    await until(lambda: bot.metrics.counts.digests_sent >= len(quiet))
    after = await summary_once(bot, lambda summary: not summary.others_waiting)
    assert (after.fates, after.owed, after.lost) == (summary.fates, owed, 0)

    telegram.faults.error_5xx_rate = 1.0
    feed.publish(new_call(feed))
    plain = kinds.count("plain")
    last = await summary_once(bot, lambda summary: summary.waiting >= plain and not summary.lost)
    assert last.owed == sum(last.fates.values()) + last.waiting
    shown = io.StringIO()
    Terminal(Console(file=shown, width=200)).show_summary(last)
    numbers = dict(re.findall(r"│ +([^│]+?) +│ +([\d,]+) +│", shown.getvalue()))
    assert "p99" not in shown.getvalue(), "of fewer than a hundred alerts there is none"
    parts = [*last.fates, "not sent yet", "lost"]
    assert int(numbers["alerts"]) == sum(int(numbers.get(name, 0)) for name in parts)


async def prepare(bot: Composition, person: SandboxUser, kind: str, muted: list[str]) -> None:
    """Let somebody's alerts become what the kind says."""
    subscribers, now = bot.of(SubscriberServices).subscribers, bot.bot.services.conversation.clock()
    later = now + timedelta(hours=1)
    changes: dict[str, Callable[[Preferences], Preferences]] = {
        "quiet": lambda wanted: replace(wanted, quiet=QuietHours(start_minute=0, end_minute=24 * 60 - 1)),
        "capped": lambda wanted: replace(wanted, alerts_per_hour=2),
        "snoozed": lambda wanted: replace(wanted, snoozed_until=later),
        "muted": lambda wanted: replace(wanted, muted_tokens=dict.fromkeys(muted, later)),
    }
    if kind in changes:
        await change(bot, person, changes[kind])
    if kind == "free":
        store, known = bot.of(SubscriberServices).subscribers, await subscribers.require(person.id)
        await store._save(replace(known, plan="free"))  # pyright: ignore[reportPrivateUsage] - time passes for nobody else
    person.chat.is_blocked = kind == "blocked"


async def change(bot: Composition, person: SandboxUser, wanted: Callable[[Preferences], Preferences]) -> None:
    await bot.of(SubscriberServices).subscribers.change_preferences(person.id, wanted)
