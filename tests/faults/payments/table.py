"""The table of payments in `docs/reliability.md`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from tests.faults.payments.books import PaymentCounts

PROPERTY: Final = "reliability of payments"
_EXPLAINED: Final = """\
People pay in SOL, in USDC, through NOWPayments and in Stars, at once, in two parts, or as an exchange does without
the invoice's reference; others send a transaction that fails, a coin of their own, dust, or forged notifications.
*Payments* are transfers, deposits and charges that came to us; *recorded* those that PostgreSQL has, each once.
*Credited* are people who have exactly the days that they paid for, in the ledger and in their document; *lost* who got
less, *twice* who got more, *for nothing* who paid nothing and got something. A receipt comes once for each invoice;
*again* are those that came once more and say so, *at most* how many of them the scenario allows."""
_HEAD: Final = (
    *("what was broken", "people", "payments", "recorded", "paid", "credited", "lost", "twice", "for nothing"),
    *("receipts told", "told twice", "again", "at most"),
)


class PaymentRow(Struct, frozen=True, kw_only=True):
    """One scenario."""

    what: str
    counts: PaymentCounts
    repeats: int
    """Receipts that may come again, at most."""

    @property
    def line(self) -> str:
        return f"{self.what}: {self.counts.line()} (at most {self.repeats} receipts again)"


def payments_section(rows: Sequence[PaymentRow], failed: Sequence[str], made_by: str, _before: str) -> str:
    cells = [_HEAD, tuple("---" if n == 0 else "---:" for n in range(len(_HEAD)))]
    for row in sorted(rows, key=lambda row: row.what):
        c = row.counts
        figures = (c.people, c.payments, c.recorded, c.paid, c.credited, c.lost, c.twice, c.for_nothing)
        figures += (c.receipts, c.told_twice, c.told_again, row.repeats)
        cells.append((row.what, *(f"{figure:,}" for figure in figures)))
    table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    bad = "".join(f"\n- failed: `{name}`" for name in failed)
    return "\n\n".join([made_by, _EXPLAINED, table, _total(rows) + ("\n" + bad if bad else "")])


def _total(rows: Sequence[PaymentRow]) -> str:
    def total(name: str) -> int:
        return sum(getattr(row.counts, name) for row in rows)

    said = (
        f"{total('payments'):,} payments in {len(rows)} scenarios: {total('lost'):,} lost, {total('twice'):,} twice, "
    )
    said += f"{total('for_nothing'):,} for nothing. {total('told_again'):,} receipts came again, of "
    return said + f"{sum(row.repeats for row in rows):,} that may have, each marked as a possible repeat."
