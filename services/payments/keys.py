"""The keys of payments in Redis. What they mean for how long stands here; PostgreSQL keeps all of it for good."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from services.stores.redis_key import DAY_S, RedisKey

KEPT_S: Final = 400 * DAY_S
"""Longer than anything of an invoice can still happen by itself."""

INVOICE: Final = RedisKey(
    pattern="invoice:{}",
    kind="string",
    lives_s=KEPT_S,
    meaning="By id of an invoice: what was asked for (JSON of domain.payments.invoices.Invoice).",
)
ARRIVALS: Final = RedisKey(
    pattern="invoice:{}:arrivals",
    kind="hash",
    lives_s=KEPT_S,
    meaning="By id of an invoice: key of an arrival -> what came (JSON of domain.stored.payments.ArrivalRecord).",
)
INVOICE_VERSION: Final = RedisKey(
    pattern="invoice:{}:version",
    kind="string",
    lives_s=KEPT_S,
    meaning="By id of an invoice: how often what is known of it has changed.",
)
INVOICE_BY: Final = RedisKey(
    pattern="invoice_by:{}:{}",
    kind="string",
    lives_s=KEPT_S,
    meaning="By `reference`, `payment` or `amount` and its value: the id of the invoice that it tells. An amount tells "
    "one for as long as what comes may be late.",
)
OPEN_INVOICES: Final = RedisKey(
    pattern="invoices:open",
    kind="sorted set",
    lives_s=None,
    meaning="The ids of invoices that may still be paid, by the time (ms) until when they are looked at.",
)
INVOICES_OF: Final = RedisKey(
    pattern="invoices:of:{}",
    kind="sorted set",
    lives_s=KEPT_S,
    meaning="By user id: the ids of the person's invoices by the time (ms) when they were made.",
)
RECEIPT: Final = RedisKey(
    pattern="receipt:{}",
    kind="string",
    lives_s=KEPT_S,
    meaning="By key of an arrival: the id of the one invoice that it counts for, or `-` while it counts for none.",
)
UNMATCHED: Final = RedisKey(
    pattern="payments:unmatched",
    kind="hash",
    lives_s=None,
    meaning="Key of an arrival that fits no invoice -> what came (JSON of domain.stored.payments.ArrivalRecord).",
)
CLOSED: Final = RedisKey(
    pattern="payments:closed",
    kind="hash",
    lives_s=None,
    meaning="Key of an arrival that fits no invoice and that nobody has to look at any more, because it was refunded "
    "or an admin said so -> what came (JSON of domain.stored.payments.ArrivalRecord).",
)
ARRIVAL_HANDLE: Final = RedisKey(
    pattern="arrival_handle:{}",
    kind="string",
    lives_s=30 * DAY_S,
    meaning="By what stands for an arrival in an admin's button: the key of the arrival.",
)
ENTITLEMENTS: Final = RedisKey(
    pattern="entitlements:{}",
    kind="hash",
    lives_s=None,
    meaning="By user id: key -> what the person was given (JSON of domain.payments.entitlements.Entitlement).",
)
ENTITLED: Final = RedisKey(
    pattern="entitled",
    kind="set",
    lives_s=None,
    meaning="The ids of users whose document does not show yet what they were given last.",
)
PAYMENT_CURSORS: Final = RedisKey(
    pattern="payments:cursors",
    kind="hash",
    lives_s=None,
    meaning="Source -> up to where it was read (JSON of domain.stored.payments.SourceCursor).",
)
PAYMENTS_DIFFER: Final = RedisKey(
    pattern="payments:differ:{}",
    kind="string",
    lives_s=3 * DAY_S,
    meaning="By source of money: on what it and the ledger did not agree when they were last compared (JSON of "
    "services.payments.reconciliation.Comparison). Compared every night.",
)
SHOWN: Final = RedisKey(
    pattern="invoices:shown:{}",
    kind="hash",
    lives_s=8 * DAY_S,
    meaning="By user id: id of a message in their chat -> the id of the invoice that can be paid by it.",
)
LOOKED: Final = RedisKey(
    pattern="payments:looked:{}",
    kind="string",
    lives_s=3,
    meaning="By id of an invoice: somebody has just had the network or the processor asked for it.",
)
PASTED: Final = RedisKey(
    pattern="payments:pasted:{}",
    kind="string",
    lives_s=5,
    meaning="By user id: they have just had a transaction looked at.",
)
NOWPAYMENTS_ORDER: Final = RedisKey(
    pattern="nowpayments:order:{}",
    kind="string",
    lives_s=8 * DAY_S,
    meaning="By id of an order that NOWPayments was asked for and may not have answered: when and for which coin (JSON "
    "of services.payments.nowpayments.Asked).",
)
NOWPAYMENTS_TOLD: Final = RedisKey(
    pattern="nowpayments:told:{}:{}",
    kind="string",
    lives_s=30 * DAY_S,
    meaning="By id of a payment and its status: a notification of it was handled.",
)

ALL_KEYS: Final = (
    INVOICE,
    ARRIVALS,
    INVOICE_VERSION,
    INVOICE_BY,
    OPEN_INVOICES,
    INVOICES_OF,
    RECEIPT,
    UNMATCHED,
    CLOSED,
    ARRIVAL_HANDLE,
    ENTITLEMENTS,
    ENTITLED,
    PAYMENT_CURSORS,
    SHOWN,
    LOOKED,
    PASTED,
    PAYMENTS_DIFFER,
    NOWPAYMENTS_ORDER,
    NOWPAYMENTS_TOLD,
)


def amount_key(asset: str, amount: Decimal) -> str:
    """Return what names the invoice that an amount tells."""
    return INVOICE_BY.of("amount", f"{asset} {amount.normalize():f}")
