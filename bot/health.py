"""What the connections know about themselves, in the monitoring's words."""

from __future__ import annotations

from managers.telegram import TelegramManager
from managers.websocket import WebSocketManager
from services.monitoring import PartHealth


async def telegram_health(telegram: TelegramManager) -> PartHealth:
    health = telegram.health()
    if health.conflict:
        detail = "somebody else polls with this bot's token"
    elif health.last_poll_age_s is None:
        detail = "updates come by webhook"
    else:
        detail = f"last answer to getUpdates {health.last_poll_age_s:.0f} s ago"
    return PartHealth(name="telegram", ok=health.ok, detail=detail)


async def feed_health(feed: WebSocketManager) -> PartHealth:
    health = feed.health()
    if not health.connected:
        detail = f"not connected: {health.last_problem or 'not yet'}"
    elif health.data_age_s is None:
        detail = "connected, nothing heard yet"
    else:
        detail = f"last data {health.data_age_s:.0f} s ago"
    return PartHealth(name="feed", ok=health.connected and not health.stale, detail=detail)
