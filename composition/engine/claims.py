"""What was decided and is kept until it is sent: the outbox, what is held for later, dead letters."""

from __future__ import annotations

from bot.jobs import JobSpec
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from services.claims.accepted_pairs import AcceptedPairs
from services.claims.dead_letters import DeadLetters
from services.claims.group import ClaimServices
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.claims.stored_calls import StoredCalls
from services.cluster.ownership import Ownership
from services.delivery.delayed import DelayedAlerts
from services.delivery.held import HeldCalls
from services.monitoring import conditions, gauges
from services.monitoring.readings import Reading
from services.schedule.due_times import DueTimes
from services.stores.journal import Journal
from services.stores.spool import Spool

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    redis, postgres = base.connections.redis, base.connections.postgres
    journal, spool, ownership = base.of(Journal), base.of(Spool), base.of(Ownership)
    outbox = Outbox(
        redis,
        journal,
        spool,
        StoredCalls(redis, postgres),
        AcceptedPairs(postgres),
        match_fences=ownership.claim_fences,
        send_fences=ownership.send_fences,
        clock=now,
    )
    dead_letters = DeadLetters(redis, base.metrics)
    count = Reading(dead_letters.count)
    gauges.show_dead_letters(base.metrics, count)
    return Feature(
        parts=[
            outbox,
            DelayedAlerts(redis, spool, base.metrics, now),
            Putting(spool, journal),
            DueTimes(redis),
        ],
        services=[ClaimServices(dead_letters=dead_letters), HeldCalls(redis, spool, journal)],
        alarms=[Alarm("dead letters", conditions.DeadLettersGrew(count), is_shared=True)],
        readings=[count],
    )
