"""Every night what each network says is held against the ledger: what was lost is written down, what remains is told.

Each source is compared in slices, so that nothing else of the schedule waits for it. What ends a comparison, a kill or
a source that is unavailable, has it begin anew; it changes nothing that is right already.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec import Struct

from domain.payments.differences import Difference
from domain.payments.stars import arrival_key
from domain.schedule.triggers import Trigger
from managers.redis.client import RedisManager
from runtime.errors import DeliveryError, TransientError
from services.payments import keys
from services.payments.nowpayments import Difference as NowPaymentsDifference
from services.payments.nowpayments import NowPaymentsService
from services.payments.nowpayments_arrivals import REFUNDED, key_of
from services.payments.stars import StarsService
from services.schedule.due_times import Due, DueTimes
from services.schedule.schedule import Job

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Name = Literal["stars", "nowpayments", "solana"]

LOOKS_BACK: Final = timedelta(days=3)
"""A night or two may be missed."""
TRY_AGAIN: Final = timedelta(minutes=10)
"""After a source could not be compared."""
TOLD_AFTER: Final = timedelta(hours=1)
"""So long after its time a source that could not be compared is a difference itself; it is tried on."""
SLICE_S: Final = 5.0
MAX_KEPT: Final = 500
"""Differences of a source that are kept for admins; the log names all of them."""
UNAVAILABLE: Final = "unavailable"

_DAY: Final = timedelta(days=1)
_MOMENT: Final = timedelta(milliseconds=1)
_UTC: Final = ZoneInfo("UTC")
_AT: Final[dict[Name, Trigger]] = {
    "stars": Trigger(minute=3 * 60 + 30, zone=_UTC),
    "nowpayments": Trigger(minute=3 * 60 + 40, zone=_UTC),
    "solana": Trigger(minute=3 * 60 + 50, zone=_UTC),
}


class Source(Protocol):
    """What a network says of its money. Both raise `TransientError` when nobody can tell."""

    @property
    def name(self) -> Name: ...

    def recover(self, since: datetime) -> AsyncGenerator[int]:
        """Write down what was lost, step by step; yields how much each step found. May be repeated."""
        ...

    def differences(self, since: datetime) -> AsyncGenerator[Difference | None]:
        """Compare step by step; `None` after a step that found nothing."""
        ...


class Comparison(Struct, frozen=True, kw_only=True):
    at: datetime
    left: tuple[Difference, ...] = ()
    count: int = 0
    """Of all that were left; no more than `MAX_KEPT` of them are kept."""


class Reconciliation:
    def __init__(
        self, *, redis: RedisManager, due_times: DueTimes, clock: Callable[[], datetime], slice_s: float = SLICE_S
    ) -> None:
        self._redis = redis
        self._due_times = due_times
        self._clock = clock
        self._slice_s = slice_s
        self._compared: list[Name] = []

    def job(self, source: Source) -> Job:
        """The row of the schedule that compares a source every night."""
        self._compared.append(source.name)
        nightly = _Nightly(source, self._redis, self._due_times, self._clock, self._slice_s)
        return Job(name=_job_name(source.name), run=nightly.run, trigger=nightly.trigger, for_everybody=True)

    async def compare_now(self) -> list[Name]:
        """Have every source compared at once, by whoever does so every night; returns which. `TransientError`."""
        for name in self._compared:
            await self._due_times.set_for_everybody(_job_name(name), self._clock())
        return list(self._compared)

    async def left(self) -> list[Difference]:
        """Return on what each source and the ledger did not agree when they were last compared."""
        return [one for comparison in await self.comparisons() for one in comparison.left]

    async def comparisons(self) -> list[Comparison]:
        """Return the last comparison of each source that was compared lately."""
        found = await self._redis.mget([keys.PAYMENTS_DIFFER.of(name) for name in _AT])
        return [_read(document) for document in found if document]

    async def count_unmatched(self) -> int:
        """Return how much arrived that fits no invoice and that nobody has settled."""
        (count,) = await self._redis.transaction([("HLEN", keys.UNMATCHED.of())])
        return count if isinstance(count, int) else 0


class _Nightly:
    """One source."""

    def __init__(
        self,
        source: Source,
        redis: RedisManager,
        due_times: DueTimes,
        clock: Callable[[], datetime],
        slice_s: float,
    ) -> None:
        self._source = source
        self._key = keys.PAYMENTS_DIFFER.of(source.name)
        self._redis = redis
        self._due_times = due_times
        self._clock = clock
        self._slice_s = slice_s
        self._work: AsyncGenerator[int] | None = None
        """What this night's comparison has still to do."""

    async def trigger(self, _subject: str) -> Trigger:
        return _AT[self._source.name]

    async def run(self, due: Due) -> int:
        """Compare for a while, and say when to go on; returns how much was written down. May be repeated."""
        try:
            recovered, is_done = await self._slice()
        except TransientError as error:
            self._work = None
            await self._not_compared(due, str(error) or type(error).__name__)
            return 0
        if not is_done:
            await self._again(due, self._clock())
        return recovered

    async def _slice(self) -> tuple[int, bool]:
        if self._work is None:
            self._work = self._compare()
        recovered, ends_at = 0, time.monotonic() + self._slice_s
        async for count in self._work:
            recovered += count
            if time.monotonic() >= ends_at:
                return recovered, False
        self._work = None
        return recovered, True

    async def _compare(self) -> AsyncGenerator[int]:
        name, since = self._source.name, self._clock() - LOOKS_BACK
        recovered, left = 0, list[Difference]()
        async with aclosing(self._source.recover(since)) as mending:
            async for count in mending:
                recovered += count
                yield count
        async with aclosing(self._source.differences(since)) as comparing:
            async for one in comparing:
                if one is not None:
                    log.error("payments_differ", source=name, what=one.what, key=one.key, detail=one.detail)
                    left.append(one)
                yield 0
        await self._store(left)
        log.info("payments_reconciled", source=name, recovered=recovered, differences=len(left))

    async def _store(self, left: list[Difference]) -> None:
        kept = Comparison(at=self._clock(), left=tuple(left[:MAX_KEPT]), count=len(left))
        await self._redis.set(self._key, msgspec.json.encode(kept), ex_s=keys.PAYMENTS_DIFFER.expires_s)

    async def _not_compared(self, due: Due, problem: str) -> None:
        """Try again later; from some time on say so beside what was found the last time."""
        name, now = self._source.name, self._clock()
        log.warning("payments_not_reconciled", source=name, reason=problem)
        if now >= _AT[name].next_after(due.at - _DAY) + TOLD_AFTER:
            document = await self._redis.get(self._key)
            before = [one for one in _read(document).left if one.what != UNAVAILABLE] if document else []
            await self._store([Difference(source=name, what=UNAVAILABLE, key="", detail=problem[:200]), *before])
        await self._again(due, now + TRY_AGAIN)

    async def _again(self, due: Due, at: datetime) -> None:
        """It is due sooner than the next night: another time than the one that was seen, so that it stands."""
        await self._due_times.set_for_everybody(due.job, max(at, due.at + _MOMENT))


