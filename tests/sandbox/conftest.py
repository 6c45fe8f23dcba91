from __future__ import annotations

from tests.feed.conftest import api_manager, feed, session

__all__ = ["api_manager", "feed", "session"]
