"""An edit brings a text; the buttons under it are those that stand there when it arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from cryptography.fernet import Fernet

from domain.delivery.messages import Button, Edited, Media, Message, SentMedia
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import Lane, Slot
from sandbox.telegram.people import callback_buttons
from services.delivery.card_keyboards import CardKeyboards
from services.delivery.sending import ChatTarget, Sender
from services.stores import keys
from services.stores.sealing import Sealer
from tests.delivery.kit import Way

OWN = ((Button(text="own", data="own"),),)
MENU = ((Button(text="menu", data="menu"),), (Button(text="back", data="back"),))


class Tapped:
    """Telegram's wire, on which a tap arrives while the first edit is under way."""

    def __init__(self, manager: TelegramManager, tap: Callable[[], Awaitable[None]]) -> None:
        self._manager = manager
        self._tap: Callable[[], Awaitable[None]] | None = tap

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]:
        return self._manager.slot(chat_id, lane)

    def hasten(self, chat_id: int, lane: Lane) -> None:
        self._manager.hasten(chat_id, lane)

    async def send(self, message: Message, *, chat_id: int, slot: Slot, thread_id: int | None = None) -> int:
        if message.edits is not None and self._tap is not None:
            tap, self._tap = self._tap, None
            await tap()
        return await self._manager.send(message, chat_id=chat_id, slot=slot, thread_id=thread_id)

    async def send_media(
        self, message: Message, media: Media, *, chat_id: int, slot: Slot, thread_id: int | None = None
    ) -> SentMedia:
        return await self._manager.send_media(message, media, chat_id=chat_id, slot=slot, thread_id=thread_id)


@pytest.mark.parametrize("when", ["before", "meanwhile", "damaged", "by another key", "not at all"])
async def test_an_edit_leaves_the_buttons_that_a_tap_has_put_there(way: Way, when: str) -> None:
    ann = await way.person()
    keyboards, place = CardKeyboards(way.redis, Sealer(), way.metrics), ChatTarget(ann.id)

    async def tap() -> None:
        [card] = [m for m in ann.messages if m["from"]["is_bot"]]
        if when == "meanwhile":
            await keyboards.keep(ann.id, card["message_id"], MENU)

    sender = Sender(messenger=Tapped(way.manager, tap), files=way.files, keyboards=keyboards, metrics=way.metrics)
    async with sender.slot(place, Lane.ALERT) as slot:
        sent = await sender.send(Message(html="first", keyboard=OWN), place, slot)
    if when == "before":
        await keyboards.keep(ann.id, sent.message_id, MENU)
    elif when == "damaged":
        await way.redis.set(keys.CARD_KEYBOARD.of(ann.id, sent.message_id), b'{"sealed"')
    elif when == "by another key":
        other = CardKeyboards(way.redis, Sealer([Fernet.generate_key().decode()]), way.metrics)
        await other.keep(ann.id, sent.message_id, MENU)
    async with sender.slot(place, Lane.FOLLOW_UP) as slot:
        edit = Message(html="second", keyboard=OWN, edits=Edited(sent.message_id))
        assert (await sender.send(edit, place, slot)).message_id == sent.message_id
    [card] = [m for m in ann.messages if m["from"]["is_bot"]]
    assert card["text"] == "second"
    tapped = when in {"before", "meanwhile"}
    assert [one["text"] for one in callback_buttons(card)] == (["menu", "back"] if tapped else ["own"])
