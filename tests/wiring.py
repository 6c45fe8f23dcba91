"""The stores of the alert path put together for a test, as `composition` does it for the bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from domain.payments.entitlements import Entitlement
from domain.payments.invoices import Assessment
from domain.payments.plans import Plans
from domain.stored.outgoing import Envelope
from domain.stored.payments import InvoiceFile
from managers.redis.client import Argument, RedisManager
from managers.storage.postgres import PostgresManager
from runtime.limit import Limit
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.claims.stored_calls import StoredCalls
from services.delivery.held import HeldCalls
from services.payments.ledger import Ledger
from services.plans.entitling import EntitlingService
from services.schedule.due_times import DueTimes
from services.stores.journal import Journal
from services.stores.local_store import LocalStore
from services.stores.spool import Spool
from services.subscribers.group import SubscriberServices

AT_WILL: Final = Limit(1_000, 1.0)
"""For the limiter, where Telegram's sandbox limits nothing."""


async def add_entry(redis: RedisManager, stream: str, fields: Mapping[str, Argument]) -> str:
    """Put an entry into a stream that the bot writes by scripts alone."""
    parts = [part for name, value in fields.items() for part in (name, value)]
    [entry_id] = await redis.transaction([("XADD", stream, "*", *parts)])
    assert isinstance(entry_id, bytes)
    return entry_id.decode()


def spool_on(redis: RedisManager, store: LocalStore | None = None) -> Spool:
    return Spool(redis, store=store)


def outbox_on(
    redis: RedisManager,
    postgres: PostgresManager,
    journal: Journal | None = None,
    spool: Spool | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Outbox:
    return Outbox(
        redis,
        journal or Journal(redis, postgres),
        spool or spool_on(redis),
        StoredCalls(redis, postgres),
        AcceptedPairs(postgres),
        clock=clock,
    )


class NoMessages:
    """Nobody is told of invoices."""

    def about(
        self, file: InvoiceFile, before: Assessment, after: Assessment, entitlement: Entitlement | None
    ) -> Sequence[Envelope]:
        del file, before, after, entitlement
        return []


def entitling_on(
    redis: RedisManager,
    postgres: PostgresManager,
    journal: Journal,
    users: SubscriberServices,
    plans: Plans,
    clock: Callable[[], datetime],
) -> EntitlingService:
    """Who gives trials from now on, and brings what was given into the documents."""
    entitling = EntitlingService(
        ledger=Ledger(redis, journal, messages=NoMessages(), clock=clock),
        subscribers=users.subscribers,
        plans=plans,
        putting=Putting(spool_on(redis), journal),
        due_times=DueTimes(redis),
        postgres=postgres,
        clock=clock,
    )
    users.subscribers.welcome = entitling.welcome
    return entitling


def held_calls_on(redis: RedisManager, postgres: PostgresManager, spool: Spool | None = None) -> HeldCalls:
    return HeldCalls(redis, spool or spool_on(redis), Journal(redis, postgres))
