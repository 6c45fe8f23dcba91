"""What the other side saw: every alert that Telegram took, held against what subscribers had to get."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
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
_REST: Final = re.compile(r"\bAnd (\d+) more\b")
"""A digest names its best calls and counts the others."""
RECORD_EVERY_S: Final = 0.5
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


class InDigest(Struct, frozen=True, kw_only=True):
    """A call that was settled as told in a digest, as it was written down."""

    pair: Pair
    chat_id: int
    message_id: int
    may_repeat: bool


async def _no_record() -> list[InDigest]:
    return []


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
        self.record: Callable[[], Awaitable[list[InDigest]]] = _no_record
        """What was written down of digests. It counts for a digest that Telegram took, and as many as that said."""
        self._open_digests: dict[tuple[int, int], int] = {}
        """Chat and message of digests that counted some of their calls -> how many they told of in all."""
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
                    await self._more_than(before)
            except TimeoutError:
                return False
        return True

    async def _more_than(self, messages: int) -> None:
        """Wait for a message, or for what is written down of one that came before."""
        while self.messages <= messages and not await self._read_record():
            with suppress(TimeoutError):
                async with asyncio.timeout(RECORD_EVERY_S if self._open_digests else None):
                    await self._until(lambda: self.messages > messages)

    async def _read_record(self) -> bool:
        """Take in the calls that a digest only counted; returns whether there were any."""
        if not self._open_digests:
            return False
        written: dict[tuple[int, int], list[InDigest]] = {}
        for one in await self.record():
            written.setdefault((one.chat_id, one.message_id), []).append(one)
        # Where it came again, what is written down is of the last one.
        whole = [place for place, count in self._open_digests.items() if len(written.get(place, ())) == count]
        for place in whole:
            del self._open_digests[place]
            for one in written[place]:
                if one.pair not in self._digests:  # those that it names were seen when it came
                    self._twice += one.pair in self._alerts and not one.may_repeat
                    self._digests[one.pair] += 1
                    self._carried_by.setdefault(one.pair, self.messages)
        return bool(whole)

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
        if rest := _REST.search(text):
            self._open_digests[chat_id, message["message_id"]] = len(digests) + int(rest[1])
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
