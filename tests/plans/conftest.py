from __future__ import annotations

from tests.conversation.conftest import admin, ann, app, ben, channels, clock, conversation, journal, matcher, services

__all__ = ["admin", "ann", "app", "ben", "channels", "clock", "conversation", "journal", "matcher", "services"]
