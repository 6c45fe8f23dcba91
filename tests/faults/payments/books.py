"""What came of it: every payment, held against what PostgreSQL says that people have and what Telegram told them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import asyncpg
from msgspec import Struct

from sandbox.telegram.updates import JsonObject
from tests.faults.ledger import REPEAT_NOTE
from tests.faults.payments.crowd import Payer
from tests.faults.stage import Stage

_RECEIPT: Final = re.compile(r"Paid: .* Invoice (\w+)\.", re.DOTALL)
_LOOK_EVERY_S: Final = 0.25


class PaymentCounts(Struct, frozen=True, kw_only=True):
    people: int
    """Those who have paid for something, and those who tried to be given it for nothing."""
    payments: int
    """Transfers, deposits and charges that came to us."""
    recorded: int
    """Of them, those that PostgreSQL has as final, each once."""
    paid: int
    """People who have paid what they were asked for, in time."""
    credited: int
    """Of them, those who have exactly the days of their plan, in the ledger and in their document."""
    lost: int
    """Paid and did not get all of it."""
    twice: int
    """Got more than they paid for."""
    for_nothing: int
    """Paid nothing and got something."""
    unexplained: int
    """Recorded, and nobody has sent it."""
    receipts: int
    """Invoices whose payer was told, and of them..."""
    untold: int
    """Those whose payer was not."""
    told_twice: int
    """Told again as if for the first time, or what is not so."""
    told_again: int
    """Told again, with the note that it may be a repeat."""

    def line(self) -> str:
        return ", ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in self.__struct_fields__)

    @property
    def is_complete(self) -> bool:
        return self.recorded >= self.payments and self.credited >= self.paid and not self.untold


class Books:
    """Listens to the sandbox's Telegram from the moment it is made."""

    def __init__(self, stage: Stage, people: Sequence[Payer]) -> None:
        self._stage = stage
        self._people = people
        self._told: Counter[str] = Counter()
        self._twice = self._again = 0
        stage.telegram.on_message(self._saw)

    @property
    def receipts(self) -> int:
        return len(self._told)

    async def complete(self, *, patience_s: float) -> PaymentCounts:
        """Wait until everything is there, or nothing has changed for `patience_s`; return what is."""
        before, since = None, asyncio.get_running_loop().time()
        while True:
            counts, now = await self.counts(), asyncio.get_running_loop().time()
            if counts.is_complete:
                return counts
            if counts != before:
                before, since = counts, now
            elif now - since > patience_s:
                return counts
            await asyncio.sleep(_LOOK_EVERY_S)

    async def more(self, receipts: int, *, timeout_s: float = 60) -> None:
        """Wait until so many more people were told that they have paid."""
        wanted = self.receipts + receipts
        async with asyncio.timeout(timeout_s):
            while self.receipts < wanted:  # noqa: ASYNC110 - a number, no event
                await asyncio.sleep(0.02)

    async def counts(self) -> PaymentCounts:
        async with self._stage.database() as connection:
            recorded = {row["key"] for row in await connection.fetch("SELECT key FROM arrivals WHERE stage = 'final'")}
            given = await connection.fetch("SELECT user_id, key, plan, days, given_at FROM entitlements")
            shown = {
                row["user_id"]: (row["plan"], row["paid_until"])
                for row in await connection.fetch("SELECT user_id, plan, paid_until FROM subscribers")
            }
        of: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in given:
            of[row["user_id"]].append(row)
        honest = [one for one in self._people if one.invoices]
        sent = {key for one in self._people for key in one.arrivals}
        asked = {invoice for one in honest for invoice in one.invoices}
        return PaymentCounts(
            people=len(self._people),
            payments=len(sent),
            recorded=len(sent & recorded),
            paid=len(honest),
            credited=sum(_has_exactly(one, of[one.user_id], shown.get(one.user_id)) for one in honest),
            lost=sum(_days(of[one.user_id]) < one.offer.days for one in honest),
            twice=sum(_days(of[one.user_id]) > one.offer.days for one in honest),
            for_nothing=sum(bool(of[one.user_id]) for one in self._people if not one.arrivals),
            unexplained=len(recorded - sent),
            receipts=len(self._told.keys() & asked),
            untold=len(asked - self._told.keys()),
            told_twice=self._twice + len(self._told.keys() - asked),
            told_again=self._again,
        )

    async def missing(self) -> str:
        """Say who lacks what, and what is recorded of it."""
        async with self._stage.database() as connection:
            given = {row["user_id"] for row in await connection.fetch("SELECT user_id FROM entitlements")}
            arrivals = await connection.fetch("SELECT key, coalesce(invoice_id, '-') AS told_for FROM arrivals")
            stored = {row["id"] for row in await connection.fetch("SELECT id FROM invoices")}
        told_for: dict[str, str] = {row["key"]: row["told_for"] for row in arrivals}
        return "\n".join(
            f"{one.user_id}, {one.way} {one.how}: given {one.user_id in given}, "
            f"told {bool(one.invoices & self._told.keys())},"
            f" arrivals { ({key: told_for.get(key) for key in one.arrivals}) },"
            f" invoices stored { ({key: key in stored for key in one.invoices}) }"
            for one in self._people
            if one.invoices and (one.user_id not in given or not one.invoices & self._told.keys())
        )

    def _saw(self, message: JsonObject) -> None:
        text: str = message.get("text") or ""
        found = _RECEIPT.search(text)
        if found is None:
            return
        invoice = found[1]
        if self._told[invoice]:
            if REPEAT_NOTE in text:
                self._again += 1
            else:
                self._twice += 1
        self._told[invoice] += 1


def _days(given: Sequence[asyncpg.Record]) -> int:
    return sum(row["days"] for row in given)


def _has_exactly(payer: Payer, given: Sequence[asyncpg.Record], shown: tuple[str, object] | None) -> bool:
    if len(given) != 1:
        return False
    (one,) = given
    until = one["given_at"] + timedelta(days=payer.offer.days)
    return (one["plan"], one["days"]) == (payer.offer.plan, payer.offer.days) and shown == (payer.offer.plan, until)


def judge(counts: PaymentCounts, *, repeats: int = 0) -> None:
    """Fail unless everybody has what they paid for, once, and was told so; `repeats` of them again, marked."""
    line = counts.line()
    assert counts.paid, line
    assert counts.recorded == counts.payments, line
    assert counts.credited == counts.paid, line
    assert (counts.lost, counts.twice, counts.for_nothing, counts.unexplained) == (0, 0, 0, 0), line
    assert (counts.untold, counts.told_twice) == (0, 0), line
    assert counts.told_again <= repeats, line
