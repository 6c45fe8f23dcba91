"""What the server counted since it started."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

_RATE_WINDOW_S = 5.0
_DELIVERIES_KEPT = 100_000
_DESCRIPTIONS_KEPT = 200


class Delivery(NamedTuple):
    """A message that was accepted; an album is one delivery per message in it."""

    at: float
    """Arrival on the sandbox's clock."""
    chat_id: int
    method: str


class ServerStats:
    """Counters for tests and for the page. `deliveries` holds sends and edits, newest last."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.messages = 0
        self.edits = 0
        self.refusals_429 = 0
        self.updates = 0
        self.faults_injected: Counter[str] = Counter()
        self.deliveries: deque[Delivery] = deque(maxlen=_DELIVERIES_KEPT)

    def delivered(self, at: float, chat_id: int, method: str, *, count: int, is_send: bool) -> None:
        if is_send:
            self.messages += count
        else:
            self.edits += count
        delivery = Delivery(at, chat_id, method)
        for _ in range(count):
            self.deliveries.append(delivery)

    def refused(self, code: int, description: str) -> None:
        if code == 429:  # noqa: PLR2004 -- the HTTP status itself
            self.refusals_429 += 1
        if description in self.errors or len(self.errors) < _DESCRIPTIONS_KEPT:
            self.errors[description] += 1
        else:
            self.errors["(other)"] += 1

    def messages_per_s(self, now: float) -> float:
        """Return accepted sends and edits per second over the last five seconds."""
        recent = 0
        for delivery in reversed(self.deliveries):
            if delivery.at < now - _RATE_WINDOW_S:
                break
            recent += 1
        return recent / _RATE_WINDOW_S
