"""One transaction on Solana: what it brought us, by as many servers' word as that needs, and which invoice it pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import structlog
from msgspec.structs import replace

from domain.payments.amounts import CENT, SOL, USDC, from_units
from domain.payments.invoices import Arrival, Invoice
from domain.payments.solana_transfers import Incoming, Receiver, UnreadableTransactionError, incoming
from domain.stored.payments import InvoiceFile
from managers.payments.solana_rpc import Commitment, SolanaRpcManager, UnsupportedTransactionError
from services.payments.ledger import Ledger, Outcome
from services.payments.rates import Rates

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Stage = Literal["confirming", "final"]

DUST: Final = {SOL.code: Decimal("0.00001"), USDC.code: Decimal("0.005")}
"""What is less than that pays nothing and is counted only: anybody may send it by the thousand. Nobody is asked for
less than a cent."""
WITNESSES: Final = 2
"""So many servers have to say the same before something is credited, where there are so many."""

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""Ours and the network's, at most."""

_COMMITMENTS: Final[dict[Stage, Commitment]] = {"confirming": "confirmed", "final": "finalized"}


class SolanaReceipts:
    def __init__(
        self,
        *,
        rpc: SolanaRpcManager,
        ledger: Ledger,
        rates: Rates,
        receiver: Receiver,
        clock: Callable[[], datetime],
    ) -> None:
        self._rpc = rpc
        self._ledger = ledger
        self._rates = rates
        self._receiver = receiver
        self._clock = clock
        self.dust = 0
        """Transfers to us since the start that were too small to be kept."""
        self.contradictions = 0
        """How often two servers said different things of a transaction."""

    async def read(self, signature: str, stage: Stage) -> list[Incoming] | None:
        """Return what a transaction brought; `None`: not known at this stage yet, by all whose word is needed.

        Raises `UnreadableTransactionError`, also where servers contradict each other, and `NoServerError`: what is
        final waits for a second server for as long as there is none.
        """
        witnesses = min(WITNESSES, self._rpc.servers) if stage == "final" else 1
        try:
            answers = await self._rpc.transactions(signature, _COMMITMENTS[stage], servers=witnesses)
        except UnsupportedTransactionError as error:
            raise UnreadableTransactionError(str(error)) from error
        said: list[list[Incoming]] = []
        for answer in answers:
            if answer is None:
                return None
            if signature.encode() not in answer:
                raise UnreadableTransactionError("another transaction than was asked for")
            said.append(incoming(answer, self._receiver))
        return self._agreed(signature, said)

    def _agreed(self, signature: str, said: Sequence[list[Incoming]]) -> list[Incoming]:
        first = said[0]
        if any(_told(other) != _told(first) for other in said):
            self.contradictions += 1
            log.error("solana_servers_contradict", signature=signature)
            raise UnreadableTransactionError("the servers contradict each other")
        # The later time is the one that pays less.
        times = [one.at for told in said for one in told if one.at is not None]
        return [replace(one, at=max(times, default=None)) for one in first]

    async def record(self, came: Incoming, stage: Stage) -> Outcome | None:
        """Write down what came for the invoice that it fits, or for none. May be repeated."""
        if self.is_dust(came):
            self.dust += stage == "final"
            return None
        invoice_id = await self._ledger.counts_for(came.key) or await self.match(came)
        return await self.record_for(invoice_id, came, stage)

    async def record_for(
        self, invoice_id: str | None, came: Incoming, stage: Stage, *, note: str = ""
    ) -> Outcome | None:
        """Write down what came for an invoice; what fits none is kept when it is final, and is nothing before."""
        if invoice_id is None and stage != "final":
            return None
        arrival = Arrival(
            key=came.key,
            asset=came.asset.code,
            amount=from_units(came.units, came.asset),
            at=came.at or self._clock(),
            stage=stage,
        )
        file = await self._ledger.find(invoice_id) if invoice_id else None
        is_late = file is not None and arrival.at > file.invoice.expires_at
        rate = await self._rates.of(arrival.asset) if is_late else None
        return await self._ledger.arrived(arrival, invoice_id, rate_usd=rate, note=note)

    def is_dust(self, came: Incoming) -> bool:
        return from_units(came.units, came.asset) < DUST[came.asset.code]

    async def match(self, came: Incoming) -> str | None:
        """Return the invoice that something is for: one that it names, else the one with exactly this amount."""
        amount = from_units(came.units, came.asset)
        ids = await self._ledger.told_by_any(sorted(came.accounts))
        named = [file for one in ids if (file := await self._ledger.find(one))]
        if named:
            return min(named, key=lambda file: _fitness(file, came.asset.code, amount)).invoice.id
        invoice_id = await self._ledger.told_by_amount(came.asset.code, amount)
        file = await self._ledger.find(invoice_id) if invoice_id else None
        if file is None or came.at is None or came.at < file.invoice.created_at - CLOCKS_DIFFER:
            return None  # an amount may have been sent before by chance
        return file.invoice.id


def fits(invoice: Invoice, asset: str, amount: Decimal) -> bool:
    """Whether somebody who sent this may have meant that invoice: wallets round, exchanges keep a fee."""
    tolerance = CENT / invoice.rate_usd if invoice.rate_usd else Decimal(0)
    return asset == invoice.asset and abs(amount - invoice.amount) <= tolerance


def _fitness(file: InvoiceFile, asset: str, amount: Decimal) -> tuple[bool, bool, bool, bool, datetime]:
    """Best first: of several invoices that a transaction names, the one whose amount fits, else the oldest unpaid."""
    invoice = file.invoice
    return (
        file.is_credited,
        asset != invoice.asset,
        amount != invoice.amount,
        not fits(invoice, asset, amount),
        invoice.created_at,
    )


def _told(found: Sequence[Incoming]) -> set[tuple[str, int, frozenset[str]]]:
    return {(one.key, one.units, one.accounts) for one in found}
