"""Faults of the API that can be switched on, and what its IPNs do on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum


class Fault(StrEnum):
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After; nothing was done."""
    ERROR_5XX = "error_5xx"
    """500 as JSON; nothing was done."""
    BAD_GATEWAY = "bad_gateway"
    """502 with Cloudflare's page; nothing was done."""
    CHALLENGE = "challenge"
    """403 with Cloudflare's page for browsers."""
    UNAUTHORIZED = "unauthorized"
    """401, although the key is right."""
    FORBIDDEN = "forbidden"
    """403, although the key is right."""
    HTML_200 = "html_200"
    HALF_BODY = "half_body"
    """It was done, the answer ends in the middle."""
    DROP = "drop"
    """The connection closes without an answer; nothing was done."""
    DROP_AFTER = "drop_after"
    """It was done, the connection closes without an answer."""


DONE_ALL_THE_SAME = frozenset({Fault.HALF_BODY, Fault.DROP_AFTER})


class NowPaymentsFaults:
    def __init__(self) -> None:
        self._next: Counter[Fault] = Counter()
        self.always: Fault | None = None
        """Every request meets it until it is None again."""
        self.retry_after_s = 1
        self.latency_s = 0.0
        self.stale_reads = 0
        """How many of the next GETs of a payment show it as it was before its last change."""
        self.numbers_as_text = False
        """GET of a payment spells ids and amounts as strings."""
        self.holds_ipns = False
        """IPNs wait until they are released, in any order."""
        self.loses_ipns = False
        """IPNs are not sent at all."""
        self.copies_of_ipns = 1
        self.sorted_bodies = False
        """The body of an IPN is already in the order of the signature, as some captured ones are."""
        self.bodies_with_zeros = False
        """Whole amounts are spelled 10.0 in the body; the signature has 10."""
        self.paid_is_told_later = False
        """A finished IPN says that nothing was paid yet; GET knows better."""

    def fail_next(self, fault: Fault, count: int = 1) -> None:
        """Let the next `count` requests meet this fault."""
        self._next[fault] += count

    def draw(self) -> Fault | None:
        for fault, count in self._next.items():
            if count > 0:
                self._next[fault] -= 1
                return fault
        return self.always

    def reads_stale(self) -> bool:
        self.stale_reads, stale = max(0, self.stale_reads - 1), self.stale_reads > 0
        return stale

    async def delay(self) -> None:
        if self.latency_s > 0:
            await asyncio.sleep(self.latency_s)
