"""Faults of one RPC node that can be switched on: what busy, late, pruned and lying nodes do to a watcher."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from solders.signature import Signature

from sandbox.payments.solana.execution import Entry


class Fault(StrEnum):
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After; nothing was done."""
    ERROR_5XX = "error_5xx"
    """502 with an HTML body; nothing was done."""
    FORBIDDEN = "forbidden"
    """403 with an HTML body."""
    HTML_200 = "html_200"
    """200 with a page that is no JSON."""
    HALF_BODY = "half_body"
    """200 and JSON that ends in the middle."""
    DROP = "drop"
    """The connection closes without an answer; nothing was done."""
    DROP_AFTER = "drop_after"
    """It was done, the connection closes without an answer."""
    INTERNAL_ERROR = "internal_error"
    """-32603 within 200."""


class NodeFaults:
    def __init__(self) -> None:
        self._next: Counter[Fault] = Counter()
        self.always: Fault | None = None
        """A storm: every request meets it until it is None again."""
        self.only_methods: frozenset[str] = frozenset()
        """Faults of requests meet these methods alone; empty: all."""
        self.retry_after_s = 1
        self.latency_s = 0.0
        self.lag_slots = 0
        """How many slots the node is behind the cluster, at every commitment."""
        self.admits_lag = True
        """Whether getHealth and preflight say so, too."""
        self.keeps_history = True
        """Without it the methods of history answer -32011."""
        self.pruned_before_slot = 0
        """What landed before is neither listed nor found."""
        self.late_transactions = 0
        """How often getTransaction answers null to each signature before it finds the transaction."""
        self.loses_sends = 0
        """How many of the next sendTransaction are answered with a signature and never land."""
        self.duplicates_listing = False
        self.shuffles_listing = False
        self.unknown_cursor_is_error = False
        """Newer nodes answer -32020 to a `before` or `until` that they do not know; Agave 3.1 does not."""
        self.without_block_times = False
        self.bare_token_balances = False
        """Older nodes name neither `owner` nor `programId` of a token balance."""
        self.silent_subscriptions = False
        """WebSockets stay open and say nothing."""
        self.rewrite: Callable[[str, Any], Any] | None = None
        """A lying node: gets the method and the result, gives the result that is answered."""
        self.after_call: Callable[[str], None] | None = None
        """Called after each call with its method, before the answer leaves: the world moves between two pages."""
        self._asked_for: Counter[Signature] = Counter()

    def fail_next(self, fault: Fault, count: int = 1) -> None:
        """Let the next `count` requests meet this fault."""
        self._next[fault] += count

    def draw(self, methods: frozenset[str]) -> Fault | None:
        """Return the fault that a request with these methods meets, if any."""
        if self.only_methods and not self.only_methods & methods:
            return None
        for fault, count in self._next.items():
            if count > 0:
                self._next[fault] -= 1
                return fault
        return self.always

    async def delay(self) -> None:
        if self.latency_s > 0:
            await asyncio.sleep(self.latency_s)

    def loses_this_send(self) -> bool:
        self.loses_sends, lost = max(0, self.loses_sends - 1), self.loses_sends > 0
        return lost

    def hides(self, entry: Entry) -> bool:
        """Tell whether getTransaction does not find it this time; each question counts."""
        if entry.slot < self.pruned_before_slot:
            return True
        self._asked_for[entry.signature] += 1
        return self._asked_for[entry.signature] <= self.late_transactions
