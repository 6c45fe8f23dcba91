"""The page of a filter set, with what it let through: wherever it is shown, it says the same."""

from __future__ import annotations

from domain.delivery.messages import Message
from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services, Turn
from handlers.conversation.menus import view_of
from handlers.filters.set_menus import set_menu
from services.tracking.records.group import RecordServices
from texts.markup import Html


async def set_page(
    services: Services, turn: Turn, subscriber: Subscriber, filter_set: FilterSet, note: Html | None = None
) -> Message:
    records = await services.of(RecordServices).records.of_set(turn.user_id, filter_set.number)
    zone = subscriber.preferences.time_zone
    return set_menu(view_of(services, turn), filter_set, note, records=records, zone=zone)
