"""What becomes of calls: the tracker, the prices that it asks for, and who is told what it finds."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import MILESTONES as TELLING
from bot.roles import TRACK as LEASE
from bot.roles import Role
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from runtime.waiting import passed_s
from services.calls.tokens import TokensService
from services.claims.putting import Putting
from services.monitoring import gauges
from services.monitoring.readings import Reading
from services.providers.price_sources import SPARE, PriceSources
from services.running.controls import Controls
from services.subscribers.group import SubscriberServices
from services.tracking.chains import Chains
from services.tracking.composing import MilestoneComposer
from services.tracking.endings import Endings
from services.tracking.entries import Entries
from services.tracking.fan_out import FanOut
from services.tracking.figures import is_behind, milestones_wait, show_tracking
from services.tracking.milestones import MilestoneRows
from services.tracking.peaks import TrackedPeaks
from services.tracking.prices import PricesService
from services.tracking.rises import Rises
from services.tracking.rows import TrackingRows
from services.tracking.snapshots import Snapshots
from services.tracking.tracking import TrackingService

TRACKING: frozenset[Role] = frozenset({"all", "track"})

TRACK = JobSpec(name="track", does="follows the prices of called tokens", roles=TRACKING, lease=LEASE)
PRICES = JobSpec(name="prices", does="asks the providers for prices of what is followed here", roles=TRACKING)
MILESTONES = JobSpec(name="milestones", does="tells of milestones", roles=TRACKING, lease=TELLING)
JOBS = (TRACK, PRICES, MILESTONES)


def build(base: Base) -> Feature:
    postgres, tokens = base.connections.postgres, base.of(TokensService)
    milestones = MilestoneRows(postgres, now)
    fan_out = FanOut(
        rows=milestones, subscribers=base.of(SubscriberServices).subscribers, putting=base.of(Putting), clock=now
    )
    tracked_for = timedelta(days=base.settings.track_for_days)
    endings = Endings(postgres, tracked_for)
    tracking = TrackingService(
        rows=TrackingRows(postgres),
        snapshots=Snapshots(postgres),
        endings=endings,
        tracked_for=tracked_for,
        clock=now,
        written=fan_out.wake,
        entries=Entries(postgres, now),
        rises=Rises(postgres, now),
    )
    tokens.heard, tokens.peaks = tracking.take_in, TrackedPeaks(tracking, postgres)
    sources = _sources(base)
    prices = _prices(base, tracking, sources)
    kind = MilestoneComposer(base.texts).row()
    if base.place.role not in TRACKING:
        return Feature(parts=[tracking, fan_out], kinds=[kind])
    untold = Reading(milestones.untold)
    show_tracking(base.metrics, tracking, prices, endings, fan_out, untold)
    return Feature(
        parts=[tracking, fan_out, prices, *([sources] if sources else ())],
        kinds=[kind],
        jobs=[TRACK.run_by(tracking.run), PRICES.run_by(prices.run), MILESTONES.run_by(fan_out.run)],
        steps=Steps(drain=tracking.drained),
        health={"tracking": tracking.health},
        alarms=[Alarm("tracking", is_behind(tracking)), Alarm("milestones", milestones_wait(untold))],
        readings=[untold],
    )


def _sources(base: Base) -> PriceSources | None:
    providers = base.connections.price_providers
    if not providers or base.place.role not in TRACKING:
        return None
    sources = PriceSources(providers, candles=base.connections.candles, clock=passed_s)
    sources.rest_while(partial(base.of(Controls).stands, "source"))
    gauges.show_price_sources(base.metrics, sources)
    return sources


def _prices(base: Base, tracking: TrackingService, sources: PriceSources | None) -> PricesService:
    providers, chains = base.connections.price_providers, Chains(base.connections.postgres, passed_s)
    if sources is None:
        return PricesService(tracking=tracking, sources=None, chains=chains, per_s=1.0, clock=now)
    per_s = sum(
        (one.limit.slots - SPARE.get(one.name, 0)) * one.tokens_per_request / one.limit.period_s for one in providers
    )
    return PricesService(tracking=tracking, sources=sources, chains=chains, per_s=per_s, clock=now)
