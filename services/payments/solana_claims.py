"""A signature that somebody pastes: “I have paid, this is it”.

Signatures are public, so that anybody can paste a stranger's. What a transaction says by itself counts, whoever pastes
it; beyond that it counts for somebody only where amount and time fit their own invoice and no one else's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from msgspec import Struct
from solders.signature import Signature

from domain.payments.amounts import from_units
from domain.payments.invoices import Invoice
from domain.payments.solana_transfers import Incoming, UnreadableTransactionError
from domain.stored.payments import InvoiceFile
from services.payments.ledger import Ledger
from services.payments.solana_receipts import SolanaReceipts, Stage, fits

MAY_BE_LATE: Final = timedelta(days=1)
"""For so long after its end an invoice may be what somebody else has paid, as exchanges take their time."""

Verdict = Literal["malformed", "unknown", "nothing", "recorded", "admin"]
"""`malformed`: no signature. `unknown`: the network does not have it (yet). `nothing`: it brought us nothing.
`recorded`: it counts for the person's own invoice. `admin`: it is no more than written down; who else it may belong to
is not said.
"""


class Claim(Struct, frozen=True, kw_only=True):
    verdict: Verdict
    file: InvoiceFile | None = None
    """The person's invoice as it stands then, where it counts for one."""


class SolanaClaims:
    def __init__(self, *, ledger: Ledger, receipts: SolanaReceipts) -> None:
        self._ledger = ledger
        self._receipts = receipts

    async def claim(self, user_id: int, pasted: str) -> Claim:
        """Look at a transaction for somebody. May be repeated. Raises `NoServerError` or `RedisUnavailableError`."""
        try:
            signature = str(Signature.from_string(pasted.strip()))
        except ValueError:
            return Claim(verdict="malformed")
        try:
            stage, found = await self._read(signature)
        except UnreadableTransactionError:
            return Claim(verdict="admin")
        if found is None:
            return Claim(verdict="unknown")
        claims = [await self._claim(user_id, one, stage) for one in found if not self._receipts.is_dust(one)]
        return max(claims, key=lambda claim: claim.verdict == "recorded", default=Claim(verdict="nothing"))

    async def _read(self, signature: str) -> tuple[Stage, list[Incoming] | None]:
        found = await self._receipts.read(signature, "final")
        if found is not None:
            return "final", found
        return "confirming", await self._receipts.read(signature, "confirming")

    async def _claim(self, user_id: int, came: Incoming, stage: Stage) -> Claim:
        told = await self._ledger.counts_for(came.key) or await self._receipts.match(came)
        own = await self._own(user_id, came) if told is None else None
        invoice_id = told or (own.id if own else None)
        note = "" if told else f"pasted by {user_id}"
        await self._receipts.record_for(invoice_id, came, stage, note=note)
        file = await self._ledger.find(invoice_id) if invoice_id else None
        if file is None or file.invoice.user_id != user_id:
            return Claim(verdict="admin")
        return Claim(verdict="recorded", file=file)

    async def _own(self, user_id: int, came: Incoming) -> Invoice | None:
        """Return the one invoice that it fits, if that is the person's own."""
        amount = from_units(came.units, came.asset)
        fitting = [
            one
            for one in await self._ledger.open_invoices()
            if fits(one, came.asset.code, amount)
            and came.at is not None
            and one.created_at <= came.at <= one.expires_at + MAY_BE_LATE
        ]
        if len(fitting) != 1 or came.at is None:
            return None
        [only] = fitting
        return only if only.user_id == user_id and came.at <= only.expires_at else None
