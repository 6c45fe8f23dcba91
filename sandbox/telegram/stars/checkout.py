"""Pre-checkout: the payer waits, the bot has ten seconds to say yes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sandbox.telegram.errors import OLD_QUERY, bad_request
from sandbox.telegram.stars.invoices import Invoice

if TYPE_CHECKING:
    from sandbox.telegram.cloud import Chat

TIMED_OUT = "BOT_PRECHECKOUT_TIMEOUT"
REFUSED = "BOT_PRECHECKOUT_FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the payer's app is told."""

    status: Literal["paid", "cancelled", "failed"]
    error: str = ""
    """Why it failed, as a constant of Telegram's."""
    message: str = ""
    """The bot's own words, if it refused."""
    charge_id: str = ""


@dataclass(slots=True, eq=False)
class Checkout:
    payer: Chat
    invoice: Invoice
    asked_at: float
    outcome: asyncio.Future[Outcome]

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Checkouts:
    """The open queries. Each is answered once, and in time by both clocks: the sandbox's and the payer's."""

    def __init__(self, clock: Callable[[], float], timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._ids = itertools.count(time.time_ns())
        self._open: dict[str, Checkout] = {}

    def open(self, payer: Chat, invoice: Invoice) -> tuple[str, Checkout]:
        self._open = {query_id: each for query_id, each in self._open.items() if not self._is_late(each)}
        query_id = str(next(self._ids))
        checkout = Checkout(payer, invoice, self._clock(), asyncio.get_running_loop().create_future())
        self._open[query_id] = checkout
        return query_id, checkout

    def is_open(self, payer: Chat, invoice: Invoice) -> bool:
        waiting = [each for each in self._open.values() if not self._is_late(each)]
        return any(each.payer is payer and each.invoice == invoice for each in waiting)

    async def outcome(self, query_id: str, checkout: Checkout) -> Outcome:
        """Await the end. A payer who goes away meanwhile does not stop it: the bot's answer still decides."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(checkout.outcome)
        except TimeoutError:
            self._open.pop(query_id, None)
            checkout.end(Outcome("failed", TIMED_OUT))
            return checkout.outcome.result()

    def take(self, query_id: str) -> Checkout:
        """Take out the query that the bot answers; 400 when it is too late or was answered before."""
        checkout = self._open.pop(query_id, None)
        if checkout is None:
            raise bad_request(OLD_QUERY)
        if self._is_late(checkout):
            checkout.end(Outcome("failed", TIMED_OUT))
            raise bad_request(OLD_QUERY)
        return checkout

    def _is_late(self, checkout: Checkout) -> bool:
        return self._clock() - checkout.asked_at > self._timeout_s
