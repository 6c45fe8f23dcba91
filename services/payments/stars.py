"""Telegram Stars: invoices, whether somebody may pay one, what was paid and paid back, and whether Telegram agrees.

Each charge gives its days, so an invoice that renews itself is credited with every charge. Money that fits no invoice
of who paid it is recorded for admins. The charge id that Telegram gives makes every repetition harmless.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from domain.payments.amounts import STARS
from domain.payments.invoices import Arrival, Invoice
from domain.payments.plans import DAYS, Offer
from domain.payments.stars import (
    OPEN_FOR,
    PERIOD_S,
    PREFIX,
    Difference,
    PreCheckout,
    Refusal,
    StarPayment,
    arrival_key,
    differences,
    fits,
    invoice_id_in,
    invoice_in,
    payload_of,
    refusal,
)
from domain.stored.payments import ArrivalRecord
from managers.storage.postgres import PostgresManager
from managers.telegram.payments import InvoiceText, TelegramPayments
from runtime.errors import DeliveryError, TransientError, UserFacingError
from runtime.fault_points import fault_point
from services.payments.invoicing import ID_LENGTH, LETTERS
from services.payments.keys import KEPT_S
from services.payments.ledger import Ledger

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_SUBSCRIPTION_STARS: Final = 10_000
"""What costs more is paid once."""
CHECKED_WITHIN_S: Final = 1.0
"""The answer has to be with Telegram within two seconds."""
ON_THE_WAY: Final = timedelta(minutes=10)
"""What happened since may not have been brought yet."""

_STORED_INVOICE: Final[LiteralString] = """
    SELECT 1 FROM invoices i WHERE i.id = $1
        AND (i.created_at > $2 OR EXISTS (SELECT 1 FROM arrivals a WHERE a.invoice_id = i.id AND a.recorded_at > $2))
"""
_STORED_ARRIVALS: Final[LiteralString] = """
    SELECT document FROM arrivals WHERE key LIKE 'stars:%' AND arrived_at >= $1
