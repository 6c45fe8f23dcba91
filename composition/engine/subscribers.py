"""Subscribers, their filter sets, presets, what they share, and the matcher that holds what all of them want."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.loading import SubscribersInMemory
from bot.time_of_day import follow_steps_back
from composition.feature import CONFIG, Alarm, Base, Feature
from domain.calls.venues import load_venues
from domain.filters.presets import load_presets
from domain.matching.matcher import Matcher
from domain.payments.plans import load_plans
from domain.subscribers.subscriber import Subscriber
from managers.storage.cache import SmartCache
from runtime.clock import now
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.cluster.changes import Changes
from services.cluster.ownership import Ownership
from services.delivery.held import HeldCalls
from services.monitoring import gauges
from services.monitoring.conditions import settings_unreadable
from services.stores.journal import Journal
from services.stores.sealing import Sealer
from services.subscribers.group import SubscriberServices
from services.subscribers.presets import PresetsService, PresetsStore
from services.subscribers.resealing import ResealingService
from services.subscribers.sharing import SharingService
from services.subscribers.store import SubscribersStore
from services.subscribers.versions import SubscriberHistory
from services.watches.telling import bring_forward

CHANGES = JobSpec(
    name="changes", does="takes up what other processes changed", roles=frozenset({"gateway", "match", "send", "track"})
)
CLOCK = JobSpec(
    name="clock",
    does="gives paid time back after the clock was set back",
    roles=frozenset({"all", "match"}),
)
RESEALING = JobSpec(name="resealing", does="encrypts anew what is encrypted by an earlier key, or not at all")
UNREADABLE = JobSpec(name="unreadable", does="looks whether people can be read whose documents could not be")
JOBS = (CHANGES, CLOCK, RESEALING, UNREADABLE)


def build(base: Base) -> Feature:
    redis, postgres, owner = base.connections.redis, base.connections.postgres, base.place.owner
    journal, changes = base.of(Journal), base.of(Changes)
    settings = SmartCache[int, Subscriber | None].of("settings")
    sealer = base.of(Sealer)
    store = SubscribersStore(redis, postgres, journal, settings, owner, sealer)
    resealing = ResealingService(redis, sealer, now)
    plans = load_plans((CONFIG / "plans.toml").read_text("utf-8"))
    venues = load_venues((CONFIG / "venues.toml").read_text("utf-8"))
    matcher = Matcher()
    base.of(Outbox).stood_before = matcher.accepted_until
    services = SubscriberServices.on(
        store=store,
        matcher=matcher,
        presets=_presets(base),
        plans=plans,
        history=SubscriberHistory(postgres),
        sharing=SharingService(redis=redis, postgres=postgres, journal=journal, clock=now, sealer=sealer),
        clock=now,
        returned=_returned(base),
    )
    in_memory = SubscribersInMemory(
        subscribers=services,
        ownership=base.of(Ownership),
        changes=changes,
        role=base.place.role,
        say=base.terminal.say,
    )
    gauges.show_cache(base.metrics, settings)
    gauges.show_subscribers(
        base.metrics, receiving=lambda: services.roster.counts().receiving, unreadable=lambda: len(store.unreadable)
    )
    return Feature(
        parts=[matcher, store, plans],
        caches=[settings],
        services=[services, venues, Names(base.texts, services.presets.get)],
        jobs=[
            CHANGES.run_by(in_memory.follow_changes),
            RESEALING.run_by(resealing.run),
            UNREADABLE.run_by(in_memory.look_again),
            CLOCK.run_by(partial(follow_steps_back, in_memory.put_back)),
        ],
        alarms=[Alarm("unreadable settings", settings_unreadable(lambda: store.unreadable.standing))],
        steps=Steps(check=resealing.check, prepare=resealing.begin, load=in_memory.load),
    )


def _returned(base: Base) -> Callable[[int, datetime], Awaitable[None]]:
    """Let what was held for somebody come."""
    held, postgres = base.of(HeldCalls), base.connections.postgres

    async def returned(user_id: int, at: datetime) -> None:
        await held.bring_forward(user_id, at)
        await bring_forward(postgres, user_id, at)

    return returned


def _presets(base: Base) -> PresetsService:
    store = PresetsStore(base.connections.redis, base.connections.postgres, base.of(Journal), base.place.owner)
    return PresetsService(load_presets((CONFIG / "presets.toml").read_text("utf-8")), store=store, clock=now)
