"""How long a call is news, and how long what was decided of a token counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FRESH_FOR: Final = timedelta(minutes=10)
"""An older call is recorded as seen by nobody and not told as if it were new; an alert that waited longer since its
decision comes in a digest. For an older call today's figures would be wrong ones."""
ACCEPTED_FOR: Final = timedelta(days=14)
"""From the decision on. Memory, Redis, PostgreSQL and /why all end it by this."""


REJECTED_FOR: Final = timedelta(hours=1)
