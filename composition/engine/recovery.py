"""Stores that lost something are filled again before any work, and whenever it happens."""

from __future__ import annotations

from functools import partial

from bot.completeness import Completeness
from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import REFILL
from composition.feature import Base, Feature
from runtime.clock import now
from services.claims.outbox import Outbox
from services.cluster.leases import Leases
from services.cluster.ownership import Ownership
from services.delivery.delivery import DeliveryService
from services.recovery.postgres_fill import PostgresFill
from services.recovery.refill import Refill
from services.schedule.schedule import Schedule
from services.stores.database import Database
from services.stores.journal import Journal
from services.stores.sealing import Sealer
from services.stores.spool import Spool
from services.subscribers.store import SubscribersStore

FILL = JobSpec(name="refill", does="fills an empty Redis (under the lease `refill`)", completes_stores=True)
LOCAL_STORE = JobSpec(
    name="local store",
    does="brings to Redis what happened without it",
    roles=frozenset({"all"}),
    completes_stores=True,
)
JOBS = (FILL, LOCAL_STORE)


def build(base: Base) -> Feature:
    journal, spool, database = base.of(Journal), base.of(Spool), base.of(Database)
    journal.repair = PostgresFill(
        redis=base.connections.redis,
        postgres=base.connections.postgres,
        database=database,
        say=base.terminal.say,
        clock=now,
        sealer=base.of(Sealer),
    ).poll
    refill = _refill(base)
    completeness = Completeness(
        spool=spool,
        refill=refill,
        database=database,
        journal=journal,
        outbox=base.of(Outbox),
        delivery=base.of(DeliveryService),
        ownership=base.of(Ownership),
    )
    return Feature(
        jobs=[FILL.run_by(refill.run), LOCAL_STORE.run_by(partial(spool.run, refill=refill.poll))],
        steps=Steps(prepare=completeness.prepare, finish=completeness.finish, holds_up=completeness.is_awaited),
    )


def _refill(base: Base) -> Refill:
    leases = base.of(Leases)

    async def leads() -> bool:
        return bool(await leases.acquire([REFILL]))

    return Refill(
        redis=base.connections.redis,
        postgres=base.connections.postgres,
        journal=base.of(Journal),
        spool=base.of(Spool),
        subscribers=base.of(SubscribersStore),
        senders=base.of(DeliveryService),
        entitled=base.of(Ownership).sendable,
        database=base.of(Database),
        sends=base.place.role in {"all", "send"},
        source=base.connections.source.name,
        renew=leases.renew,
        leads=leads,
        say=base.terminal.say,
        clock=now,
        rebuild_schedule=base.of(Schedule).rebuild,
    )
