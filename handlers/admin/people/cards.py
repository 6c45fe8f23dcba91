"""What admins see of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.subscribers.subscriber import Subscriber
from handlers.admin.admin_buttons import ShowPersonAudit
from handlers.admin.buttons import ShowPayer
from handlers.admin.people.buttons import (
    AskBan,
    AskNote,
    AskWrite,
    ShowActivity,
    ShowNotes,
    ShowSubscription,
    ShowTheirs,
    ShowUser,
    ShowUsers,
    Unban,
)
from handlers.conversation.base import Services, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.delivery.standing import subscriber_state
from services.administration.people import Card, Done, Note, PeopleService
from texts.markup import Html

LATEST: Final = 3
"""Notes and things they did, on the card."""
USERS_PER_PAGE: Final = 10
_AT: Final = "%d %b %H:%M"


async def user_card(
    services: Services, turn: Turn, user_id: int, note: Html | None = None, back: CallbackData | None = None
) -> Message:
    """Show somebody, and what may be done about them. `UserFacingError` for nobody the bot knows.

    Back leads to the page of all users on which they stand, unless it is said otherwise.
    """
    back = back or _among_all(services, user_id)
    view, card = view_of(services, turn), await services.of(PeopleService).card(user_id, LATEST)
    subscriber = card.subscriber
    state = await subscriber_state(services, view, subscriber, "their_state")
    notes = view.listed(note_line(view, one) for one in card.notes)
    doings = view.listed(activity_line(view, one) for one in card.activity)
    return message(
        note or Html(),
        _about(view, card, state),
        view.html("person.notes", count=card.notes_count, notes=notes) if card.notes else Html(),
        view.html("person.activity", activity=doings) if card.activity else Html(),
        keyboard=(*in_rows(_buttons(view, subscriber), 2), (view.button("button.back", back),)),
    )


def _among_all(services: Services, user_id: int) -> ShowUsers:
    ids = services.subscribers.roster.ids()
    return ShowUsers(ids.index(user_id) // USERS_PER_PAGE if user_id in ids else 0)


def _about(view: View, card: Card, state: Html) -> Html:
    subscriber = card.subscriber
    return view.html(
        "person.card",
        name=subscriber.name or "?",
        username=f" @{card.username}" if card.username else "",
        user_id=subscriber.user_id,
        state=state,
        plan=view.label("plan", subscriber.plan),
        until=shown_moment(subscriber.paid_until),
        filters=len(subscriber.filter_sets),
        on=sum(one.enabled for one in subscriber.filter_sets),
        alerts=f"{card.alerts:,}",
        not_sent=f"{card.not_sent:,}",
        payments=f"{card.payments:,}",
        paid_at=shown_moment(card.paid_at),
        since=shown_moment(subscriber.created_at),
        seen=shown_moment(card.seen_at),
    )


def _buttons(view: View, subscriber: Subscriber) -> tuple[Button, ...]:
    user_id = subscriber.user_id
    banning = ("button.unban", Unban(user_id)) if subscriber.banned_at else ("button.ban", AskBan(user_id))
    return (
        view.button("button.person_plan", ShowSubscription(user_id)),
        view.button("button.person_payments", ShowPayer(user_id)),
        view.button("button.person_status", ShowTheirs(user_id, "status")),
        view.button("button.person_settings", ShowTheirs(user_id, "settings")),
        view.button("button.person_activity", ShowActivity(user_id, 0)),
        view.button("button.person_notes", ShowNotes(user_id, 0)),
        view.button("button.add_note", AskNote(user_id)),
        view.button("button.write_to", AskWrite(user_id)),
        view.button("button.person_audit", ShowPersonAudit(user_id, 0)),
        view.button(*banning),
    )


def to_card(view: View, user_id: int) -> tuple[Button, ...]:
    """Return the row that leads back to somebody's card."""
    return (view.button("button.back", ShowUser(user_id)),)


def note_line(view: View, one: Note) -> Html:
    return view.html("person.note", at=f"{one.at:{_AT}}", admin=one.admin_id, said=one.said)


def activity_line(view: View, one: Done) -> Html:
    return view.html("person.did", at=f"{one.at:{_AT}}", what=one.what.replace("/", "∕"), detail=one.detail)


def shown_moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%d %b %Y, %H:%M} UTC"
