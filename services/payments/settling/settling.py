"""What admins decide of money that arrived: whose invoice it pays, that it pays for nothing, that it was sent back.

Nothing is decided here that the ledger does not write down in one piece, so two admins who decide at once decide once,
and the second one is told.
"""

from __future__ import annotations

from typing import Final, Literal

import structlog
from msgspec.structs import replace
from solders.signature import Signature

from domain.payments.invoices import assess
from domain.payments.stars import PREFIX
from domain.stored.payments import ArrivalRecord, InvoiceFile
from runtime.errors import MessageRefusedError, UserFacingError
from services.payments.ledger import Ledger
from services.payments.settling.search import signature_in
from services.payments.stars import StarsService, renews

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_NOTE: Final = 200
"""Characters of what an admin writes about it."""
_KEPT_NOTE: Final = 600
_ATTEMPTS: Final = 5

Verdict = Literal[
    "credited",
    "recorded",
    "already",
    "elsewhere",
    "dismissed",
    "pays",
    "returned",
    "taken_back",
    "refunded",
    "refunded_before",
    "renewal_left",
]
"""`recorded`: settled, and nothing is given for it, because its invoice was paid before. `already`: somebody decided
before. `elsewhere`: it counts for another invoice. `pays`: its invoice is paid with it, so it cannot count for nothing.
`returned`, `taken_back`: it was sent back, and took nothing or what was given with it. `renewal_left`: refunded, but
Telegram does not end the subscription.
"""


