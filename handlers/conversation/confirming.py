"""What cannot be taken back needs a second tap, on a question that is still fresh.

The question carries when it was asked, so nothing has to be remembered, and one that was forgotten in the chat does
nothing any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from handlers.conversation.menus import View, message
from runtime.errors import UserFacingError
from texts.markup import Html

MEANT_FOR_S: Final = 120
"""So long a question can be answered."""


def asked_at(now: datetime) -> int:
    """Return the moment as a button carries it."""
    return int(now.timestamp())


def question(view: View, text: Html, yes_key: str, yes: CallbackData, back: CallbackData) -> Message:
    """Ask whether something is meant."""
    return message(
        text,
        view.html("confirm.hint", minutes=MEANT_FOR_S // 60),
        keyboard=((view.button(yes_key, yes), view.button("button.back", back)),),
    )


def require_fresh(asked_s: int, now: datetime) -> None:
    """Refuse (`UserFacingError`) an answer to a question that was asked too long ago."""
    if not 0 <= now.timestamp() - asked_s <= MEANT_FOR_S:
        raise UserFacingError("confirm.expired")
