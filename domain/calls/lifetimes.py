"""How long what was decided of a token counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

ACCEPTED_FOR: Final = timedelta(days=14)
"""From the decision on. Memory, Redis, PostgreSQL and /why all end it by this."""


REJECTED_FOR: Final = timedelta(hours=1)
