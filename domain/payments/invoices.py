"""An invoice, what arrived for it, and what that makes of it.

What an invoice is worth follows from the set of its arrivals alone: their order, their repetition and the moment at
which each became known change nothing. So nothing here moves from state to state; `assess` looks at everything anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from domain.payments.amounts import CENT, Method

PRICE_HOLDS: Final = timedelta(minutes=20)
"""For so long an amount is what the price is worth."""
LATE_COUNTS: Final = timedelta(days=7)
"""What comes so long after that is settled by an admin, whatever it is."""
FORKED_AFTER: Final = timedelta(minutes=5)
"""What a chain has confirmed is final in seconds; what is not so long after is not in the chain any more."""
RATE_MAY_FALL: Final = Decimal("0.02")
"""A late payment is taken as long as the coin has lost no more of its worth since."""

State = Literal[
    "open", "seen", "confirming", "underpaid", "paid", "topped_up", "overpaid", "late", "expired", "refunded"
]
Stage = Literal["seen", "confirming", "final"]
"""What is known of an arrival: somebody says so, most of the network says so, it cannot be taken back."""
STAGES: Final[tuple[Stage, ...]] = ("seen", "confirming", "final")
Ruling = Literal["accepted", "dismissed"]
"""What an admin said of an arrival: it pays for its invoice, whatever it is worth, or it pays for nothing."""


class Arrival(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that came in, once, by the name that its network gives it."""

    key: str
    """`solana:<signature>:<mint or SOL>`, `nowpayments:<payment id>`, `stars:<charge id>`."""
    asset: str
    amount: Decimal
    """In whole coins, above zero."""
    at: datetime
    """By the network's clock."""
    stage: Stage = "final"
    refunded: bool = False
    ruling: Ruling | None = None
    """`None`: no admin has said anything."""

    @property
    def stands(self) -> bool:
        """Whether it is here to stay and may pay for something."""
        return self.stage == "final" and not self.refunded and self.ruling != "dismissed"


class Invoice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody was asked for. It never changes; what comes for it stands beside it."""

    id: str
    user_id: int
    plan: str
    days: int
    """Of the plan, when it is paid."""
    price_usd: Decimal
    method: Method
    asset: str
    amount: Decimal
    """In whole coins; on a chain it is that of no other open invoice."""
    rate_usd: Decimal | None = None
    """What a coin cost when the amount was fixed; `None`: Stars, which have their own price."""
    created_at: datetime
    expires_at: datetime
    address: str = ""
    """Where to send it."""
    reference: str = ""
    """Solana Pay: a key that no other invoice has."""
    payment_id: str = ""
    """The processor's name for it."""
    memo: str = ""
    """Destination tag, without which the address gets nothing."""


class Assessment(Struct, frozen=True, kw_only=True):
    state: State
    received: Decimal
    """What cannot be taken back."""
    pending: Decimal
    """What is seen and not final."""
    missing: Decimal
    """What has to come yet, pending not counted; zero where nothing has."""
    excess: Decimal
    is_due: bool
    """Whether the person has paid for what they ordered."""
    needs_admin: bool
    """Whether somebody has to look at it: money came that buys nothing by itself."""


def assess(
    invoice: Invoice,
    arrivals: Iterable[Arrival],
    now: datetime,
    *,
    credited: bool = False,
    taken_back: bool = False,
    rate_usd: Decimal | None = None,
) -> Assessment:
    """Return what stands. `credited`: it was given already, and stays given until what paid for it is refunded.

    `taken_back`: that has happened; nothing that comes later gives it again. `rate_usd`: what the coin costs now, for
    what comes late; `None`: not known, so nothing late is taken.
    """
    known = _once(arrivals)
    if invoice.method == "stars":
        return _by_charge(invoice, known, now)
    of_asset = [one for one in known if one.asset == invoice.asset]
    final = [one for one in of_asset if one.stands]
    pending = [one for one in of_asset if one.stage != "final" and not one.refunded and not _is_gone(invoice, one, now)]
    received = sum((one.amount for one in final), Decimal(0))
    tolerance = _cent_in(invoice)
    missing = max(Decimal(0), invoice.amount - received)
    enough = received + tolerance > invoice.amount
    counts = sum((one.amount for one in final if one.at <= _counts_until(invoice, rate_usd)), Decimal(0))
    is_accepted = any(one.ruling == "accepted" and one.stands for one in known)
    has_refunds = any(one.refunded for one in known)
    taken_back = taken_back or (credited and has_refunds and not enough and not is_accepted)
    is_due = not taken_back and (credited or is_accepted or counts + tolerance > invoice.amount)
    excess = max(Decimal(0), received - invoice.amount)
    state = _state(invoice, final, pending, now, enough=enough, is_due=is_due, over=excess > tolerance)
    if taken_back or (has_refunds and not is_due and not final and not pending):
        state = "refunded"
    is_over = now > invoice.expires_at or taken_back
    return Assessment(
        state=state,
        received=received,
        pending=sum((one.amount for one in pending), Decimal(0)),
        missing=Decimal(0) if enough or is_accepted else missing,
        excess=excess,
        is_due=is_due,
        needs_admin=_needs_admin(invoice, known, is_due=is_due, is_over=is_over),
    )


