"""What an admin did, as it is written down: before it is done, and again with what came of it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from domain.admins.roles import AdminRole

Outcome = Literal["begun", "done", "refused", "failed"]
"""`begun`: nobody knows, the process ended before it was over."""

MAX_DETAILS: Final = 1_000
MAX_SAID: Final = 300
_WORDS: Final = re.compile(r"[\s,;]+")


class Deed(Struct, kw_only=True, omit_defaults=True):
    number: str
    """Its own, for ever; what is given for it bears it as well."""
    at: datetime
    admin_id: int
    role: AdminRole
    action: str
    """Name of what was done, as its route has it."""
    user_id: int | None = None
    """On whom."""
    details: str = ""
    """With which parameters, as text; attacker-controlled."""
    outcome: Outcome = "begun"
    said: str = ""
    """What came of it, in words, or the key of the text that refused it."""

    def about(self, user_id: int | None = None, details: str = "") -> None:
        """Say more of it than its route knows; what was typed just so is not said twice."""
        self.user_id = self.user_id if user_id is None else user_id
        if details.split() != _WORDS.split(self.details.strip(" ,;\n")):
            self.details = "; ".join(filter(None, (self.details, details)))[:MAX_DETAILS]

    def end(self, outcome: Outcome, said: str) -> None:
        """Say what came of it; the first word counts."""
        if self.outcome == "begun":
            self.outcome, self.said = outcome, said[:MAX_SAID]
