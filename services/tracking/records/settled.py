"""When a call is settled, the card of each of its alerts says once what became of it.

Settled is a call that has ended, or one of seven days ago: whatever it still does, its last horizon has passed. It goes
through the outbox under a unique key (call, person), so it may be looked at again after any kill. Only alerts that
stand alone in their message are edited: not digests, not several cards in one message, and nothing older than
`EDITED_FOR`, since the call is forgotten then that the card is made of. Telegram sets no limit to a bot's own messages;
an edit that it refuses nevertheless is dropped.
"""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.outgoing import Envelope
from domain.tracking.outcome import HORIZONS_S, Ending
from managers.storage.postgres import PostgresManager
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause
from services.claims.putting import Putting
from services.completing.sent_cards import SentCard, sent_cards
from services.stores.counted import COUNTS, PEAK, PEAK_AFTER_S

log = structlog.get_logger(__name__)

KIND: Final = "outcome"
EDITED_FOR: Final = ACCEPTED_FOR
SETTLED_AFTER: Final = timedelta(seconds=HORIZONS_S[-1], minutes=10)
"""Ten minutes later its last return is written down."""
_LOOK_EVERY_S: Final = 10.0
_AT_ONCE: Final = 200
_PUT_AT_ONCE: Final = 50

_COLUMNS: Final[LiteralString] = (
    "SELECT o.call_id, o.called_at, "
    + PEAK
    + " AS multiple, "
    + PEAK_AFTER_S
    + " AS after_s, o.at_least, o.ending, "
    + COUNTS
    + " AS counts FROM outcomes o WHERE o.shown_at IS NULL"
)
_SETTLED: Final[LiteralString] = (
    "("
    + _COLUMNS
    + " AND ended_at IS NOT NULL ORDER BY ended_at LIMIT $2) UNION ("
    + _COLUMNS
    + " AND called_at <= $1 ORDER BY called_at LIMIT $2)"
)
_SHOWN: Final[LiteralString] = "UPDATE outcomes SET shown_at = $2 WHERE call_id = ANY($1)"


class SettledCall(Struct, frozen=True, kw_only=True):
    call_id: str
    called_at: datetime
    multiple: float
    after_s: float
    at_least: bool
    ending: Ending | None
    counts: bool
    """No admin has excluded it."""


class OutcomeNotice(SentCard, frozen=True, kw_only=True, omit_defaults=True):
    """What one card is to say, and what it said before."""

    user_id: int = 0
    """0 in notices of earlier versions, which say it beside."""
    multiple: float
    after_s: float
    at_least: bool = False
    ending: Ending | None = None


class SettledCalls:
    def __init__(self, *, postgres: PostgresManager, putting: Putting, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._putting = putting
        self._clock = clock
        self.put = 0
        """Cards to be edited, since the start."""

    async def run(self, progress: Progress) -> None:
        """Tell for ever."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                while await self.tell():
                    progress()
            except TransientError as error:
                stop_if_cancelled()
                log.warning("outcomes_delayed", reason=str(error))
            await pause(_LOOK_EVERY_S, progress)

    async def tell(self) -> int:
        """Put what is settled into the outbox; returns how many calls were looked at."""
        now = self._clock()
        rows = await self._postgres.fetch(_SETTLED, now - SETTLED_AFTER, _AT_ONCE)
        calls = {row["call_id"]: msgspec.convert(dict(row), SettledCall) for row in rows}
        told = [call_id for call_id, call in calls.items() if call.counts]
        cards = await sent_cards(self._postgres, told, now - EDITED_FOR)
        for start in range(0, len(cards), _PUT_AT_ONCE):
            some = cards[start : start + _PUT_AT_ONCE]
            await self._put([_envelope(calls[card.call_id], card, now) for card in some])
        fault_point("outcomes_put")
        if calls:
            await self._postgres.execute(_SHOWN, list(calls), now)
        return len(calls)

    async def _put(self, envelopes: Sequence[Envelope]) -> None:
        put = await asyncio.gather(*(self._putting.put(envelope) for envelope in envelopes))
        self.put += sum(one is not False for one in put)


def _envelope(call: SettledCall, card: SentCard, now: datetime) -> Envelope:
    notice = OutcomeNotice(
        **msgspec.structs.asdict(card),
        multiple=call.multiple,
        after_s=call.after_s,
        at_least=call.at_least,
        ending=call.ending,
    )
    return Envelope.of(KIND, notice, user_id=card.user_id, subject=call.call_id, decided_at=now)
