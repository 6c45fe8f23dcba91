"""The manager against the sandbox's Telegram, which is strict about limits and can be made to fail."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from telegram import Update
from telegram.ext import CallbackQueryHandler, CommandHandler, ContextTypes

from domain.delivery.messages import Button, Message
from managers.telegram.client import TelegramManager
from managers.telegram.markup import markup
from managers.telegram.rate_limiter import Lane, TelegramRateLimiter
from runtime.errors import ChatMigratedError, FloodError, MessageRefusedError, OutcomeUnknownError, RecipientGoneError
from sandbox.telegram.faults import Fault
from sandbox.telegram.limits import FloodLimits, Window
from sandbox.telegram.server import TelegramSandbox

HELLO = Message(html="<b>hello</b>")
Context = ContextTypes.DEFAULT_TYPE


@pytest.fixture
async def sandbox() -> AsyncGenerator[TelegramSandbox]:
    async with TelegramSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def manager(sandbox: TelegramSandbox) -> AsyncGenerator[TelegramManager]:
    limiter = TelegramRateLimiter()
    async with TelegramManager(token=sandbox.token, api_base=sandbox.url, limiter=limiter) as manager:
        yield manager


async def send(manager: TelegramManager, chat_id: int, message: Message = HELLO) -> int:
    async with manager.slot(chat_id, Lane.ALERT) as slot:
        return await manager.send(message, chat_id=chat_id, slot=slot)


async def start(sandbox: TelegramSandbox, name: str) -> int:
    user = sandbox.user(name)
    await user.send("/start")
    return user.id


async def test_a_message_arrives(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = await start(sandbox, "Ann")
    message_id = await send(manager, ann, Message(html="<b>a</b> &lt;"))
    received = await sandbox.user("Ann").next_message()
    assert (received["message_id"], received["text"]) == (message_id, "a <")


async def test_hostile_markup_arrives_as_text(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = await start(sandbox, "Ann")
    await send(manager, ann, Message(html="<moon>5 < 6</b>"))
    assert "5 < 6" in (await sandbox.user("Ann").next_message())["text"]


async def test_a_person_who_blocked_the_bot_is_gone(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = await start(sandbox, "Ann")
    sandbox.user("Ann").block()
    with pytest.raises(RecipientGoneError):
        await send(manager, ann)


async def test_a_person_who_never_came_is_gone(manager: TelegramManager) -> None:
    with pytest.raises(RecipientGoneError):
        await send(manager, 987654321)


async def test_a_group_that_moved_says_where(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = sandbox.user("Ann")
    old = sandbox.group("Callers", [ann])
    new = old.upgrade(ann)
    with pytest.raises(ChatMigratedError) as caught:
        await send(manager, old.chat_id)
    assert caught.value.new_chat_id == new.chat_id
    await send(manager, new.chat_id)


async def test_too_long_is_refused(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = await start(sandbox, "Ann")
    with pytest.raises(MessageRefusedError):
        await send(manager, ann, Message(html="x" * 4097))


async def test_a_storm_is_reported_with_its_length(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    ann = await start(sandbox, "Ann")
    sandbox.faults.storm(5)
    with pytest.raises(FloodError) as caught:
        await send(manager, ann)
    assert 1 <= caught.value.retry_after_s <= 5


async def test_a_bad_gateway_and_a_dropped_connection_leave_the_outcome_open(
    sandbox: TelegramSandbox, manager: TelegramManager
) -> None:
    for name, fault in (("Ann", Fault.ERROR_5XX), ("Ben", Fault.DROP)):
        chat_id = await start(sandbox, name)
        sandbox.faults.fail_next(fault)
        with pytest.raises(OutcomeUnknownError):
            await send(manager, chat_id)


async def test_a_time_out_after_delivery_leaves_the_outcome_open(sandbox: TelegramSandbox) -> None:
    ann = await start(sandbox, "Ann")
    limiter = TelegramRateLimiter()
    async with TelegramManager(
        token=sandbox.token, api_base=sandbox.url, limiter=limiter, answer_timeout_s=0.2
    ) as manager:
        sandbox.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)
        with pytest.raises(OutcomeUnknownError):
            await send(manager, ann)
    assert (await sandbox.user("Ann").next_message())["text"] == "hello"


async def test_a_burst_over_every_limit_is_never_refused() -> None:
    limiter = TelegramRateLimiter()
    async with (
        TelegramSandbox(limits=FloodLimits(private=Window(1, 1.0))) as sandbox,
        TelegramManager(token=sandbox.token, api_base=sandbox.url, limiter=limiter) as manager,
    ):
        people = [await start(sandbox, f"User {number}") for number in range(35)]
        group = sandbox.group("Callers", [sandbox.user("User 0")])
        async with asyncio.TaskGroup() as tasks:
            for chat_id in [*people, *people, *[group.chat_id] * 20]:
                tasks.create_task(send(manager, chat_id))
        assert (sandbox.stats.messages, sandbox.stats.refusals_429) == (90, 0)
    assert limiter.stats.refusals == 0


async def test_a_conversation(sandbox: TelegramSandbox, manager: TelegramManager) -> None:
    async def greet(update: Update, _: Context) -> None:
        assert update.effective_message is not None
        keyboard = markup(((Button(text="More", data="more"),),))
        await update.effective_message.reply_text("Welcome", reply_markup=keyboard)

    async def more(update: Update, _: Context) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("Here you are")
        await update.callback_query.edit_message_text("More of it")

    manager.application.add_handler(CommandHandler("start", greet))
    manager.application.add_handler(CallbackQueryHandler(more))
    polling = asyncio.create_task(manager.poll())
    ann = sandbox.user("Ann")
    await ann.send("/start")
    assert (await ann.next_message())["text"] == "Welcome"
    assert (await ann.tap("More"))["text"] == "Here you are"
    assert (await ann.next_message())["text"] == "More of it"
    polling.cancel()
    await asyncio.wait([polling])
