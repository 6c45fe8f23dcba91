"""Records of channels, presets and filter sets, and cards that say what became of their calls."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.roles import MILESTONES as TELLING
from bot.roles import TRACK as LEASE
from bot.roles import Role
from composition.feature import Base, Feature
from domain.calls.venues import Venues
from runtime.clock import now
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.completing.later_figures import LaterFigures
from services.tracking.records.channel_info import ChannelInfo
from services.tracking.records.composing import OutcomeComposer
from services.tracking.records.corrections import Corrections
from services.tracking.records.group import RecordServices
from services.tracking.records.measuring import Measuring
from services.tracking.records.records import RecordsService
from services.tracking.records.refreshing import RecordsRefresh
from services.tracking.records.settled import SettledCalls

TRACKING: frozenset[Role] = frozenset({"all", "track"})

RECORDS = JobSpec(name="records", does="computes records of which something changed", roles=TRACKING, lease=LEASE)
OUTCOMES = JobSpec(name="outcomes", does="lets cards say what became of their calls", roles=TRACKING, lease=TELLING)
JOBS = (RECORDS, OUTCOMES)


def build(base: Base) -> Feature:
    postgres = base.connections.postgres
    measuring = Measuring(postgres)
    channels = ChannelInfo(base.connections.redis)
    refresh = RecordsRefresh(postgres=postgres, measuring=measuring, channels=channels, clock=now)
    records = RecordsService(postgres=postgres, measuring=measuring, clock=now)
    corrections = Corrections(postgres=postgres, refresh=refresh, clock=now)
    settled = SettledCalls(postgres=postgres, putting=base.of(Putting), clock=now)
    feature = Feature(
        parts=[refresh, settled],
        services=[RecordServices(records=records, corrections=corrections)],
        kinds=[_outcomes(base).row()],
        jobs=[RECORDS.run_by(refresh.run), OUTCOMES.run_by(settled.run)],
    )
    if base.place.role in TRACKING:
        base.metrics.counter("records_computed", "Records that were computed.", lambda: refresh.computed)
        base.metrics.gauge("records_round_seconds", "How long the last round of them took.", lambda: refresh.took_s)
        base.metrics.counter("outcomes_put", "Cards that are to say what became of their call.", lambda: settled.put)
    return feature


def _outcomes(base: Base) -> OutcomeComposer:
    return OutcomeComposer(
        outbox=base.of(Outbox),
        later=LaterFigures(base.connections.postgres),
        names=base.of(Names),
        venues=base.of(Venues),
    )
