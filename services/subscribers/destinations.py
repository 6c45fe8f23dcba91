"""Where alerts go: a group takes them from those who administer it."""

from __future__ import annotations

from typing import Literal

from domain.delivery.changes import delivered_to
from domain.subscribers.subscriber import Destination
from services.subscribers.permissions import PermissionsService
from services.subscribers.subscribers import Subscribers

Outcome = Literal["done", "unknown", "refused"]


async def deliver_to_group(
    subscribers: Subscribers, permissions: PermissionsService, user_id: int, group: Destination
) -> Outcome:
    """Send somebody's alerts to a group; `refused` unless they administer it. `DeliveryError` when nobody can tell."""
    if await subscribers.find(user_id) is None:
        return "unknown"
    if not await permissions.administers(group.chat_id, user_id):
        return "refused"
    await subscribers.change_preferences(user_id, delivered_to(group))
    return "done"
