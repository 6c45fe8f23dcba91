"""What the other side saw: every alert that Telegram took, held against what subscribers had to get."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.delivery.delivery import SEND_SLOTS
from tests.faults.market import Pair
from texts import Texts
from texts.markup import to_plain

REPEAT_NOTE: Final = to_plain(Texts.load().render("card.may_repeat"))
_ADDRESS: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")


class Counts(Struct, frozen=True, kw_only=True):
    accepted: int
    """(subscriber, token) pairs that somebody had to be told of."""
    received: int
    """Of them, those that Telegram took at least once."""
    in_digests: int
    """Of the received ones, those that came in a digest alone."""
    lost: int
    twice: int
    """Came once more without saying that they may be a repeat."""
    marked: int
    """Messages that came once more, in whole or in part, and said so. Every bound is on these."""
    marked_alerts: int
    """The pairs that came once more and said so: a message may hold many."""
    unasked: int
    """Pairs that nobody had to be told of."""

    def line(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in self.__struct_fields__)


class Ledger:
    """Listens to the sandbox's Telegram from the moment it is made."""

    def __init__(self, telegram: TelegramSandbox) -> None:
        self.expected: set[Pair] = set()
        self.excused: set[Pair] = set()
        """May come or not."""
        self.user_of: dict[int, int] = {}
        """Chat id -> user id, for whom alerts go to a chat that is not their own."""
        self.notes = 0
        """How many alerts said that they may be a repeat, and digests for all that is in them."""
        self.messages = 0
        """Messages with alerts in them."""
        self._addresses: set[str] = set()
        self._alerts: Counter[Pair] = Counter()
        self._digests: Counter[Pair] = Counter()
        self._twice = self._marked_alerts = 0
        self._carried_by: dict[Pair, int] = {}
        """The number of the message that brought it last."""
        self._came_again: set[int] = set()
        """Messages of which something came once more."""
        self._news = asyncio.Event()
        telegram.on_message(self._saw)

    def expect(self, pairs: Iterable[Pair]) -> None:
        for pair in pairs:
            self.expected.add(pair)
            self._addresses.add(pair[1])

    @property
    def received(self) -> int:
        """Distinct pairs by now."""
        return len(self._alerts.keys() | self._digests.keys())

    @property
    def missing(self) -> set[Pair]:
        return self.expected - self.excused - self._alerts.keys() - self._digests.keys()

    def counts(self) -> Counts:
        told = self._alerts.keys() | self._digests.keys()
        expected = self.expected - self.excused
        return Counts(
            accepted=len(expected),
            received=len(expected & told),
            in_digests=len((self._digests.keys() - self._alerts.keys()) & expected),
            lost=len(expected - told),
            twice=self._twice,
            marked=len(self._came_again),
            marked_alerts=self._marked_alerts,
            unasked=len(told - self.expected - self.excused),
        )

    async def reach(self, pairs: int, *, timeout_s: float = 60) -> None:
        """Wait until so many distinct pairs have come; `TimeoutError` if they do not."""
        async with asyncio.timeout(timeout_s):
            await self._until(lambda: self.received >= pairs)

    async def more(self, pairs: int, *, timeout_s: float = 60) -> None:
        """Wait until so many more have come."""
        await self.reach(self.received + pairs, timeout_s=timeout_s)

    async def got(self, pairs: Iterable[Pair], *, timeout_s: float = 60) -> None:
        wanted = set(pairs)
        async with asyncio.timeout(timeout_s):
            await self._until(lambda: not wanted & self.missing)

    async def complete(self, *, patience_s: float) -> bool:
        """Wait until nothing is missing; gives up when nothing has come for `patience_s`."""
        while self.missing:
            before = self.messages
            try:
                async with asyncio.timeout(patience_s):
                    await self._until(lambda before=before: self.messages > before)
            except TimeoutError:
                return False
        return True

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._news.clear()
            await self._news.wait()

    def _saw(self, message: JsonObject) -> None:
        if "edit_date" in message:
            return
        chat_id: int = message["chat"]["id"]
        user_id = self.user_of.get(chat_id, chat_id)
        alerts = {(user_id, address) for address in copied_addresses(message)}
        text: str = message.get("text") or message.get("caption") or ""
        named: list[str] = _ADDRESS.findall(text)
        digests = {(user_id, address) for address in named if address in self._addresses} - alerts
        if not alerts and not digests:
            return
        self.messages += 1
        known = [pair for pair in alerts | digests if pair in self._carried_by]
        again = len(known)
        # One note stands in each card of a merged message, and one in a digest for all that is in it.
        notes = text.count(REPEAT_NOTE) if alerts else again * (REPEAT_NOTE in text)
        self.notes += text.count(REPEAT_NOTE)
        self._marked_alerts += min(again, notes)
        self._twice += max(0, again - notes)
        # What was one message may come again as several, or together with others: it is the first that was doubtful.
        self._came_again.update(self._carried_by[pair] for pair in known)
        self._carried_by.update(dict.fromkeys(alerts | digests, self.messages))
        self._alerts.update(alerts)
        self._digests.update(digests)
        self._news.set()


def judge(counts: Counts, *, repeats: int = 0) -> None:
    """Fail unless everything came, and nothing twice but `repeats` messages that said so."""
    assert counts.lost == 0, counts.line()
    assert counts.unasked == 0, counts.line()
    assert counts.twice == 0, counts.line()
    assert counts.marked <= repeats, counts.line()


IN_FLIGHT: Final = SEND_SLOTS
"""Messages of which nobody can know whether they arrived, after one hard kill of a process that sends."""
