"""Tells every admin when something goes wrong, once, and when it is over, once.

An alarm begins when its condition has held for a while, and ends when it has not held for as long: what flickers is
one alarm. Each chat is told what it does not know yet, so what happens while Telegram is down is told when it is back:
how things stand then, and how often they changed. What is told is bounded per alarm and hour; what is over the bound
is told later in the same way, and that something told is over is never kept back. Only where Telegram leaves open
whether it took a message is it told again.

What was told is remembered beyond the end of the process: an alarm that stood then stands at the next start, and its
end is told. While a process ends, nothing begins: what it stops by itself is not wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.messages import Message
from domain.filters.numbers import show_short
from managers.telegram.rate_limiter import Lane, Slot
from runtime.cancellation import stop_if_cancelled
from runtime.errors import (
    ChatMigratedError,
    DeliveryError,
    FloodError,
    MessageRefusedError,
    RecipientGoneError,
    TransientError,
)
from runtime.waiting import Progress
from services.monitoring.alarm_memory import AlarmMemory, ByChat, ReportedAlarm, ReportedAlarms
from services.monitoring.alarm_state import AdminChat, WatchedAlarm, said_of
from services.monitoring.conditions import ELSEWHERE, Condition, Reasons, in_words
from texts.markup import Html, join
from texts.renderer import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 1.0
LASTS_S: Final = 5.0
"""A condition has to hold so long to be worth telling, unless its alarm says otherwise."""
_SAVE_AGAIN_S: Final = 2.0
_MAX_ALARMS: Final = 1_000
"""Processes come and go; no more names than these are learnt of them."""
_MAX_ALARMS_PER_MESSAGE: Final = 10
"""So many fit one message."""
_FIRST_PAUSE_S: Final = 2.0
_MAX_PAUSE_S: Final = 60.0
_REFUSED_PAUSE_S: Final = 60.0
"""Before a chat that does not take messages is tried again, unless somebody writes there."""


class Messenger(Protocol):
    """What alarms need of Telegram; `managers.telegram.client.TelegramManager` in the running bot."""

    def slot(self, chat_id: int, lane: Lane) -> AbstractAsyncContextManager[Slot]: ...

    async def send(self, message: Message, *, chat_id: int, slot: Slot) -> object: ...


class ActiveAlarm(Struct, frozen=True, kw_only=True):
    name: str
    reason: str
    for_s: float


Tellers = dict[int, tuple[AdminChat, asyncio.Task[None]]]
"""By the id that a chat is to be told under."""


class AlarmsService:
    """`clock`: monotonic seconds; `time_of_day` as people count it."""

    def __init__(
        self,
        *,
        messenger: Messenger,
        chat_ids: Iterable[int],
        texts: Texts,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], datetime] = lambda: datetime.now(UTC),
        memory: AlarmMemory | None = None,
        is_ending: Callable[[], bool] = lambda: False,
        elsewhere: Callable[[], Mapping[str, Reasons]] = dict,
        added: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        """`elsewhere`: what other processes say is wrong with them, by a name that says where.

        `added`: who is to be told besides `chat_ids`, at any moment.
        """
        self._time_of_day = time_of_day
        self._memory = memory
        self._is_ending = is_ending
        self._elsewhere = elsewhere
        self._said_elsewhere: Mapping[str, Reasons] = {}
        self._unsaved = asyncio.Event()
        self._saving = asyncio.Lock()
        self._messenger = messenger
        self._fixed = frozenset(chat_ids)
        self._added = added
        self._chats = [AdminChat(chat_id) for chat_id in sorted(self._fixed)]
        self._told_before: ByChat = {}
        """What stood as an earlier process told those who were added."""
        self._texts = texts
        self._clock = clock
        self._alarms: dict[str, WatchedAlarm] = {}
        self._shared: set[str] = set()

    def watch(self, name: str, condition: Condition, *, after_s: float = LASTS_S, is_shared: bool = False) -> None:
        """Ask `condition` every second; it must not wait for anything. `name` is shown as it is.

        `is_shared`: whoever tells admins sees it, too, and need not be told of it.
        """
        if name in self._alarms:
            raise ValueError(f"{name!r} is watched already")
        self._alarms[name] = WatchedAlarm(name, condition, after_s)
        if is_shared:
            self._shared.add(name)

    @property
    def watched(self) -> Mapping[str, bool]:
        """By name of the alarm, whether it stands now; without what other processes say of themselves."""
        return {name: alarm.is_active for name, alarm in self._alarms.items() if ELSEWHERE not in name}

    def admin_wrote(self, chat_id: int) -> None:
        """Tell what is left for a chat that took no messages: Telegram knows it only since somebody wrote there."""
        for chat in self._chats:
            if chat.id == chat_id:
                chat.wrote.set()

    def own(self) -> dict[str, str]:
        """Return what is wrong with this process alone: by name of the alarm, the reason."""
        return {name: a.reason for name, a in self._alarms.items() if a.is_active and name not in self._shared}

    def own_parts(self) -> dict[str, dict[str, str]]:
        """Of what `own` returns, what is said of each thing that it is about."""
        standing = {name: self._alarms[name].standing() for name in self.own()}
        return {
            name: {subject: in_words(said, self._texts) for subject, said in parts.items()}
            for name, parts in standing.items()
            if parts
        }

    def active(self) -> tuple[ActiveAlarm, ...]:
        """Return what is wrong now, the longest first."""
        now = self._clock()
        standing = sorted((a for a in self._alarms.values() if a.is_active), key=lambda a: a.began_at)
        return tuple(ActiveAlarm(name=a.name, reason=a.reason, for_s=now - a.began_at) for a in standing)

    def poll(self) -> None:
        """Ask every condition once."""
        if self._is_ending():
            return
        now, self._said_elsewhere = self._clock(), self._elsewhere()
        for name in self._said_elsewhere:
            self._watch_elsewhere(name)
        for alarm in self._alarms.values():
            alarm.poll(now, self._texts)

    def _watch_elsewhere(self, name: str) -> None:
        if name not in self._alarms and len(self._alarms) < _MAX_ALARMS:
            self._alarms[name] = WatchedAlarm(name, lambda: self._said_elsewhere.get(name), LASTS_S)

    async def observe(self, progress: Progress) -> None:
        """Look for ever, and tell nobody: for a process that says what is wrong to whoever tells admins."""
        while True:
            self.poll()
            progress()
            await asyncio.sleep(POLL_EVERY_S)

    async def run(self, progress: Progress) -> None:
        """Look and tell for ever. A chat that cannot be told holds up neither the looking nor the others."""
        if self._memory:
            self._recall(await self._memory.load())
        async with asyncio.TaskGroup() as group:
            if self._memory:
                group.create_task(self._keep_saved(), name="told alarms")
            tellers: Tellers = {}
            log.info("alarms_watched", alarms=sorted(self._alarms), chats=len(self._chats))
            while True:
                self._follow_admins(group, tellers)
                self.poll()
                progress()
                await asyncio.sleep(POLL_EVERY_S)

    def _follow_admins(
        self, group: asyncio.TaskGroup, tellers: dict[int, tuple[AdminChat, asyncio.Task[None]]]
    ) -> None:
        """Tell whoever is to be told now, of what stands; and nobody else any more."""
        wanted = self._fixed | set(self._added())
        for chat_id in tellers.keys() - wanted:
            chat, task = tellers.pop(chat_id)
            task.cancel()
            self._chats.remove(chat)
            self._unsaved.set()
        for chat_id in sorted(wanted - tellers.keys()):
            chat = next((one for one in self._chats if one.id == chat_id), None) or self._new_chat(chat_id)
            tellers[chat_id] = chat, group.create_task(self._keep_reported(chat), name=f"alarms to {chat_id}")

    def _new_chat(self, chat_id: int) -> AdminChat:
        """Of what was over before they came they hear nothing."""
        known = self._told_before.get(chat_id)
        self._told_before = {other: told for other, told in self._told_before.items() if other != chat_id}
        told = {
            name: one.turns - one.turns % 2 if known is None else name in known for name, one in self._alarms.items()
        }
        heard = {name: frozenset(one.about) for name, one in (known or {}).items()}
        self._chats.append(chat := AdminChat(chat_id, told=dict(told), heard=heard))
        return chat

    def _recall(self, told: ReportedAlarms) -> None:
        """Go on from what an earlier process, or another one meanwhile, told whom."""
        now, time_of_day = self._clock(), self._time_of_day()
        wrong: dict[str, ReportedAlarm] = {}
        for name, one in (each for by_name in told.chats.values() for each in by_name.items()):
            before = wrong[name].about if name in wrong else ()
            wrong[name] = replace(one, about=(*before, *one.about))
        for name in wrong:
            if ELSEWHERE in name:
                self._watch_elsewhere(name)
        for alarm in self._alarms.values():
            alarm.recall(wrong.get(alarm.name), now, time_of_day)
        self._told_before = told.chats
        for chat in self._chats:
            known = told.chats.get(chat.id, {})
            chat.told = {name: int(name in known) for name in self._alarms}
            chat.heard = {name: frozenset(one.about) for name, one in known.items()}

    async def _keep_saved(self) -> None:
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            if not await self._save():
                self._unsaved.set()
                await asyncio.sleep(_SAVE_AGAIN_S)

    async def _save(self) -> bool:
        async with self._saving:  # what is newer must not be overtaken
            believed = {chat.id: self._believed_wrong(chat) for chat in self._chats}
            return await self._memory.save(believed) if self._memory else True

    def _believed_wrong(self, chat: AdminChat) -> dict[str, ReportedAlarm]:
        now, time_of_day = self._clock(), self._time_of_day()
        return {
            alarm.name: ReportedAlarm(
                reason=alarm.reason,
                began_at=time_of_day - timedelta(seconds=now - alarm.began_at),
                about=tuple(sorted(chat.heard.get(alarm.name, ()))),
            )
            for alarm in self._alarms.values()
            if chat.told.get(alarm.name, 0) % 2 or alarm.name in chat.telling
        }

    async def _keep_reported(self, chat: AdminChat) -> None:
        failures = 0
        while True:
            is_refused = False
            chat.wrote.clear()
            try:
                await self._tell(chat)
            except (DeliveryError, TransientError) as error:
                stop_if_cancelled()
                pause_s = _pause_s(error, failures)
                failures += 1
                is_refused = isinstance(error, RecipientGoneError | MessageRefusedError)
                if isinstance(error, ChatMigratedError):
                    chat.id = error.new_chat_id
                # To the log alone: a chat that takes no messages is not to be told so by messages.
                log.warning("alarm_not_reported", chat_id=chat.id, reason=str(error), again_in_s=pause_s)
            else:
                failures, pause_s = 0, POLL_EVERY_S
            if is_refused:
                with suppress(TimeoutError):
                    await asyncio.wait_for(chat.wrote.wait(), pause_s)
            else:
                await asyncio.sleep(pause_s)

    async def _tell(self, chat: AdminChat) -> None:
        """Tell a chat in one message what it does not know yet, if there is anything."""
        if not self._due(chat):
            return
        async with self._messenger.slot(chat.id, Lane.REPORT) as slot:
            # The turn may have been long in coming.
            due = self._due(chat)
            if not due:
                return
            told = [(alarm.name, alarm.turns, chat.will_have_heard(alarm)) for alarm in due]
            lines = join("\n", (self._line(alarm, chat) for alarm in due))
            # Written down first: after a kill it is better to tell the end of what nobody was told of than not to
            # tell the end of what they were.
            chat.telling = frozenset(name for name, turn, _ in told if turn % 2)
            if chat.telling:
                await self._save()
            try:
                await self._messenger.send(Message(html=str(lines)), chat_id=chat.id, slot=slot)
                chat.note(told, self._clock())
            finally:
                chat.telling = frozenset()
                self._unsaved.set()

    def _due(self, chat: AdminChat) -> list[WatchedAlarm]:
        now = self._clock()
        return [alarm for alarm in self._alarms.values() if chat.is_due(alarm, now)][:_MAX_ALARMS_PER_MESSAGE]

    def _line(self, alarm: WatchedAlarm, chat: AdminChat) -> Html:
        told = chat.told.get(alarm.name, 0)
        if told == alarm.turns:
            news = chat.news(alarm)
            said, count = said_of(news.values(), self._texts), f"{len(news):,}"
            return self._texts.render("alarm.added", name=alarm.name, reason=said, count=count)
        until = self._clock() if alarm.is_active else alarm.ended_at
        key = "alarm.began" if alarm.is_active else "alarm.ended"
        lasted = show_short(max(0.0, until - alarm.began_at), "duration")
        line = self._texts.render(key, name=alarm.name, reason=alarm.reason, lasted=lasted)
        times = (alarm.turns + 1) // 2 - (told + 1) // 2
        return join(" ", (line, self._texts.render("alarm.times", times=times))) if times > 1 else line


def _pause_s(error: BaseException, failures: int) -> float:
    match error:
        case FloodError(retry_after_s=retry_after_s):
            return retry_after_s
        case ChatMigratedError():
            return POLL_EVERY_S
        case RecipientGoneError() | MessageRefusedError():
            return _REFUSED_PAUSE_S
        case _:
            return min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 10))