class Settling:
    def __init__(self, *, ledger: Ledger, stars: StarsService) -> None:
        self._ledger = ledger
        self._stars = stars

    async def settle(self, arrival_key: str, invoice_id: str, admin_id: int) -> Verdict:
        """Let an arrival pay for an invoice, whatever it is worth. May be repeated."""
        record = await self.record(arrival_key)
        _require_standing(record)
        file = await self.file(invoice_id)
        if file.is_taken_back:
            raise UserFacingError("paying.invoice_taken_back", id=invoice_id)
        outcome = await self._ledger.arrived(record.arrival, invoice_id, settled_by=admin_id, note=record.note)
        record = await self.record(arrival_key)
        verdict: Verdict
        if record.invoice_id != invoice_id:
            verdict = "elsewhere" if record.invoice_id else "already"
        elif outcome.credited:
            verdict = "credited"
        else:
            verdict = "recorded" if outcome.is_new else "already"
        if verdict == "recorded" and outcome.assessment and outcome.assessment.needs_admin:
            await self._settle_what_paid(file, arrival_key, admin_id)
        return _logged("payment_settled", verdict, record, admin_id)

    async def _settle_what_paid(self, file: InvoiceFile, settled_key: str, admin_id: int) -> None:
        """Settle the rest with what came beyond the price, where that rest is what the invoice was paid with.

        `file`: before anything was settled. What an admin had accepted before may be what paid, so then nothing is.
        """
        if not file.is_credited or any(one.ruling == "accepted" for one in file.arrivals):
            return
        rest = [one for one in file.records if one.arrival.key != settled_key and one.arrival.ruling is None]
        arrivals = [one.arrival for one in rest]
        if assess(file.invoice, arrivals, file.invoice.expires_at, credited=True).needs_admin:
            return
        for one in rest:
            if one.arrival.stands:
                await self._ledger.arrived(one.arrival, file.invoice.id, settled_by=admin_id, note=one.note)

    async def dismiss(self, arrival_key: str, admin_id: int, note: str) -> Verdict:
        """Let an arrival count for nothing, so that nobody has to look at it any more. May be repeated."""
        record = await self.record(arrival_key)
        _require_standing(record)
        outcome = await self._ledger.arrived(
            record.arrival,
            record.invoice_id,
            settled_by=admin_id,
            ruling="dismissed",
            note=_with(record.note, note[:MAX_NOTE]),
        )
        record = await self.record(arrival_key)
        verdict: Verdict = "dismissed" if outcome.is_new else "already" if record.arrival.ruling else "pays"
        return _logged("payment_dismissed", verdict, record, admin_id)

    async def returned(self, arrival_key: str, admin_id: int, transaction: str) -> Verdict:
        """Note that an admin has sent an arrival back by a transaction, and take what was given for it.

        May be repeated. Stars are sent back with `refund`.
        """
        sent_by = _transaction(arrival_key, transaction)
        for _ in range(_ATTEMPTS):
            record = await self.record(arrival_key)
            if record.arrival.refunded:
                return _logged("payment_returned", "already", record, admin_id)
            _require_standing(record, dismissed_too=True)
            note = _with(record.note, f"refunded by transaction {sent_by}")
            back = replace(record.arrival, refunded=True)
            outcome = await self._ledger.arrived(back, record.invoice_id, settled_by=admin_id, note=note)
            if outcome.is_new:
                verdict: Verdict = "taken_back" if outcome.credited else "returned"
                return _logged("payment_returned", verdict, record, admin_id)
        raise UserFacingError("error.transient")

    async def refund(self, arrival_key: str, admin_id: int) -> Verdict:
        """Pay Stars back, take what was given for them, and let their subscription end. May be repeated."""
        record = await self.record(arrival_key)
        if not arrival_key.startswith(PREFIX):
            raise UserFacingError("stars.no_charge")
        is_ended = await self._end_renewal(record)
        try:
            is_new = await self._stars.refund(arrival_key.removeprefix(PREFIX))
        except MessageRefusedError as error:
            raise UserFacingError("paying.telegram_refuses", reason=str(error)) from error
        verdict: Verdict = "refunded" if is_new else "refunded_before"
        return _logged("payment_refunded", verdict if is_ended else "renewal_left", record, admin_id)

    async def _end_renewal(self, record: ArrivalRecord) -> bool:
        """Whether nothing is charged again; before the refund, so that nobody is left with half of it."""
        own = record.invoice_id if record.settled_by is None else None
        file = await self._ledger.find(own) if own else None
        if file is None or not renews(file.invoice):
            return True
        try:
            await self._stars.set_renewal(file.invoice.id, renews=False)
        except MessageRefusedError as error:
            log.warning("renewal_not_ended", invoice=file.invoice.id, reason=str(error))
            return False
        return True

    async def record(self, arrival_key: str) -> ArrivalRecord:
        """Return what the ledger says of an arrival now. `IncompleteLedgerError` while that is not known."""
        found = await self._ledger.record_of(arrival_key)
        if found is None:
            await self._ledger.entitlements(0)  # raises where the ledger is not complete
            raise UserFacingError("paying.arrival_unknown")
        return found

    async def file(self, invoice_id: str) -> InvoiceFile:
        """Return what the ledger says of an invoice now. `IncompleteLedgerError` while that is not known."""
        found = await self._ledger.find(invoice_id)
        if found is None:
            await self._ledger.entitlements(0)  # raises where the ledger is not complete
            raise UserFacingError("paying.invoice_unknown", typed=invoice_id)
        return found


def _require_standing(record: ArrivalRecord, *, dismissed_too: bool = False) -> None:
    if record.arrival.refunded:
        raise UserFacingError("paying.is_refunded")
    if record.arrival.stage != "final" and not dismissed_too:
        raise UserFacingError("paying.not_final")


def _transaction(arrival_key: str, typed: str) -> str:
    """Return the transaction that sent something back. `UserFacingError` where it cannot be one."""
    if not arrival_key.startswith("solana:"):
        words = typed.split()
        if len(words) != 1 or len(words[0]) > MAX_NOTE:
            raise UserFacingError("paying.no_transaction")
        return words[0]
    signature = signature_in(typed)
    try:
        Signature.from_string(signature or "")
    except ValueError as error:
        raise UserFacingError("paying.no_transaction") from error
    if signature is None or arrival_key.startswith(f"solana:{signature}:"):
        raise UserFacingError("paying.own_transaction")
    return signature


def _with(note: str, said: str) -> str:
    return "; ".join(filter(None, (note, said)))[-_KEPT_NOTE:]


def _logged(event: str, verdict: Verdict, record: ArrivalRecord, admin_id: int) -> Verdict:
    log.info(event, admin=admin_id, arrival=record.arrival.key, invoice=record.invoice_id, verdict=verdict)
    return verdict
