"""Who administers the bot, what they do, and what people do: what every answer needs of it."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import Role
from composition.feature import Base, Feature
from runtime.clock import now
from services.administration.activity import ActivityService
from services.administration.admins import AdminsService
from services.administration.audit import AuditService
from services.administration.confirmations import Confirmations
from services.stores.journal import Journal
from services.stores.sealing import Sealer

CONVERSING: frozenset[Role] = frozenset({"all", "gateway"})

ADMINS = JobSpec(name="admins", does="reads anew who administers the bot", roles=CONVERSING)
ACTIVITY = JobSpec(name="activity", does="writes down what people did", roles=CONVERSING)
JOBS = (ADMINS, ACTIVITY)


def build(base: Base) -> Feature:
    postgres = base.connections.postgres
    admins = AdminsService(postgres, base.settings.admin_chat_ids, now)
    audit = AuditService(base.of(Journal), postgres)
    activity = ActivityService(postgres, now)
    if base.place.role in CONVERSING:
        base.metrics.counter(
            "activity_forgotten", "What people did that could not be written down.", lambda: activity.forgotten
        )
    return Feature(
        services=[admins, audit, activity, Confirmations(base.connections.redis, base.of(Sealer))],
        jobs=[ADMINS.run_by(admins.run), ACTIVITY.run_by(activity.run)],
        steps=Steps(finish=activity.write),
    )
