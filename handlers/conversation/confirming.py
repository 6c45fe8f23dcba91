"""What cannot be taken back needs a second tap, on a question that is still fresh.

People's own questions carry when they were asked, so nothing has to be remembered. What admins are asked is kept for a
minute and answered once, by whom it was asked (`asked_twice`): a late tap and a second one do nothing and say so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from handlers.conversation.base import Services, Turn
from handlers.conversation.guard import Sure
from handlers.conversation.menus import View, message, view_of
from runtime.errors import UserFacingError
from services.stores.keys import CONFIRMATION
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


async def asked_twice(
    services: Services, turn: Turn, text: Html, *, yes_key: str, yes: CallbackData, back: CallbackData, typed: str = ""
) -> Message:
    """Return the question whether an admin means it. `yes` is the button of a route that is `confirmed`.

    `typed`: what they typed for it; the route finds it as the text of its turn.
    """
    view = view_of(services, turn)
    token = await services.conversation.confirmations.ask(turn.user_id, yes.pack(), typed)
    return message(
        text,
        view.html("confirm.once", seconds=CONFIRMATION.expires_s),
        keyboard=((view.button(yes_key, Sure(token)), view.button("button.back", back)),),
    )
