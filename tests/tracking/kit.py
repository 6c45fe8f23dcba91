"""Calls in PostgreSQL, prices as a test says, and everything between them and the outbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
from msgspec import Struct

from domain.calls.events import Call, Chain, Channel, PriceTick, Token
from domain.matching.matcher import Matcher
from domain.prices.readings import PriceReading, TokenRef
from domain.stored.alerts import Alert
from domain.stored.journal import DecidedCall, DeliveryRecord, DeliveryStatus
from domain.stored.outgoing import Envelope, read_outgoing
from domain.subscribers.partitions import PARTITIONS
from domain.subscribers.subscriber import Preferences, Subscriber
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from services.claims.putting import Putting
from services.stores import keys
from services.stores.journal import Journal
from services.stores.journal_rows import Kind, writes_of
from services.tracking.endings import Endings
from services.tracking.fan_out import FanOut, MilestoneNotice
from services.tracking.milestones import MilestoneRows
from services.tracking.rows import TrackingRows
from services.tracking.snapshots import Snapshots
from services.tracking.tracking import TrackingService
from services.watches.telling import bring_forward
from tests.delivery.kit import Clock, subscribers_store, users_service
from tests.feed.support import address as address_number
from tests.wiring import spool_on

NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
TRACKED_FOR = timedelta(days=14)


class Killed(BaseException):
    """What a process that is killed would never see."""


class Told(Struct, frozen=True):
    """A message about a milestone that waits in an outbox."""

    user_id: int
    call_id: str
    step: str
    notice: MilestoneNotice


@dataclass
class Desk:
    """One bot after the other on the same stores; `restart` is what remains of one that was killed."""

    redis: RedisManager
    postgres: PostgresManager
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = subscribers_store(self.redis)
        self.users = users_service(self.redis, self.store, self.clock, Matcher(), self.returned)
        self.restart()

    def restart(self) -> None:
        journal = Journal(self.redis, self.postgres)
        self.fan_out = FanOut(
            rows=MilestoneRows(self.postgres, self.clock),
            subscribers=self.users.subscribers,
            putting=Putting(spool_on(self.redis), journal),
            clock=self.clock,
        )
        self.tracking = TrackingService(
            rows=TrackingRows(self.postgres),
            snapshots=Snapshots(self.postgres),
            endings=Endings(self.postgres, TRACKED_FOR),
            tracked_for=TRACKED_FOR,
            clock=self.clock,
        )

    async def returned(self, user_id: int, at: datetime) -> None:
        """Personal alerts come when a pause has ended."""
        await bring_forward(self.postgres, user_id, at)

    async def subscribe(self, user_id: int, preferences: Preferences | None = None) -> None:
        await self.store.save(
            Subscriber(
                user_id=user_id,
                chat_id=user_id,
                name=f"U{user_id}",
                created_at=NOW,
                paid_until=NOW + timedelta(days=900),
                preferences=preferences or Preferences(),
            )
        )

    async def call(
        self,
        call_id: str,
        *alerted: int,
        token: int = 0,
        price_usd: float | None = 1.0,
        market_cap_usd: float | None = 20_000.0,
        liquidity_usd: float | None = 30_000.0,
        on: TokenRef | None = None,
    ) -> Call:
        """Store a call that was accepted for these people, and told them. `on`: another token than this number's."""
        now = self.clock()
        where = on or TokenRef(address(token))
        figures = Token(
            address=where.address,
            chain=cast("Chain", where.chain),
            symbol=f"T{token}",
            price_usd=price_usd,
            market_cap_usd=market_cap_usd,
            liquidity_usd=liquidity_usd,
        )
        call = Call(id=call_id, token=figures, channel=Channel(id="@alpha"), called_at=now, received_at=now)
        await self.put("call", DecidedCall(call=call, decided_at=now, reason="first_check", checked_channels=()))
        for user_id in alerted:
            await self.accept(call, user_id)
            await self.settle(call, user_id, "sent")
        return call

    async def accept(self, call: Call, user_id: int) -> None:
        await self.put(
            "claim",
            Alert(
                user_id=user_id,
                call_id=call.id,
                token_address=call.token.address,
                set_number=1,
                received_at=call.received_at,
                decided_at=self.clock(),
            ),
        )

    async def settle(self, call: Call, user_id: int, status: DeliveryStatus, kind: str = "alert") -> None:
        sent = status in {"sent", "merged"}
        await self.put(
            "delivery",
            DeliveryRecord(
                call_id=call.id,
                user_id=user_id,
                kind=kind,
                set_number=1,
                status=status,
                message_id=message_id(call.id, user_id) if sent else None,
                chat_id=user_id if sent else None,
                decided_at=self.clock(),
                sent_at=self.clock() if sent else None,
            ),
        )

    async def put(self, kind: Kind, document: Struct) -> None:
        for statement, values in writes_of(kind, msgspec.json.encode(document), self.clock()):
            await self.postgres.execute(statement, *values)

    def tick(
        self, price_usd: float, token: int = 0, *, after_s: float = 1.0, market_cap_usd: float | None = None
    ) -> None:
        """Let the feed say a price."""
        self.clock.pass_(seconds=after_s)
        one = PriceTick(
            token_address=address(token), price_usd=price_usd, market_cap_usd=market_cap_usd, at=self.clock()
        )
        self.tracking.take_in({one.token_address: one})

    def rise(self, price_usd: float, token: int = 0) -> None:
        """Let the feed say a price so often that it is believed."""
        for _ in range(3):
            self.tick(price_usd, token)

    def read(self, price_usd: float, token: int = 0, *, source: str = "jupiter", after_s: float = 20.0) -> None:
        """Let a provider say a price, and that there is money in the pool."""
        self.clock.pass_(seconds=after_s)
        reading = PriceReading(
            token=TokenRef(address(token)), price_usd=price_usd, at=self.clock(), source=source, liquidity_usd=30_000.0
        )
        assert self.tracking.book is not None
        self.tracking.book.take_readings([reading])

    async def tell(self) -> None:
        """Write down what was reached, and tell it."""
        await self.tracking.round()
        while await self.fan_out.tell():
            pass

    async def tell_and_end(self) -> None:
        await self.tell()
        await self.tracking.drained()

    async def settled(self) -> None:
        """Tell until nobody else can have to be told."""
        await self.tell()
        self.clock.pass_(minutes=15)
        await self.tell()

    async def told(self) -> list[Told]:
        """What waits in the outboxes, everything that ever was put there."""
        found: list[Told] = []
        for partition in range(PARTITIONS):
            for one in await self.redis.xrange(keys.OUTBOX.of(partition), count=10_000):
                found += _told(one.fields["alert"])
        return sorted(found, key=lambda one: (one.user_id, one.call_id, one.notice.rung))

    async def steps(self) -> list[tuple[int, str, str]]:
        return [(one.user_id, one.call_id, one.step) for one in await self.told()]


def _told(document: bytes) -> Iterator[Told]:
    outgoing = read_outgoing(document)
    if isinstance(outgoing, Envelope) and outgoing.kind == "milestone":
        notice = msgspec.json.decode(outgoing.payload, type=MilestoneNotice)
        yield Told(outgoing.user_id, outgoing.subject, outgoing.step, notice)


def message_id(call_id: str, user_id: int) -> int:
    return int.from_bytes(f"{call_id}{user_id}".encode()[-4:])


def address(token: int) -> str:
    return address_number(token + 1)
