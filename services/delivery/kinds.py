"""The table of kinds: everything that tells one kind of message from the others is in its row.

A kind is added by a row, with the payload that it puts into an `Envelope` and the composer that makes its messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.delivery.policy import Rules
from domain.stored.outgoing import Envelope, Outgoing
from domain.subscribers.subscriber import Subscriber
from managers.telegram.rate_limiter import Lane
from runtime.errors import FatalError, MessageRefusedError
from runtime.retry import retry_until_done
from services.delivery.composing import Composed, Composer
from services.delivery.sending import ChatTarget, target_of
from services.delivery.turns import QueuedMessage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    name: str
    lane: Lane
    """Its share when messages have to wait, among others and among those of one subscriber: earlier lanes go first."""
    rules: Rules
    """What a subscriber's wishes mean to it, how long it stays fresh, and what happens then."""
    composer: Composer
    payload: type[Struct] = Struct
    """Of its envelope."""
    merges: int = 1
    """So many that wait for one subscriber may go into one message."""
    tells_calls: bool = False
    """It is about claimed calls: what becomes of it counts among the alerts, and what is held of it are calls."""

    to_destination: bool = False
    """It goes to the group that the subscriber has chosen, if any; everything else is theirs alone."""
    place: Callable[[QueuedMessage], ChatTarget] | None = None
    """Where else it has to go."""

    def __post_init__(self) -> None:
        if self.rules.is_held and not self.tells_calls:
            raise ValueError(f"{self.name}: only calls wait for a digest")


class Kinds:
    def __init__(self, rows: Iterable[Kind] = ()) -> None:
        self._rows: dict[str, Kind] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Kind) -> None:
        """`FatalError` when there is one of this name."""
        if row.name in self._rows:
            raise FatalError(f"Two kinds of message are called “{row.name}”.")
        self._rows[row.name] = row

    def of(self, outgoing: Outgoing) -> Kind:
        """Return its row; `KeyError` where there is none: only what was read has one for sure."""
        return self._rows[outgoing.kind]

    def find(self, outgoing: Outgoing) -> Kind | None:
        """`of`, of what nobody has read yet."""
        return self._rows.get(outgoing.kind)

    def tells_calls(self, outgoing: Outgoing) -> bool:
        row = self.find(outgoing)
        return row is not None and row.tells_calls

    def target(self, waiting: QueuedMessage, subscriber: Subscriber) -> ChatTarget:
        """Where it is to go."""
        row = self.of(waiting.entry.outgoing)
        if row.place is not None:
            return row.place(waiting)
        return target_of(subscriber) if row.to_destination else ChatTarget(subscriber.chat_id)

    async def read(self, waiting: QueuedMessage) -> str | None:
        """Read what the message is made from; return why it can never be made."""
        row = self._rows.get(waiting.kind)
        if row is None:
            return f"there is no kind {waiting.kind}"
        outgoing = waiting.entry.outgoing
        if isinstance(outgoing, Envelope) and waiting.payload is None:
            try:
                waiting.payload = msgspec.json.decode(outgoing.payload, type=row.payload)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                return f"unreadable: {error}"
        try:
            return await retry_until_done(lambda: row.composer.read(waiting))
        except FatalError:
            raise
        except Exception as error:
            log.exception("message_not_read", kind=waiting.kind, key=outgoing.key)
            return f"reading failed: {error!r}"

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        """Do what takes time before the turn comes. Raises `MessageRefusedError`."""
        row = self.of(waiting.entry.outgoing)
        try:
            await retry_until_done(lambda: row.composer.prepare(waiting, subscriber))
        except FatalError:
            raise
        except Exception as error:
            raise _given_up(waiting, error) from error

    def is_ready(self, waiting: QueuedMessage) -> bool:
        """Whether `prepare` has done all that is needed."""
        return self.of(waiting.entry.outgoing).composer.is_ready(waiting)

    def message(self, sendable: Sequence[QueuedMessage], subscriber: Subscriber, place: ChatTarget) -> Composed:
        """Compose the next message from what waits, in its order. Raises `MessageRefusedError`."""
        first = sendable[0]
        row = self.of(first.entry.outgoing)
        mergeable = takewhile(lambda w: w.kind == first.kind and not w.alone, sendable[: row.merges])
        try:
            composed = row.composer.compose(list(mergeable) or [first], subscriber)
        except Exception as error:
            raise _given_up(first, error) from error
        if all(waiting.verdict.silent for waiting in composed.batch):
            composed = replace(composed, message=replace(composed.message, silent=True))
        return _without_own_buttons(composed) if place.chat_id != subscriber.chat_id else composed


def _given_up(waiting: QueuedMessage, error: Exception) -> MessageRefusedError:
    """What breaks the composer must not break the sender again at every start."""
    log.error("message_not_composed", kind=waiting.kind, key=waiting.entry.outgoing.key, exc_info=error)
    return MessageRefusedError(f"composing failed: {error!r}")


def _without_own_buttons(composed: Composed) -> Composed:
    """Leave out what only answers in the private chat: in a group anybody could tap it."""
    rows = (tuple(b for b in row if b.data is None) for row in composed.message.keyboard)
    keyboard = tuple(row for row in rows if row)
    return replace(composed, message=replace(composed.message, keyboard=keyboard))
