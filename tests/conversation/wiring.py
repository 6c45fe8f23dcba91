"""`Services` for a bot that is composed of some mixins only."""

from __future__ import annotations

from typing import Any, cast

from handlers.conversation.base import Services
from services.subscribers.group import SubscriberServices


def services_of(**collaborators: object) -> Services:
    """Take what the bot under test needs; whatever it does not need is not there."""
    absent = dict.fromkeys(set(Services.__dataclass_fields__) - set(collaborators))
    return Services(**cast("Any", {**absent, **collaborators}))


def users_of(services: Services) -> SubscriberServices:
    """The subscribers' services of a bot as one group, as `composition` makes them."""
    return SubscriberServices(
        subscribers=services.subscribers,
        sets=services.filter_sets,
        roster=services.roster,
        loading=services.loading,
    )


def fields_of(users: SubscriberServices) -> dict[str, object]:
    """The fields of `Services` that the group fills."""
    return {
        "subscribers": users.subscribers,
        "filter_sets": users.sets,
        "roster": users.roster,
        "loading": users.loading,
    }
