"""A person gets what is kept of them, as files in their private chat. One export after the other, an hour apart.

What was asked for stands in Redis until it is complete: whoever goes on after a kill sends the contents that are
missing, and at most the one again during which it happened.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.messages import Message
from domain.export.lines import Form
from managers.redis.client import RedisManager
from managers.redis.scripts import Script, packed, raw
from managers.storage.postgres import PostgresManager
from runtime.errors import DeliveryError, FloodError, RecipientGoneError, TransientError, UserFacingError
from runtime.fault_points import fault_point
from runtime.pace import pace
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause
from services.export import keys
from services.export.contents import CONTENTS, Content
from services.export.files import PART_BYTES, ExportDirectory, write_parts
from texts.renderer import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 5.0
SHOW_EVERY_S: Final = 4.0
"""Every message to a chat counts, also one that is changed."""
ATTEMPTS: Final = 5
"""After so many in vain the person is told, and may ask again."""
_RETRY_S: Final = 2.0
_SENT_ATTEMPTS: Final = 6
_BATCH: Final = 200
_MINUTE_S: Final = 60

_ASK: Final = Script.beside(__file__, "ask.lua")


class Courier(Protocol):
    """Telegram, as far as an export needs it. What fails is a `DeliveryError`."""

    async def send(self, chat_id: int, message: Message) -> int: ...

    async def edit(self, chat_id: int, message_id: int, message: Message) -> int: ...

    async def send_document(self, chat_id: int, path: Path, name: str, caption: str) -> int:
        """`caption` is HTML. Returns the id of the message."""
        ...


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    user_id: int
    chat_id: int
    language: str
    form: Form
    asked_at: datetime
    progress_id: int | None = None
    """The message that shows how far it is."""
    done: dict[str, int] = {}
    """Name of a content that was sent -> how many rows it had."""
    attempts: int = 0


class ExportService:
    def __init__(
        self,
        *,
        redis: RedisManager,
        postgres: PostgresManager,
        courier: Courier,
        texts: Texts,
        directory: ExportDirectory,
        clock: Callable[[], datetime],
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._courier = courier
        self._texts = texts
        self._directory = directory
        self._clock = clock
        self._part_bytes = part_bytes
        self._woken = asyncio.Event()
        self.completed = 0
        """Since the start."""

    async def ask(
        self, *, user_id: int, chat_id: int, language: str, form: Form, progress_id: int | None = None
    ) -> None:
        """Take an export in. `UserFacingError` within an hour after the last one; `TransientError` without Redis."""
        asked = Asked(
            user_id=user_id,
            chat_id=chat_id,
            language=language,
            form=form,
            asked_at=self._clock(),
            progress_id=progress_id,
        )
        args = packed(user_id=user_id, asked=raw(msgspec.json.encode(asked)), lives_s=keys.EXPORTED.expires_s)
        waits_s = await self._redis.script(_ASK, [keys.EXPORTED.of(user_id), keys.EXPORTS.of()], args)
        if isinstance(waits_s, int) and waits_s:
            raise UserFacingError("export.too_soon", minutes=-(-waits_s // _MINUTE_S))
        log.info("export_asked", user_id=user_id, form=form)
        self._woken.set()

    async def run(self, progress: Progress) -> None:
        """Make what was asked for, the oldest first, for ever."""
        while True:
            self._woken.clear()
            if await retry_until_done(lambda: self.once(progress), progress):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pace.seconds(LOOK_EVERY_S)):
                    await self._woken.wait()

    async def once(self, progress: Progress) -> bool:
        """Make the export whose turn it is; `False` when none waits."""
        progress()
        asked = min(await self._waiting(), key=_turn, default=None)
        if asked is None:
            return False
        asked = replace(asked, attempts=asked.attempts + 1)
        await self._keep(asked)
        try:
            await self._make(asked, progress)
        except (TransientError, FloodError, OSError) as error:  # a full disk among them
            log.warning("export_delayed", user_id=asked.user_id, reason=str(error))
            if asked.attempts >= ATTEMPTS:
                await self._give_up(asked)
            await pause(_RETRY_S, progress)
        except RecipientGoneError as error:
            log.warning("export_not_wanted", user_id=asked.user_id, reason=str(error))
            await self._forget(asked)
        except DeliveryError as error:
            log.warning("export_refused", user_id=asked.user_id, reason=str(error))
            await self._give_up(asked)
        return True

    async def _waiting(self) -> list[Asked]:
        """What was asked for; what cannot be read costs itself."""
        found: list[Asked] = []
        for user_id, document in (await self._redis.hgetall(keys.EXPORTS.of())).items():
            try:
                found.append(msgspec.json.decode(document, type=Asked))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("export_unreadable", user_id=user_id, reason=str(error))
                await self._redis.transaction([("HDEL", keys.EXPORTS.of(), user_id)])
        return found

    async def _make(self, asked: Asked, progress: Progress) -> None:
        shown_at = -math.inf
        with self._directory.of(asked.user_id) as directory:
            for position, content in enumerate(CONTENTS):
                progress()
                if content.name in asked.done:
                    continue
                if time.monotonic() - shown_at > SHOW_EVERY_S:
                    asked, shown_at = await self._show(asked, position), time.monotonic()
                rows = await self._send_content(asked, content, directory, progress)
                asked = replace(asked, done={**asked.done, content.name: rows})
                await self._keep(asked)
        if any(asked.done.values()):
            await self._replace(asked, self._html(asked, "export.sent"))
        await self._courier.send(asked.chat_id, Message(html=self._summary(asked)))
        await self._forget(asked, may_ask_again=False)
        self.completed += 1
        log.info("export_sent", user_id=asked.user_id, rows=sum(asked.done.values()))

    async def _send_content(self, asked: Asked, content: Content, directory: Path, progress: Progress) -> int:
        """Write one content and send its parts; return how many rows it has. Each part is gone when it is sent."""
        parts = await write_parts(
            self._rows(asked, content, progress), directory, content, asked.form, self._part_bytes
        )
        for path in parts.paths:
            name = parts.name_of(path)
            caption = self._html(asked, "export.caption", what=self._what(asked, content.name))
            await self._send(asked, path, name, caption, progress)
            path.unlink()
            fault_point("exported")
        return parts.rows

    async def _rows(
        self, asked: Asked, content: Content, progress: Progress
    ) -> AsyncIterator[Sequence[Mapping[str, object]]]:
        async for batch in self._postgres.stream(content.statement, asked.user_id, batch=_BATCH):
            progress()
            yield [dict(row) for row in batch]

    async def _send(self, asked: Asked, path: Path, name: str, caption: str, progress: Progress) -> None:
        """Whether Telegram took a file of which nobody answered is not known: it may come twice."""
        for left in reversed(range(_SENT_ATTEMPTS)):
            progress()
            try:
                await self._courier.send_document(asked.chat_id, path, name, caption)
            except (TransientError, FloodError) as error:
                if not left:
                    raise
                wait_s = error.retry_after_s if isinstance(error, FloodError) else _RETRY_S
                await pause(wait_s, progress)
            else:
                return

    async def _show(self, asked: Asked, done: int) -> Asked:
        """Show how far it is."""
        what = self._what(asked, CONTENTS[done].name)
        return await self._replace(asked, self._html(asked, "export.progress", what=what, done=done, of=len(CONTENTS)))

    async def _replace(self, asked: Asked, html: str) -> Asked:
        """Show this instead of what was shown; a progress that cannot be shown keeps nothing back."""
        message = Message(html=html)
        try:
            if asked.progress_id is None:
                return replace(asked, progress_id=await self._courier.send(asked.chat_id, message))
            await self._courier.edit(asked.chat_id, asked.progress_id, message)
        except RecipientGoneError:
            raise
        except (DeliveryError, TransientError) as error:
            log.warning("export_progress_not_shown", user_id=asked.user_id, reason=str(error))
        return asked

    def _summary(self, asked: Asked) -> str:
        lines = [
            self._html(asked, "export.line", what=self._what(asked, name), count=f"{rows:,}")
            for name, rows in asked.done.items()
            if rows
        ]
        done = self._html(asked, "export.done" if lines else "export.nothing")
        return "\n".join([done, *lines])

    def _what(self, asked: Asked, name: str) -> str:
        return self._texts.label("exported", name, asked.language)

    def _html(self, asked: Asked, key: str, **arguments: object) -> str:
        return str(self._texts.render(key, asked.language, **arguments))

    async def _give_up(self, asked: Asked) -> None:
        await self._forget(asked)
        with suppress(DeliveryError, TransientError):
            await self._courier.send(asked.chat_id, Message(html=self._html(asked, "export.failed")))

    async def _keep(self, asked: Asked) -> None:
        await self._redis.hset(keys.EXPORTS.of(), {str(asked.user_id): msgspec.json.encode(asked)})

    async def _forget(self, asked: Asked, *, may_ask_again: bool = True) -> None:
        own = [("DEL", keys.EXPORTED.of(asked.user_id))] if may_ask_again else []
        await self._redis.transaction([("HDEL", keys.EXPORTS.of(), asked.user_id), *own])


def _turn(asked: Asked) -> tuple[int, datetime]:
    """Who failed waits for the others."""
    return asked.attempts, asked.asked_at
