"""What Telegram keeps with an invoice is enough to know it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.payments.invoices import Invoice
from domain.payments.stars import MAX_PAYLOAD_BYTES, OPEN_FOR, invoice_id_in, invoice_in, payload_of

MOMENTS = st.integers(0, 4_000_000_000).map(lambda s: datetime(1970, 1, 2, tzinfo=UTC) + timedelta(seconds=s))


@st.composite
def invoices(draw: st.DrawFn) -> Invoice:
    at = draw(MOMENTS)
    return Invoice(
        id="ABCDEFGH",
        user_id=draw(st.integers(1, 2**52)),
        plan=draw(st.from_regex(r"[a-z][a-z_]{0,90}", fullmatch=True)),
        days=draw(st.integers(1, 400)),
        price_usd=draw(st.decimals(min_value=0, max_value=10**6, places=2, allow_nan=False)),
        method="stars",
        asset="XTR",
        amount=Decimal(draw(st.integers(1, 10**6))),
        created_at=at,
        expires_at=at + OPEN_FOR,
    )


@given(invoices())
def test_what_is_kept_is_read_again(invoice: Invoice) -> None:
    payload = payload_of(invoice)
    assert 1 <= len(payload.encode()) <= MAX_PAYLOAD_BYTES
    assert invoice_id_in(payload) == invoice.id
    assert invoice_in(payload) == (invoice if payload != invoice.id else None)


@given(st.text(max_size=200) | st.lists(st.text(":0123456789.eE-", max_size=20), min_size=7, max_size=7).map(":".join))
def test_anything_else_is_no_error(payload: str) -> None:
    invoice_in(payload)
