"""What the conversation, the core and the tests need of this room, built in the one order that works."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from domain.matching.matcher import Matcher
from domain.payments.plans import Plans
from services.subscribers.filter_sets import FilterSets
from services.subscribers.loading import RosterLoading
from services.subscribers.presets import PresetsService
from services.subscribers.roster import Roster
from services.subscribers.sharing import SharingService
from services.subscribers.store import SubscribersStore
from services.subscribers.subscribers import Subscribers
from services.subscribers.versions import SubscriberHistory


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriberServices:
    subscribers: Subscribers
    sets: FilterSets
    roster: Roster
    loading: RosterLoading
    presets: PresetsService
    sharing: SharingService

    @classmethod
    def on(
        cls,
        *,
        store: SubscribersStore,
        matcher: Matcher,
        presets: PresetsService,
        plans: Plans,
        history: SubscriberHistory,
        sharing: SharingService,
        clock: Callable[[], datetime],
        returned: Callable[[int, datetime], Awaitable[None]] | None = None,
    ) -> Self:
        """`returned`: told of everybody who can be written to again, or ends quiet hours or a snooze early."""
        roster = Roster(matcher, clock)
        subscribers = Subscribers(
            store=store, roster=roster, presets=presets, plans=plans, clock=clock, returned=returned
        )
        return cls(
            subscribers=subscribers,
            sets=FilterSets(subscribers=subscribers, presets=presets, plans=plans, history=history),
            roster=roster,
            loading=RosterLoading(store=store, roster=roster, subscribers=subscribers, presets=presets),
            presets=presets,
            sharing=sharing,
        )
