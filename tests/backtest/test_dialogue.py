"""Somebody tries filters on past calls, sees how far it has come, and switches one on."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from composition import Composition
from domain.backtest.results import Progressed
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.backtest.backtests import Backtests
from services.backtest.process import Computing
from tests.backtest.past import Past, PastCall, ago, computing_processes
from tests.e2e.conftest import set_filter, subscribe


def offers(message: JsonObject, data: str) -> bool:
    return any(button["callback_data"] == data for button in callback_buttons(message))


async def asked(user: SandboxUser, *steps: str) -> JsonObject:
    """Open `/backtest` and tap one button after the other; returns the result."""
    await user.send("/backtest")
    for step in steps:
        menu = await user.next_message(where=lambda m, step=step: offers(m, step))
        await user.tap_data(menu, step)
    return await user.next_message(where=lambda m: "of data" in m["text"] or "is stored" in m["text"])


async def add_draft(user: SandboxUser) -> None:
    """A set with a rule, that is off."""
    await user.send("/settings")
    menu = await user.next_message(where=lambda m: offers(m, "newset"))
    await user.tap_data(menu, "newset")
    await user.tap_data(await user.next_message(where=lambda m: offers(m, "addset")), "addset")
    await set_filter(user, "holders", "50 -")
    await user.send("/settings")
    await user.tap_data(await user.next_message(where=lambda m: offers(m, "set:1")), "set:1")
    card = await user.next_message(where=lambda m: offers(m, "enable:1:0"))
    assert offers(card, "bt:set:1")
    await user.tap_data(card, "enable:1:0")


PEAKS = [1.0, 1.1, 1.2, 3.0, 1.1, 1.0, 4.0, 5.0, 2.0, 2.5]


async def store_calls(past: Past) -> None:
    figures = {"market_cap_usd": 70_000.0}
    await past.put(
        [
            PastCall(at=ago(hours=60 - number), token=number, figures={**figures, "holders": 10 * number}, peak=peak)
            for number, peak in enumerate(PEAKS)
        ]
    )


async def test_a_draft_is_tried_and_turned_on_then_a_preset_beside_it(
    bot: Composition, telegram: TelegramSandbox, past: Past
) -> None:
    await store_calls(past)
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    await add_draft(ann)
    card = await asked(ann, "bt:set:1", "bttry:set:1:7")
    assert "Alerts: 5" in card["text"]
    assert "2x at the peak: 80%" in card["text"]
    assert "All tokens called in that time: 50% of 10" in card["text"]
    assert "not what you would have earned" in card["text"]
    assert "Your filters that are on" not in card["text"]
    assert "5x COIN7 · $70k" in card["text"]
    chart = await ann.next_message(where=lambda m: "day by day" in m.get("caption", ""))
    assert chart["photo"]
    answer = await ann.tap("🟢 Turn it on", card)
    assert answer["text"].endswith(" is on")
    assert "is on" in (await ann.next_message(where=lambda m: offers(m, "enable:1:0")))["text"]
    card = await asked(ann, "bt:preset:everything", "bttry:preset:everything:30")
    assert "Alerts: 10" in card["text"]
    assert "There is no data before" in card["text"]
    assert "Your filters that are on, same days" in card["text"]
    assert "in both: 5 · only in this one: 5 · only in those: 0" in card["text"]
    await ann.tap("🟢 Turn it on", card)
    await ann.next_message(where=lambda m: "Follows the preset" in m["text"])


def slow(bot: Composition) -> None:
    """What computes says how far it is, and then never comes to an end."""
    half = msgspec.json.encode(Progressed(share=0.5)).decode()
    script = f"import sys; print('{half}', flush=True); sys.stdin.read()"
    bot.of(Backtests).computing = Computing(timeout_s=60, command=(sys.executable, "-c", script))


async def test_a_bar_is_shown_others_wait_and_cancel_ends_it(bot: Composition, telegram: TelegramSandbox) -> None:
    slow(bot)
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    for user in (ann, ben):
        await subscribe(user, "everything")
    bar = await begun(ann)
    waits = await begun(ben, "ahead of yours: 1")
    await ann.send("/backtest")
    again = await ann.next_message(where=lambda m: offers(m, "bt:set:1"))
    await ann.tap_data(again, "bt:set:1")
    days = await ann.next_message(where=lambda m: offers(m, "bttry:set:1:1"))
    refused = await ann.tap_data(days, "bttry:set:1:1")
    assert "running or waiting already" in refused["text"]
    await ben.tap("Cancel", waits)
    await ben.next_message(where=lambda m: "Cancelled" in m["text"])
    await ann.tap("Cancel", bar)
    over = await ann.next_message(where=lambda m: "Cancelled" in m["text"])
    assert bot.of(Backtests).done == {"cancelled": 2}
    assert not computing_processes()
    late = await ann.tap_data(bar, callback_buttons(bar)[0]["callback_data"])
    assert late["text"] == "This backtest has ended already."
    assert offers(over, "bttry:set:1:1")


async def begun(user: SandboxUser, says: str = "50%") -> JsonObject:
    """Start one; returns what is shown while it waits or runs."""
    await user.send("/backtest")
    for step in ("bt:set:1", "bttry:set:1:1"):
        menu = await user.next_message(where=lambda m, step=step: offers(m, step))
        await user.tap_data(menu, step)
    return await user.next_message(where=lambda m: says in m["text"])


async def test_what_fails_or_is_interrupted_says_so(
    bot: Composition, telegram: TelegramSandbox, stop: asyncio.Event
) -> None:
    backtests, ann = bot.of(Backtests), telegram.user("Ann")
    await subscribe(ann, "everything")
    assert "No call is stored" in (await asked(ann, "bt:set:1", "bttry:set:1:1"))["text"]
    backtests.computing = Computing(timeout_s=60, command=(sys.executable, "-c", "print('Killed')"))
    failed = await begun(ann, "did not work")
    backtests.computing = Computing(timeout_s=60, command=("/nowhere",))
    await ann.tap("Retry", failed)
    await ann.next_message(where=lambda m: "Please retry in a few minutes" in m["text"])
    slow(bot)
    await begun(ann)
    stop.set()
    await ann.next_message(where=lambda m: "I was restarted" in m["text"])
    assert not computing_processes()
