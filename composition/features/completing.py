"""Cards get the figures that came after them."""

from __future__ import annotations

from functools import partial

from bot.jobs import JobSpec
from bot.roles import COMPLETING as LEASE
from bot.roles import Role
from composition.feature import Base, Feature
from domain.calls.venues import Venues
from runtime.clock import now
from services.calls.tokens import TokensService
from services.cards.names import Names
from services.claims.outbox import Outbox
from services.claims.putting import Putting
from services.completing.completing import CompletingService
from services.completing.composing import FiguresComposer
from services.completing.feed_figures import FeedFigures
from services.completing.later_figures import LaterFigures
from services.providers.figures import FiguresService
from services.subscribers.group import SubscriberServices

DECIDING: frozenset[Role] = frozenset({"all", "match"})

COMPLETE = JobSpec(
    name="completing", does="lets cards have the figures that came after them", roles=DECIDING, lease=LEASE
)
JOBS = (COMPLETE,)


def build(base: Base) -> Feature:
    kind = FiguresComposer(outbox=base.of(Outbox), names=base.of(Names), venues=base.of(Venues)).row()
    asks_providers = bool(base.connections.figure_providers)
    if base.place.role not in DECIDING or not (asks_providers or base.connections.source.knows_tokens):
        return Feature(kinds=[kind])
    postgres = base.connections.postgres
    service = CompletingService(
        postgres=postgres,
        figures=base.of(FiguresService) if asks_providers else FeedFigures(base.of(TokensService)),
        later=LaterFigures(postgres),
        putting=base.of(Putting),
        wants=partial(_wants, base.of(SubscriberServices)),
        clock=now,
    )
    base.metrics.counter("cards_completed", "Cards that got figures after they were sent.", lambda: service.put)
    return Feature(parts=[service], kinds=[kind], jobs=[COMPLETE.run_by(service.run)])


async def _wants(people: SubscriberServices, user_id: int) -> bool:
    found = await people.subscribers.find(user_id)
    return found is not None and "later" not in found.preferences.card.hidden
