from __future__ import annotations

from tests.conversation.conftest import admin, ann, app, ben, channels, clock, conversation, journal, matcher, services
from tests.stores.conftest import data_dir, path, process, proxy

__all__ = [
    "admin",
    "ann",
    "app",
    "ben",
    "channels",
    "clock",
    "conversation",
    "data_dir",
    "journal",
    "matcher",
    "path",
    "process",
    "proxy",
    "services",
]