"""


class Renewing(Struct, frozen=True, kw_only=True):
    """A subscription that goes on as far as the bot knows: nobody tells it that somebody ended one in Telegram."""

    invoice: Invoice
    at: datetime
    """When Telegram charges for it the next time."""


class StarsService:
    def __init__(
        self,
        *,
        ledger: Ledger,
        telegram: TelegramPayments,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._telegram = telegram
        self._postgres = postgres
        self._clock = clock

    # selling

    async def open(self, user_id: int, offer: Offer) -> Invoice:
        """Return an invoice for an offer: the one that is open, if the person was just asked for the same."""
        if offer.stars is None:
            raise UserFacingError("stars.not_sold")
        now = self._clock()
        for file in await self._ledger.of_person(user_id):
            one = file.invoice
            same = (one.method, one.plan, one.days, one.amount) == ("stars", offer.plan, offer.days, offer.stars)
            if same and not file.arrivals and now + OPEN_FOR / 2 < one.expires_at:
                return one
        while True:
            invoice = Invoice(
                id="".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH)),
                user_id=user_id,
                plan=offer.plan,
                days=offer.days,
                price_usd=offer.price_usd,
                method="stars",
                asset=STARS.code,
                amount=Decimal(offer.stars),
                created_at=now,
                expires_at=now + OPEN_FOR,
            )
            if await self._ledger.open(invoice, told_by_amount=False):
                return invoice

    async def send(self, invoice: Invoice, text: InvoiceText, *, chat_id: int) -> int:
        """Send an invoice that is paid once; returns the message id. Raises the `DeliveryError` tree."""
        return await self._telegram.send_invoice(chat_id, text, payload=payload_of(invoice), stars=int(invoice.amount))

    async def link(self, invoice: Invoice, text: InvoiceText) -> str:
        """Return a link to an invoice; one for a month is paid anew every month until somebody cancels it."""
        return await self._telegram.create_invoice_link(
            text, payload=payload_of(invoice), stars=int(invoice.amount), is_subscription=renews(invoice)
        )

    async def renewing(self, user_id: int) -> list[Renewing]:
        """Return the subscriptions that renew by themselves, the next one first.

        One whose last charge was refunded, or is over a period ago, has ended. Raises a `TransientError`.
        """
        now, period = self._clock(), timedelta(seconds=PERIOD_S)
        since = now - period - ON_THE_WAY
        charges = [one.key for one in await self._ledger.entitlements(user_id) if one.days > 0 and one.at > since]
        found: dict[str, Renewing] = {}
        for key in charges:
            record = await self._ledger.record_of(key) if key.startswith(PREFIX) else None
            if record is None or record.invoice_id is None or record.settled_by is not None or record.arrival.refunded:
                continue
            file, at = await self._ledger.find(record.invoice_id), record.arrival.at + period
            known = found.get(record.invoice_id)
            if file and renews(file.invoice) and at > now and (known is None or known.at < at):
                found[record.invoice_id] = Renewing(invoice=file.invoice, at=at)
        return sorted(found.values(), key=lambda one: one.at)

    async def renews_at(self, user_id: int) -> datetime | None:
        """Return when the next subscription renews. Raises a `TransientError`."""
        return next((one.at for one in await self.renewing(user_id)), None)

    async def set_renewal(self, invoice_id: str, *, renews: bool) -> None:
        """Let a subscription end with what is paid for, or take that back. `UserFacingError` where there is none."""
        file = await self._ledger.find(invoice_id)
        if file is None or not file.arrivals:
            raise UserFacingError("stars.no_charge")
        first = min(file.arrivals, key=lambda one: one.at)
        charge_id = first.key.removeprefix(arrival_key(""))
        await self._telegram.edit_user_star_subscription(file.invoice.user_id, charge_id, is_cancelled=not renews)

    # paying

    async def refusal(self, query: PreCheckout) -> Refusal | None:
        """Return why somebody may not pay now; `None`: they may. Answers within `CHECKED_WITHIN_S`."""
        try:
            async with asyncio.timeout(CHECKED_WITHIN_S):
                file = await self._ledger.find(invoice_id_in(query.payload))
        except (TransientError, TimeoutError) as error:
            log.warning("checkout_refused", user_id=query.user_id, reason=str(error) or "no answer in time")
            return "unavailable"
        except Exception:
            log.exception("checkout_failed", user_id=query.user_id)
            return "unavailable"
        found = refusal(query, file and file.invoice, file.arrivals if file else (), self._clock())
        if found:
            log.info("checkout_refused", user_id=query.user_id, reason=found)
        return found

    async def answer(self, query: PreCheckout, refusal: str | None) -> None:
        """Let somebody pay, or say why not. Without an answer Telegram charges nobody."""
        try:
            await self._telegram.answer_pre_checkout_query(query.query_id, refusal)
        except DeliveryError as error:
            log.warning("checkout_not_answered", user_id=query.user_id, reason=str(error))
        fault_point("checkout answered")

    async def arrived(self, payment: StarPayment) -> bool:
        """Write down what Telegram says; returns whether it is news that fits no invoice of who paid.

        May be repeated. Raises a `TransientError` when it is not written down: ask again.
        """
        fault_point("stars told")
        known = await self._ledger.record_of(payment.key)
        arrival = payment.as_arrival()
        if known:
            arrival = replace(arrival, at=known.arrival.at)
        invoice_id = (known.invoice_id if known else None) or await self._invoice_of(payment)
        note = f"from {payment.user_id} for {invoice_id_in(payment.payload)[:128]}"
        outcome = await self._ledger.arrived(arrival, invoice_id, note=note)
        if outcome.is_new:
            log.info("stars_arrived", charge=payment.charge_id, invoice=invoice_id, refunded=payment.is_refunded)
        return outcome.is_new and outcome.file is None

    async def _invoice_of(self, payment: StarPayment) -> str | None:
        invoice_id = invoice_id_in(payment.payload)
        file = await self._ledger.find(invoice_id)
        if file is not None:
            return invoice_id if fits(payment, file.invoice) else None
        if await self._is_stored(invoice_id):
            raise TransientError("Redis lacks an invoice that PostgreSQL has: it is filled again")
        return await self._opened_again(payment)

    async def _opened_again(self, payment: StarPayment) -> str | None:
        """Every store has lost an invoice that Telegram let somebody pay: it is what Telegram kept of it."""
        lost = invoice_in(payment.payload)
        if lost is None or not fits(payment, lost) or not await self._ledger.open(lost, told_by_amount=False):
            return None
        log.warning("invoice_opened_again", invoice=lost.id, user_id=lost.user_id)
        return lost.id

    async def _is_stored(self, invoice_id: str) -> bool:
        kept_since = self._clock() - timedelta(seconds=KEPT_S)
        return await self._postgres.fetch_row(_STORED_INVOICE, invoice_id, kept_since) is not None

    # paying back

    async def refund(self, charge_id: str) -> bool:
        """Give a payment back and take what was given for it; `False`: Telegram had given it back before.

        May be repeated. `UserFacingError` for a charge that nobody has recorded, `MessageRefusedError` for one that
        Telegram does not know.
        """
        record = await self._ledger.record_of(arrival_key(charge_id))
        payer_id = await self._payer_of(charge_id, record) if record else None
        if record is None or payer_id is None:
            raise UserFacingError("stars.no_charge")
        is_new = await self._telegram.refund_star_payment(payer_id, charge_id)
        await self._ledger.arrived(replace(record.arrival, refunded=True), record.invoice_id, note=record.note)
        log.info("stars_refunded", charge=charge_id, user_id=payer_id, is_new=is_new)
        return is_new

    async def _payer_of(self, charge_id: str, record: ArrivalRecord) -> int | None:
        """Return who paid: whose invoice it is, unless it came to count for that by an admin's word."""
        if record.invoice_id and record.settled_by is None and (file := await self._ledger.find(record.invoice_id)):
            return file.invoice.user_id
        told = (one.user_id async for one in self._telegram.get_star_transactions() if one.charge_id == charge_id)
        return await anext(told, None)

    # comparing

    async def differences(self, since: datetime) -> list[Difference]:
        """Return everything since then on which Telegram and the ledger do not agree."""
        rows = await self._postgres.fetch(_STORED_ARRIVALS, since)
        records = [msgspec.json.decode(row["document"], type=ArrivalRecord) for row in rows]
        recorded = {record.arrival.key: record.arrival for record in records}
        told = [payment async for payment in self._telegram.get_star_transactions()]
        on_the_way = {one.key for one in told if one.at > self._clock() - ON_THE_WAY}
        compared = ({one.key for one in told if one.at >= since} | recorded.keys()) - on_the_way
        known: dict[str, Arrival] = {}
        for key in compared:
            record = await self._ledger.record_of(key)
            if arrival := record.arrival if record else recorded.get(key):
                known[key] = arrival
        return differences((one for one in told if one.key in compared), known)

    async def recover(self, found: Iterable[Difference]) -> int:
        """Write down what Telegram says and nobody has brought; returns how much of it there was."""
        lost = [one.telegram for one in found if one.what in {"not_recorded", "refund_not_recorded"}]
        payments = [payment for payment in lost if payment]
        for payment in payments:
            await self.arrived(payment)
        return len(payments)


def renews(invoice: Invoice) -> bool:
    """Whether the invoice is sold as a subscription."""
    return invoice.method == "stars" and invoice.days == DAYS[1] and invoice.amount <= MAX_SUBSCRIPTION_STARS
