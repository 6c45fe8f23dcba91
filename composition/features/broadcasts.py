"""What the operator says to many at once."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.roles import BROADCASTS as LEASE
from bot.roles import Role
from composition.feature import Alarm, Base, Feature
from handlers.admin.broadcasts.screen import BroadcastScreen
from handlers.conversation.base import ConversationServices
from runtime.clock import now
from services.broadcasts.broadcasts import BroadcastService
from services.broadcasts.composing import NewsComposer
from services.broadcasts.rows import BroadcastRows
from services.broadcasts.spreading import Spreading
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.schedule.due_times import DueTimes
from services.subscribers.group import SubscriberServices

CONVERSING: frozenset[Role] = frozenset({"all", "gateway"})

BROADCASTS = JobSpec(
    name="broadcasts", does="puts what is said to many into the outboxes", roles=CONVERSING, lease=LEASE
)
JOBS = (BROADCASTS,)


def build(base: Base) -> Feature:
    rows = BroadcastRows(base.connections.postgres)
    service = BroadcastService(rows, base.of(DueTimes), now)
    kind = NewsComposer(base.texts).row()
    if base.place.role not in CONVERSING:
        return Feature(services=[service], kinds=[kind], scheduled=[service.job()])
    spreading = Spreading(
        rows=rows,
        service=service,
        subscribers=base.of(SubscriberServices).subscribers,
        putting=base.of(Putting),
        waiting=base.of(Outbox).size,
        screen=BroadcastScreen(base.of(ConversationServices).telegram, base.texts),
        clock=now,
    )
    base.metrics.counter(
        "broadcast_messages_put", "Messages of broadcasts that were put into an outbox.", lambda: spreading.put
    )
    return Feature(
        parts=[spreading],
        services=[service],
        kinds=[kind],
        scheduled=[service.job()],
        jobs=[BROADCASTS.run_by(spreading.run)],
        alarms=[Alarm("broadcast", spreading.problem, after_s=0.0)],
    )
