"""Messages that somebody edits after they sent them: nothing is done by an edit, and that is said once for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cachetools import FIFOCache
from telegram import Message

_REMEMBERED: Final = 10_000
_YOUNGER_THAN: Final = timedelta(hours=1)
"""Who tidies up what they once wrote expects no answer."""


class Edits:
    """Which edited messages were answered, by chat and message."""

    def __init__(self) -> None:
        self._answered: FIFOCache[tuple[int, int], None] = FIFOCache(_REMEMBERED)

    def is_to_be_answered(self, edited: Message) -> bool:
        """Whether somebody changed words that they wrote lately, for the first time. Places that move are no edits."""
        place = (edited.chat.id, edited.message_id)
        if place in self._answered or not edited.text or edited.edit_date is None:
            return False
        if edited.via_bot or edited.forward_origin or edited.edit_date - edited.date > _YOUNGER_THAN:
            return False
        self._answered[place] = None
        return True
