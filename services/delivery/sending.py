"""One message to one place: the picture if it can be, the text in any case, General where a topic has gone.

An edit leaves the buttons that a tap has put there.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.messages import Edited, Media, Message, SentMedia
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane, Slot
from runtime.errors import MessageRefusedError, TopicGoneError
from services.delivery.card_keyboards import CardKeyboards
from services.delivery.media import MediaFiles
from services.monitoring.metrics import Metrics
from texts.markup import to_plain, utf16_length

log = structlog.get_logger(__name__)

MAX_CAPTION_UTF16 = 1024
_EDITS_AT_MOST: Final = 3
"""Of one message: its buttons may be tapped while an edit is on its way."""


class Messenger(Protocol):
    """What the sender needs of Telegram; `managers.telegram.client.TelegramManager` in the running bot."""

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]: ...

    def hasten(self, chat_id: int, lane: Lane) -> None: ...

    async def send(self, message: Message, *, chat_id: int, slot: Slot, thread_id: int | None = None) -> int: ...

    async def send_media(
        self, message: Message, media: Media, *, chat_id: int, slot: Slot, thread_id: int | None = None
    ) -> SentMedia: ...


class ChatTarget(Struct, frozen=True):
    """A chat, or a topic in it."""

    chat_id: int
    thread_id: int | None = None


class Receipt(Struct, frozen=True):
    chat_id: int
    message_id: int
    topic_gone: bool = False
    """It went to General instead."""


def target_of(subscriber: Subscriber) -> ChatTarget:
    chosen = subscriber.preferences.destination
    return ChatTarget(chosen.chat_id, chosen.thread_id) if chosen else ChatTarget(subscriber.chat_id)


class Sender:
    def __init__(self, *, messenger: Messenger, files: MediaFiles, keyboards: CardKeyboards, metrics: Metrics) -> None:
        self._messenger = messenger
        self._files = files
        self._keyboards = keyboards
        self._metrics = metrics
        self._uploading = asyncio.Lock()
        """What was made here is brought to Telegram by one message; the others wait for its file id."""

    def slot(self, place: ChatTarget, lane: Lane) -> AbstractAsyncContextManager[Slot]:
        return self._messenger.slot(place.chat_id, lane)

    def hasten(self, chat_id: int, lane: Lane) -> None:
        """Something for this chat is in this lane: whatever waits for it in a later one has waited too long."""
        self._messenger.hasten(chat_id, lane)

    async def send(self, message: Message, place: ChatTarget, slot: Slot, *, media: Media | None = None) -> Receipt:
        """Send under a held slot. Raises the `DeliveryError` tree; what it raises was not followed by another try.

        A refused picture is followed by the text alone, a refused topic by General: a refusal says that nothing was
        sent. A picture whose answer does not come may have been sent, so nothing follows it here.
        """
        if message.edits is not None:
            return await self._edit(message, message.edits, place, slot)
        try:
            return Receipt(place.chat_id, await self._send(message, place, slot, media))
        except TopicGoneError as error:
            if place.thread_id is None:
                raise
            log.info("topic_gone", chat_id=place.chat_id, thread_id=place.thread_id, reason=str(error))
        general = ChatTarget(place.chat_id)
        return Receipt(place.chat_id, await self._send(message, general, slot, media), topic_gone=True)

    async def _edit(self, message: Message, edited: Edited, place: ChatTarget, slot: Slot) -> Receipt:
        """Edit above the buttons that stand there; once more where a tap has changed them meanwhile."""
        stand = await self._keyboards.under(place.chat_id, edited.message_id)
        for _ in range(_EDITS_AT_MOST):
            sent, shown = stand, message if stand is None else replace(message, keyboard=stand)
            await self._messenger.send(shown, chat_id=place.chat_id, slot=slot)
            stand = await self._keyboards.under(place.chat_id, edited.message_id)
            if stand == sent:
                break
        return Receipt(place.chat_id, edited.message_id)

    async def _send(self, message: Message, place: ChatTarget, slot: Slot, media: Media | None) -> int:
        known = await self._files.known(media) if media and fits_caption(message) else None
        if media and known:
            try:
                return await self._send_media(message, media, known, place, slot)
            except TopicGoneError:
                raise
            except MessageRefusedError as refusal:
                log.warning("media_refused", kind=media.kind, reason=str(refusal))
                self._metrics.counts.media_refused += 1
                await self._files.refuse(media)
        return await self._messenger.send(message, chat_id=place.chat_id, slot=slot, thread_id=place.thread_id)

    async def _send_media(self, message: Message, media: Media, known: Media, place: ChatTarget, slot: Slot) -> int:
        if known.content:
            async with self._uploading:
                known = await self._files.known(media) or media
                if known.content:
                    return await self._post(message, media, known, place, slot)
        return await self._post(message, media, known, place, slot)

    async def _post(self, message: Message, media: Media, known: Media, place: ChatTarget, slot: Slot) -> int:
        sent = await self._messenger.send_media(
            message, known, chat_id=place.chat_id, slot=slot, thread_id=place.thread_id
        )
        self._metrics.counts.media_sent += 1
        if sent.file_id and known is media:
            await self._files.note(media, sent.file_id)
        return sent.message_id


def fits_caption(message: Message) -> bool:
    return utf16_length(to_plain(message.html)) <= MAX_CAPTION_UTF16
