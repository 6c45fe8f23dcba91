"""What becomes of calls: the tracker, and who is told what it finds."""

from __future__ import annotations

from datetime import timedelta

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import MILESTONES as TELLING
from bot.roles import TRACK as LEASE
from bot.roles import Role
from composition.feature import Base, Feature
from runtime.clock import now
from services.calls.tokens import TokensService
from services.claims.putting import Putting
from services.subscribers.group import SubscriberServices
from services.tracking.composing import MilestoneComposer
from services.tracking.endings import Endings
from services.tracking.fan_out import FanOut
from services.tracking.milestones import MilestoneRows
from services.tracking.rows import TrackingRows
from services.tracking.snapshots import Snapshots
from services.tracking.tracking import TrackingService

TRACKING: frozenset[Role] = frozenset({"all", "track"})

TRACK = JobSpec(name="track", does="follows the prices of called tokens", roles=TRACKING, lease=LEASE)
MILESTONES = JobSpec(name="milestones", does="tells of milestones", roles=TRACKING, lease=TELLING)
JOBS = (TRACK, MILESTONES)


def build(base: Base) -> Feature:
    postgres = base.connections.postgres
    tracked_for = timedelta(days=base.settings.track_for_days)
    fan_out = FanOut(
        rows=MilestoneRows(postgres),
        subscribers=base.of(SubscriberServices).subscribers,
        putting=base.of(Putting),
        clock=now,
    )
    tracking = TrackingService(
        rows=TrackingRows(postgres),
        snapshots=Snapshots(postgres),
        endings=Endings(postgres, tracked_for),
        tracked_for=tracked_for,
        clock=now,
        written=fan_out.wake,
    )
    base.of(TokensService).heard = tracking.take_in
    return Feature(
        parts=[tracking, fan_out],
        kinds=[MilestoneComposer(base.texts).row()],
        jobs=[TRACK.run_by(tracking.run), MILESTONES.run_by(fan_out.run)],
        steps=Steps(drain=tracking.drained if base.place.role in TRACKING else None),
    )