def _needs_admin(invoice: Invoice, known: list[Arrival], *, is_due: bool, is_over: bool) -> bool:
    """Whether money came that buys nothing and that no admin has spoken of. `is_over`: no more is waited for."""
    unruled = [one for one in known if one.stands and one.ruling is None]
    if any(one.asset != invoice.asset for one in unruled) or (unruled and not is_due and is_over):
        return True
    stands = [one for one in known if one.stands and one.asset == invoice.asset]
    accepted = sum((one.amount for one in stands if one.ruling == "accepted"), Decimal(0))
    rest = sum((one.amount for one in unruled), Decimal(0))
    return is_due and rest - max(Decimal(0), invoice.amount - accepted) > _cent_in(invoice)


def _by_charge(invoice: Invoice, known: list[Arrival], now: datetime) -> Assessment:
    """Stars: every charge pays for the same again, however late it comes."""
    paid = [one for one in known if not one.refunded]
    state: State = "expired" if now > invoice.expires_at else "open"
    if known:
        state = "paid" if paid else "refunded"
    return Assessment(
        state=state,
        received=sum((one.amount for one in paid), Decimal(0)),
        pending=Decimal(0),
        missing=Decimal(0) if paid else invoice.amount,
        excess=Decimal(0),
        is_due=bool(paid),
        needs_admin=False,
    )


def _state(
    invoice: Invoice,
    final: list[Arrival],
    pending: list[Arrival],
    now: datetime,
    *,
    enough: bool,
    is_due: bool,
    over: bool,
) -> State:
    if is_due:
        if over:
            return "overpaid"
        return "topped_up" if len(final) > 1 else "paid"
    if enough:
        return "late"
    if pending:
        return "confirming" if any(one.stage == "confirming" for one in pending) else "seen"
    if final:
        return "underpaid"
    return "expired" if now > invoice.expires_at else "open"


def _once(arrivals: Iterable[Arrival]) -> list[Arrival]:
    """Return each arrival once, as the most is known of it."""
    known: dict[str, Arrival] = {}
    for one in arrivals:
        before = known.get(one.key)
        if before is None or _rank(one) > _rank(before):
            known[one.key] = one
    return list(known.values())


def _is_gone(invoice: Invoice, arrival: Arrival, now: datetime) -> bool:
    return invoice.method in ("sol", "usdc") and now > arrival.at + FORKED_AFTER


def _rank(arrival: Arrival) -> tuple[bool, int, Decimal, datetime, str, str]:
    """A processor may count more and more under one name."""
    ruling = arrival.ruling or ""
    return arrival.refunded, STAGES.index(arrival.stage), arrival.amount, arrival.at, arrival.asset, ruling


def _cent_in(invoice: Invoice) -> Decimal:
    """So little is nobody asked for: a wallet rounds, an exchange cuts digits."""
    return CENT / invoice.rate_usd if invoice.rate_usd else Decimal(0)


def _counts_until(invoice: Invoice, rate_usd: Decimal | None) -> datetime:
    """Return until when what came pays by itself. What comes still later takes nothing away from that."""
    if invoice.rate_usd is None or rate_usd is None or rate_usd < invoice.rate_usd * (1 - RATE_MAY_FALL):
        return invoice.expires_at
    return invoice.expires_at + LATE_COUNTS
