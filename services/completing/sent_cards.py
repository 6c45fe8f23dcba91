"""Cards that stand alone in their message, and how each is made once more to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call
from domain.calls.venues import NO_VENUES, Venues
from domain.delivery.messages import Edited, Message
from domain.stored.alerts import Alert
from domain.subscribers.subscriber import Subscriber
from managers.storage.postgres import PostgresManager
from services.cards.names import Names
from services.delivery.cards import Shown, card_of
from services.delivery.media import media_of
from texts.markup import Html

_CARDS: Final[LiteralString] = """
    SELECT c.call_id, c.user_id, c.claimed_at, (c.document ->> 'late_s')::double precision AS late_s, d.message_id,
        coalesce(d.chat_id, c.user_id) AS chat_id, d.set_number, d.latency_s, d.may_repeat,
        ARRAY(SELECT f.set::integer FROM jsonb_array_elements_text(c.document -> 'also') AS f (set)) AS also
    FROM claims c JOIN deliveries d ON d.call_id = c.call_id AND d.user_id = c.user_id AND d.kind = 'alert'
    WHERE c.call_id = ANY($1) AND d.status = 'sent' AND d.message_id IS NOT NULL AND d.sent_at > $2
"""


class SentCard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a card stands, and what it says besides its call."""

    call_id: str
    user_id: int
    claimed_at: datetime
    late_s: float | None = None
    message_id: int
    chat_id: int
    set_number: int
    also: tuple[int, ...] = ()
    latency_s: float | None = None
    may_repeat: bool = False


async def sent_cards(postgres: PostgresManager, call_ids: Sequence[str], since: datetime) -> list[SentCard]:
    """Return the cards of these calls that were sent since then. `TransientError`."""
    rows = await postgres.fetch(_CARDS, list(call_ids), since) if call_ids else []
    return [msgspec.convert(dict(row), SentCard) for row in rows]


def alert_behind(card: SentCard) -> Alert:
    """As much of the alert as names its stored call."""
    return Alert(
        user_id=card.user_id,
        call_id=card.call_id,
        token_address="",
        set_number=card.set_number,
        received_at=card.claimed_at,
        decided_at=card.claimed_at,
        late_s=card.late_s,
    )


def made_again(
    names: Names,
    card: SentCard,
    call: Call,
    subscriber: Subscriber,
    *,
    outcome: Html | None = None,
    venues: Venues = NO_VENUES,
) -> Message:
    """Make the card of a call as it is now, in the place of the one that was sent."""
    wishes = subscriber.preferences.card
    shown = Shown(
        call=call,
        set_names=names.of_passed(subscriber, (card.set_number, *card.also)),
        speed_s=card.latency_s,
        may_repeat=card.may_repeat,
        late_s=card.late_s,
        decided_at=card.claimed_at,
        outcome=outcome or Html(),
    )
    has_picture = not wishes.compact and "image" not in wishes.hidden and media_of(call.token) is not None
    message = card_of(names.texts, shown, language=subscriber.language, card=wishes, venues=venues)
    return replace(message, edits=Edited(card.message_id, has_picture))