def _job_name(name: Name) -> str:
    return f"{name}_reconciliation"


def _read(document: bytes) -> Comparison:
    return msgspec.json.decode(document, type=Comparison)


_OF_STARS: Final = {"not_at_telegram": "recorded_not_there", "refund_not_at_telegram": "refund_not_there"}


class StarsSource:
    """Telegram's list of Stars."""

    name: Name = "stars"

    def __init__(self, stars: StarsService) -> None:
        self._stars = stars

    async def recover(self, since: datetime) -> AsyncGenerator[int]:
        try:
            yield await self._stars.recover(await self._stars.differences(since))
        except DeliveryError as error:
            raise _unread(error) from error

    async def differences(self, since: datetime) -> AsyncGenerator[Difference | None]:
        try:
            found = await self._stars.differences(since)
        except DeliveryError as error:
            raise _unread(error) from error
        for one in found:
            told, known = one.telegram, one.recorded
            says = f"Telegram: {told.amount if told else 0}, ledger: {known.amount if known else 0}"
            yield Difference(
                source=self.name, what=_OF_STARS.get(one.what, one.what), key=arrival_key(one.charge_id), detail=says
            )


def _unread(error: DeliveryError) -> TransientError:
    return TransientError(f"Telegram's list cannot be read: {error}")


class NowPaymentsSource:
    """What NOWPayments lists, or says of each payment that is known."""

    name: Name = "nowpayments"

    def __init__(self, service: NowPaymentsService) -> None:
        self._service = service

    async def recover(self, since: datetime) -> AsyncGenerator[int]:
        yield sum(one.mended for one in await self._service.differences(since))

    async def differences(self, since: datetime) -> AsyncGenerator[Difference | None]:
        for one in await self._service.differences(since):
            if not one.mended:
                says = f"{one.status}: {one.listed} {one.coin}, ledger: {one.recorded}, invoice {one.invoice_id or '-'}"
                yield Difference(source=self.name, what=_what(one), key=key_of(one.payment_id), detail=says)


def _what(one: NowPaymentsDifference) -> str:
    if one.status == "unknown":
        return "recorded_not_there"
    if not one.recorded:
        return "not_recorded"
    if one.status == REFUNDED:
        return "refund_not_recorded"
    return "amount" if one.recorded != one.listed else "not_credited"
