"""What a process of a divided bot cannot do without."""

from __future__ import annotations

from bot.roles import Role
from config.settings import Settings


def lacks(settings: Settings, role: Role) -> list[str]:
    """Say what is not set without which every process would open a sandbox of its own, or nobody could reach it."""
    shared = {
        "TELEGRAM_BOT_TOKEN": settings.has_real_telegram,
        "REDIS_URL": settings.redis_url,
        "DATABASE_URL": settings.database_url,
    }
    said: list[str] = []
    if names := [name for name, value in shared.items() if not value]:
        said.append(f"A part of the work needs servers that all parts share: set {', '.join(names)}.")
    if role == "listen" and settings.listen_token is None:
        said.append("Who reads the feed of this process has to show a token: set LISTEN_TOKEN (openssl rand -hex 16).")
    if role == "ingest" and settings.source == "channels":
        said.append("This process reads a feed and no channels: set FEED_URL, to that of the role listen for example.")
    return said
