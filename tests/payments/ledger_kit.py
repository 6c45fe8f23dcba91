"""A ledger on real stores, a clock that a test moves, and invoices."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Struct

from domain.payments.invoices import PRICE_HOLDS, Arrival, Invoice, Stage
from domain.stored.outgoing import Envelope
from domain.subscribers.partitions import PARTITIONS
from managers.redis.client import RedisManager
from managers.redis.replies import entries
from managers.storage.postgres import PostgresManager
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotice, PaymentNotices
from services.stores import keys
from services.stores.journal import Journal

START = datetime(2026, 11, 29, 14, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def timestamp(self) -> float:
        return self.now.timestamp()

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


def invoice(number: int = 1, *, amount: str = "0.5", user_id: int = 7, at: datetime = START) -> Invoice:
    return Invoice(
        id=f"INV{number}",
        user_id=user_id,
        plan="pro",
        days=30,
        price_usd=Decimal("50.00"),
        method="sol",
        asset="SOL",
        amount=Decimal(amount),
        rate_usd=Decimal(100),
        created_at=at,
        expires_at=at + PRICE_HOLDS,
        address="Wallet",
        reference=f"ref{number}",
    )


def came(
    amount: str,
    key: str = "a",
    at: datetime = START,
    *,
    stage: Stage = "final",
    asset: str = "SOL",
    refunded: bool = False,
) -> Arrival:
    return Arrival(key=key, asset=asset, amount=Decimal(amount), at=at, stage=stage)


class Told(Struct, frozen=True):
    kind: str
    user_id: int
    notice: PaymentNotice


class Stores(Struct, kw_only=True):
    redis: RedisManager
    journal: Journal
    ledger: Ledger
    clock: Clock

    async def told(self) -> list[Told]:
        """What stands in the outboxes."""
        found: list[Told] = []
        for partition in range(PARTITIONS):
            (reply,) = await self.redis.transaction([("XRANGE", keys.OUTBOX.of(partition), "-", "+")])
            for one in entries(reply):
                envelope = msgspec.json.decode(one.fields["alert"], type=Envelope)
                notice = msgspec.json.decode(envelope.payload, type=PaymentNotice)
                found.append(Told(envelope.kind, envelope.user_id, notice))
        return found


@asynccontextmanager
async def stores_on(redis_url: str, postgres: PostgresManager, clock: Clock) -> AsyncGenerator[Stores]:
    """A process of its own."""
    async with RedisManager(redis_url) as redis:
        journal = Journal(redis, postgres)
        ledger = Ledger(redis, journal, messages=PaymentNotices(clock=clock), clock=clock)
        yield Stores(redis=redis, journal=journal, ledger=ledger, clock=clock)
