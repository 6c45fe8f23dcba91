"""What people send the bot, and too much of it, while calls flow: everybody else is answered, and no alert is lost."""

from __future__ import annotations

import asyncio
import re
import time
from statistics import median
from typing import Any

import aiohttp
import pytest

from sandbox.telegram.people import SandboxUser
from sandbox.telegram.updates import JsonObject
from tests.faults.conftest import Verdict
from tests.faults.market import FIRST_USER_ID
from tests.faults.process import Bot
from tests.faults.stage import Stage

TAPS = 10_500
ASKING = 8
AT_MOST_S = 20.0
"""So long somebody was not answered before there were turns; far from what it takes."""


@pytest.mark.thorough
async def test_one_users_flood(stage: Stage, verdict: Verdict) -> None:
    """One person's queued taps hold up neither the others' answers nor anybody's alerts."""
    flooder = stage.person(FIRST_USER_ID)
    others = [stage.person(FIRST_USER_ID + number) for number in range(1, 1 + ASKING)]
    async with stage.bot() as bot:
        await stage.warm_up()
        calm = await asyncio.gather(*(_asked(person) for person in others))
        await flooder.send("/settings")
        menu = await flooder.next_message(where=lambda message: "reply_markup" in message)
        for _ in range(TAPS):
            stage.telegram.cloud.ask(flooder.person, menu, "set:1")
        async with stage.playing():
            waited = [await _asked(person) for person in others]
            waited += [await _tapped(person) for person in others]
        counts = await stage.finish(bot)
    told = [message for message in flooder.messages if "more at once" in message.get("text", "")]
    assert max(waited) < AT_MOST_S
    assert 1 <= len(told) <= 3, "once a minute"
    print(f"others asked in calm: {_figures(calm)}; during the flood: {_figures(waited)}")  # noqa: T201 - the figures
    verdict(f"{TAPS:,} queued taps of one user (others were answered within {max(waited):.1f} s)", counts)


@pytest.mark.thorough
async def test_poison_updates(stage: Stage, verdict: Verdict) -> None:
    """Updates that cannot be read, between those of people who ask something."""
    rounds = 10 if stage.size.full else 2
    people = [stage.person(FIRST_USER_ID + number) for number in range(ASKING)]
    poison = [*_poison(people[0])]
    async with stage.bot() as bot:
        await stage.warm_up()
        waited: list[float] = []
        async with stage.playing():
            for _ in range(rounds):
                for kind, content in poison:
                    stage.telegram.cloud.publish(kind, content)
                _bring_nameless(stage)
                waited += [await _asked(person) for person in people[1:3]]
            assert (await stage.health(bot))["ok"]
        numbers = await _metrics(bot)
        counts = await stage.finish(bot)
    assert numbers["updates_unreadable_total"] == rounds * (len(poison) + 1)
    assert numbers["updates_dropped_total"] == 0
    verdict("Updates that cannot be read", counts)


async def _asked(person: SandboxUser) -> float:
    """How long somebody waits for an answer to /help."""
    began_at = time.monotonic()
    await person.send("/help")
    await person.next_message(where=lambda message: "What I can do" in message.get("text", ""), timeout_s=60)
    return time.monotonic() - began_at


async def _tapped(person: SandboxUser) -> float:
    """How long somebody waits for the answer to a tap."""
    await person.send("/settings")
    menu = await person.next_message(where=lambda message: "reply_markup" in message, timeout_s=60)
    began_at = time.monotonic()
    await person.tap_data(menu, "set:1", timeout_s=60)
    return time.monotonic() - began_at


def _figures(waited: list[float]) -> str:
    return f"median {median(waited):.2f} s, at most {max(waited):.2f} s"


def _poison(person: SandboxUser) -> list[tuple[str, JsonObject]]:
    whole: JsonObject = {"message_id": 1, "date": 1, "chat": person.chat.card, "from": person.person}
    nothing: dict[str, Any] = {}
    poll = {"id": "5", "question": "Moon?", "options": [{"text": "yes", "voter_count": 1}]}
    return [
        ("message", {key: value for key, value in whole.items() if key != "message_id"}),
        ("message", whole | {"poll": poll}),
        ("message", whole | {"story": nothing}),
        ("message", whole | {"chat": 7}),
        ("callback_query", {"id": "1", "from": person.person, "message": [whole]}),
    ]


def _bring_nameless(stage: Stage) -> None:
    """Let an update without its number come: the sandbox knows it, and nobody tells the bot."""
    updates = stage.telegram.cloud.updates
    updates.put("message", {})
    del updates.pending()[-1]["update_id"]


async def _metrics(bot: Bot) -> dict[str, float]:
    address = (await bot.says(r"Health: (http://\S+)/healthz"))[1]
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as answer:
        text = await answer.text()
    return {name: float(value) for name, value in re.findall(r"^(updates_\w+) (\S+)$", text, re.MULTILINE)}
