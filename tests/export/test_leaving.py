"""Somebody goes: nothing of them is left but the books, whatever was on its way, and they begin anew as a stranger."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import msgspec
import pytest
from msgspec.structs import replace

from composition import Composition
from domain.subscribers.partitions import partition_of
from handlers.export.buttons import Leave
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.export import keys as export_keys
from services.export.erasing import ErasingService
from services.export.exporting import Courier
from services.export.traces import AMONG, KEPT, MEMBERS, OWN, PASSES, STREAMS
from services.payments import keys as payment_keys
from services.plans.group import PlanServices
from services.running import keys as running_keys
from services.stores import keys
from services.stores.journal import Journal, entry
from services.subscribers.group import SubscriberServices
from services.subscribers.store import StaleSubscriberError
from tests.conversation.telegram_wire import RecordedConversation
from tests.e2e.conftest import text_of
from tests.e2e.test_dialogues import publish
from tests.export.kit import found_in_postgres, found_in_redis, with_an_alert
from tests.why.support import World, mint
from texts import Texts

TEXTS: Final = Texts.load()
ANN, BEN = 912_345_678, 9_123_456_789

KEPT_TABLES = {"entitlements", "erasures"}
KEPT_KEYS = {"erased", "entitlements:{}", "entitled"}


def standing(user: SandboxUser, message: JsonObject) -> JsonObject:
    """What a message says now."""
    return next(one for one in user.messages if one["message_id"] == message["message_id"])


async def leave(user: SandboxUser) -> JsonObject:
    """Go through both questions; returns the receipt."""
    await user.send("/delete_me")
    menu = await user.next_message(where=lambda m: "Delete your data" in text_of(m))
    assert "Your free trial runs until" in text_of(menu)
    return await confirm(user, menu)


async def confirm(user: SandboxUser, menu: JsonObject) -> JsonObject:
    await user.tap_data(menu, "leave")
    sure = standing(user, menu)
    (yes, _no) = sure["reply_markup"]["inline_keyboard"][0]
    await user.tap_data(sure, yes["callback_data"])
    assert "is being deleted" in text_of(standing(user, menu))
    return await user.next_message(where=lambda m: "Your data is deleted" in text_of(m), timeout_s=20)


async def test_nothing_is_left_and_they_begin_anew(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, ben = telegram.user("Ann"), telegram.user("Ben")
    await with_an_alert(bot, feed, ben)
    await with_an_alert(bot, feed, ann)
    redis, postgres = bot.connections.redis, bot.connections.postgres
    before = await bot.of(SubscriberServices).subscribers.require(ann.id)
    await postgres.execute("INSERT INTO records VALUES ('set', $1, now()) ON CONFLICT DO NOTHING", f"{ann.id}:1")
    await postgres.execute("INSERT INTO record_calls VALUES ('set', $1, 'c') ON CONFLICT DO NOTHING", f"{ann.id}:1")
    told = await leave(ann)
    receipt = text_of(told)
    number = next(line.removeprefix("Receipt: ") for line in receipt.splitlines() if line.startswith("Receipt: "))
    await bot.of(Journal).drain_all()
    assert await found_in_postgres(postgres, ann.id) == KEPT_TABLES
    kept = {key.format(ann.id) for key in KEPT_KEYS}
    assert await found_in_redis(redis, ann.id) - {"sent_lately"} <= kept
    row = await postgres.fetch_row("SELECT number FROM erasures WHERE user_id = $1", ann.id)
    assert row
    assert row["number"] == number
    assert len(await found_in_postgres(postgres, ben.id)) > 3
    publish(feed)
    await ben.next_message()
    assert ann.messages[-1]["message_id"] == told["message_id"]
    await ann.send("/start")
    await ann.next_message(where=lambda m: "Where do you want to start?" in text_of(m))
    again = await bot.of(SubscriberServices).subscribers.require(ann.id)
    assert (again.filter_sets, again.paid_until) == ((), before.paid_until), (
        "the rest of the first trial, and no second"
    )
    await bot.of(Journal).drain_all()
    assert await found_in_postgres(postgres, ann.id) >= {"subscribers", "subscriber_changes"}


async def test_who_has_paid_reads_one_end_of_their_plan_until_after_they_came_back(
    bot: Composition, telegram: TelegramSandbox
) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    await ann.send("/plan")
    await ann.tap("Buy Pro", await ann.next_message(where=lambda m: "Your plan: Free trial" in text_of(m)))
    chosen = await ann.next_message(where=lambda m: "for how long?" in text_of(m))
    await ann.tap("1 mo · ⭐ 2,990 ($39)", chosen)
    asked = await ann.next_message(where=lambda m: "renews by itself" in text_of(m))
    assert "2,990 ⭐ for 30 days" in text_of(asked)
    ann.wallet.top_up(6_000)
    await ann.wallet.pay(asked["reply_markup"]["inline_keyboard"][0][0]["url"])
    receipt = text_of(await ann.next_message(where=lambda m: "Paid" in text_of(m)))
    assert "2,990 Stars" in receipt
    (until,) = re.findall(r"Your plan runs until (.* \(UTC\))\.", receipt)
    await bot.of(PlanServices).entitling.heal()
    await ann.send("/status")
    assert until in text_of(await ann.next_message(where=lambda m: "Days left" in text_of(m)))
    await ann.send("/delete_me")
    menu = await ann.next_message(where=lambda m: "Delete your data" in text_of(m))
    assert f"Your plan Pro runs until {until}. It is not paid back." in text_of(menu)
    assert "subscription in Telegram Stars will be ended" in text_of(menu)
    assert "yours again" in text_of(await confirm(ann, menu))
    async with asyncio.timeout(10):
        while not bot.of(ErasingService).completed:  # noqa: ASYNC110 - told in a receipt just before
            await asyncio.sleep(0.01)
    await ann.send("/start")
    greeting = text_of(await ann.next_message(where=lambda m: "Hi Ann!" in text_of(m)))
    assert f"Your plan Pro runs until {until}." in greeting
    assert "trial" not in greeting


async def test_a_question_that_was_forgotten_deletes_nobody(bot: Composition, telegram: TelegramSandbox) -> None:
    ann = telegram.user("Ann")
    await ann.send("/start")
    await ann.next_message()
    await ann.send("/delete_me")
    menu = await ann.next_message(where=lambda m: "Delete your data" in text_of(m))
    old = Leave(int((datetime.now(UTC) - timedelta(minutes=3)).timestamp()))
    answered = await ann.tap_data(menu, old.pack())
    assert "too long ago" in answered["text"] or "again" in answered["text"]
    assert await bot.of(SubscriberServices).subscribers.find(ann.id)
    await ann.tap_data(menu, "stay")
    assert "Everything stays" in text_of(standing(ann, menu))


@pytest.fixture
def world(redis_manager: RedisManager, postgres_manager: PostgresManager) -> World:
    return World(redis_manager, postgres_manager)


class KilledError(Exception):
    """The process ends here."""


def erasing_on(world: World, courier: RecordedConversation) -> ErasingService:
    return ErasingService(
        redis=world.redis,
        postgres=world.postgres,
        journal=world.journal,
        subscribers=world.users.subscribers,
        courier=cast("Courier", courier),
        texts=TEXTS,
        clock=world.clock,
        owner="bot",
        is_alone=lambda: True,
        is_settled=lambda: True,
        before=world.entitling.apply,
    )


async def with_history(world: World) -> None:
    """Ann has an alert, a digest that waits, a shared filter; so has Ben, whose id begins like hers."""
    await world.redis.set(keys.EPOCH.of(), b"complete")
    for user_id in (ANN, BEN):
        await world.joins(user_id, {})
        shared = await world.users.subscribers.require(user_id)
        await world.users.sharing.share(shared, shared.filter_sets[0])
        await world.redis.set(keys.EXPECTED_INPUT.of(user_id), b"{}")
        await world.redis.hset(keys.HELD_CALLS.of(user_id), {"call": b"{}"})
        places = {job: keys.DUE.of(job, partition_of(user_id)) for job in ("digest", "invoice_end")}
        of_invoice = ("ZADD", places["invoice_end"], 1, f"{user_id}/{'A' * 10}")
        await world.redis.transaction([("ZADD", places["digest"], 1, user_id), of_invoice])
    await world.decides(world.call("one", mint(1)))
    await world.journal.drain_all()


@pytest.mark.parametrize("point", ["erased rows", "erased keys", "erasure told"])
async def test_a_kill_in_the_middle_leaves_nothing_either(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    await with_history(world)
    courier = RecordedConversation()

    def die(passed: str) -> None:
        if passed == point:
            raise KilledError

    monkeypatch.setattr("services.export.erasing.SETTLED_ALONE_S", 0.0)
    await erasing_on(world, courier).ask(user_id=ANN, chat_id=ANN, language="en")
    await world.journal.drain_all()
    with monkeypatch.context() as patch:
        patch.setattr("services.export.erasing.fault_point", die)
        with pytest.raises(KilledError):
            await erasing_on(world, courier).go_on(lambda: None)
    # Whoever had them in hand writes of them meanwhile.
    await world.decides(world.call("two", mint(2)))
    await erasing_on(world, courier).go_on(lambda: None)
    await world.journal.drain_all()
    assert await found_in_redis(world.redis, ANN) <= {"erased", f"entitlements:{ANN}", "entitled"}
    assert await found_in_postgres(world.postgres, ANN) == {"entitlements", "erasures"}
    assert len(await found_in_redis(world.redis, BEN)) > 6
    assert "Receipt" in str(courier.said[-1].text)


async def test_what_is_on_its_way_brings_nobody_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_history(world)
    known = await world.users.subscribers.require(ANN)
    (claim,) = await world.postgres.fetch("SELECT document FROM claims WHERE user_id = $1", ANN)
    monkeypatch.setattr("services.export.erasing.SETTLED_ALONE_S", 0.0)
    erasing = erasing_on(world, RecordedConversation())
    await erasing.ask(user_id=ANN, chat_id=ANN, language="en")
    late = [entry("subscriber", msgspec.json.encode(known)), entry("claim", claim["document"].encode())]
    await world.journal.append_with([], late)
    with pytest.raises(UserFacingError, match="not_over"):
        await world.users.subscribers.open(user_id=ANN, chat_id=ANN, name="Ann", language="en")
    with pytest.raises(StaleSubscriberError):
        await world.store.save(replace(known, revision=known.revision + 1))
    await world.journal.drain_all()
    await erasing.go_on(lambda: None)
    with pytest.raises(StaleSubscriberError):
        await world.store.save(replace(known, revision=known.revision + 1))
    again = await world.joins(ANN, {})
    await world.journal.append_with([], late)
    await world.decides(world.call("three", mint(3)))
    await world.journal.drain_all()
    rows = await world.postgres.fetch("SELECT call_id FROM claims WHERE user_id = $1", ANN)
    assert [row["call_id"] for row in rows] == ["three"]
    row = await world.postgres.fetch_row("SELECT revision FROM subscribers WHERE user_id = $1", ANN)
    assert row
    assert row["revision"] == again.revision


def test_of_every_key_it_is_said_whether_somebody_is_in_it() -> None:
    said = {*OWN, *AMONG, *MEMBERS, *STREAMS, *KEPT, *PASSES}
    every = (*keys.ALL_KEYS, *payment_keys.ALL_KEYS, *export_keys.ALL_KEYS, *running_keys.ALL_KEYS)
    assert not [key.pattern for key in every if "user id" in key.meaning.lower() and key not in said]
