"""Some seconds after an alert, what its card lacks is asked for once more, and put on it where somebody knows.

It goes through the outbox under a unique key (call, person), so it may be looked at again after any kill. Cards of
calls that lack nothing shown, and of people who do not want it, stay as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, LiteralString, Protocol

import msgspec
import structlog

from domain.calls import figures
from domain.calls.events import Call, Token
from domain.prices.readings import TokenRef
from domain.stored.outgoing import Envelope
from managers.storage.postgres import PostgresManager, Row
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError, UnreadableError
from runtime.fault_points import fault_point
from runtime.waiting import Progress, pause
from services.claims.putting import Putting
from services.completing.later_figures import LaterFigures, completed
from services.completing.sent_cards import SentCard, sent_cards
from services.delivery.digests import read_call

log = structlog.get_logger(__name__)

KIND: Final = "figures"
AFTER: Final = timedelta(seconds=5)
"""After the decision: what is slow has answered by then, and what was sent is written down."""
GIVEN_UP_AFTER: Final = timedelta(seconds=60)
"""A card that was sent later has to do with what it says."""
SHOWN: Final = frozenset(figures.FIGURES) - {
    "image_url",
    "animation_url",
    "video_url",
    "x_handle",
    "telegram",
    "website",
}
_WITHIN_S: Final = 2.0
_LOOK_EVERY_S: Final = 1.0
_TIDY_EVERY: Final = timedelta(hours=1)
_AT_ONCE: Final = 100

_DUE: Final[LiteralString] = """
    SELECT c.call_id, c.decided_at, c.document::text AS document,
        (SELECT count(*) FROM claims x WHERE x.call_id = c.call_id) AS claims,
        (SELECT count(*) FROM deliveries d WHERE d.call_id = c.call_id AND d.kind = 'alert') AS delivered
    FROM calls c
    WHERE c.decided_at BETWEEN $1 AND $2 AND EXISTS (SELECT 1 FROM claims x WHERE x.call_id = c.call_id)
        AND NOT EXISTS (SELECT 1 FROM later_figures l WHERE l.call_id = c.call_id)
    ORDER BY c.decided_at LIMIT $3
"""


class Informed(Protocol):
    """Who is asked. Takes about `within_s`, and never raises."""

    async def of(self, tokens: Iterable[TokenRef], *, within_s: float) -> dict[str, Token]:
        """Give what is known, by `TokenRef.key`."""
        ...

    def may_ask_again(self, token: TokenRef) -> bool:
        """Whether nobody has answered, be it that they know nothing."""
        ...


class CompletingService:
    def __init__(
        self,
        *,
        postgres: PostgresManager,
        figures: Informed,
        later: LaterFigures,
        putting: Putting,
        wants: Callable[[int], Awaitable[bool]],
        clock: Callable[[], datetime],
    ) -> None:
        """`wants`: whether somebody's cards may change."""
        self._wants = wants
        self._postgres = postgres
        self._figures = figures
        self._later = later
        self._putting = putting
        self._clock = clock
        self._tidied_at: datetime | None = None
        self.put = 0
        """Cards that are to be completed, since the start."""

    async def run(self, progress: Progress) -> None:
        """Look for ever."""
        while True:
            stop_if_cancelled()
            progress()
            try:
                await self.look()
                await self._tidy()
            except TransientError as error:
                stop_if_cancelled()
                log.warning("cards_not_completed", reason=str(error))
            await pause(_LOOK_EVERY_S, progress)

    async def look(self) -> int:
        """Complete the cards of calls that were decided some seconds ago; returns how many calls were looked at."""
        now = self._clock()
        rows = await self._postgres.fetch(_DUE, now - GIVEN_UP_AFTER, now - AFTER, _AT_ONCE)
        read = {row["call_id"]: read_call(row["document"].encode(), row["call_id"]) for row in rows}
        calls = {call_id: call for call_id, call in read.items() if call is not None}
        lacking = {call_id: call for call_id, call in calls.items() if SHOWN.intersection(figures.missing(call.token))}
        asked = [TokenRef(call.token.address, call.token.chain) for call in lacking.values()]
        known = await self._figures.of(asked, within_s=_WITHIN_S) if asked else {}
        found = {
            call_id: token
            for call_id, call in lacking.items()
            if (token := known.get(TokenRef(call.token.address, call.token.chain).key)) and _helps(call, token)
        }
        await self._put(found, now)
        fault_point("figures_put")
        unanswered = {
            call_id
            for call_id, call in lacking.items()
            if self._figures.may_ask_again(TokenRef(call.token.address, call.token.chain))
        }
        done = [
            row["call_id"]
            for row in rows
            if row["call_id"] not in calls or _is_done(row, now, waits=row["call_id"] in unanswered)
        ]
        await self._later.put([(call_id, found.get(call_id)) for call_id in done], now)
        return len(rows)

    async def _put(self, found: dict[str, Token], now: datetime) -> None:
        cards = await sent_cards(self._postgres, list(found), now - GIVEN_UP_AFTER)
        for card in cards:
            if await self._may_change(card):
                put = await self._putting.put(_envelope(card, found[card.call_id], now))
                self.put += put is not False

    async def _may_change(self, card: SentCard) -> bool:
        """Whether its owner wants it; of whoever cannot be read it stays as it is."""
        try:
            return await self._wants(card.user_id)
        except UnreadableError:
            return False

    async def _tidy(self) -> None:
        now = self._clock()
        if self._tidied_at is None or now - self._tidied_at > _TIDY_EVERY:
            await self._later.forget(now)
            self._tidied_at = now


class FiguresNotice(SentCard, frozen=True, kw_only=True, omit_defaults=True):
    """A card, and what became known of its token."""

    token: Token


def _envelope(card: SentCard, token: Token, now: datetime) -> Envelope:
    notice = FiguresNotice(**msgspec.structs.asdict(card), token=token)
    return Envelope.of(KIND, notice, user_id=card.user_id, subject=card.call_id, decided_at=now)


def _helps(call: Call, token: Token) -> bool:
    more = figures.missing(call.token)
    return bool(SHOWN.intersection(more).difference(figures.missing(completed(call, token).token)))


def _is_done(row: Row, now: datetime, *, waits: bool) -> bool:
    """Whether each of its alerts has become something; who is still waiting for theirs gets the rest then.

    `waits`: nobody could be asked so far, and perhaps somebody can before it is given up.
    """
    is_late = now - row["decided_at"] > GIVEN_UP_AFTER - timedelta(seconds=10)
    return is_late or (row["delivered"] >= row["claims"] and not waits)
