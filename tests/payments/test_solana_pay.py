from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from domain.payments.solana_pay import transfer_url


def test_a_request_for_sol() -> None:
    url = transfer_url(
        recipient="Wallet", amount=Decimal("0.500042000"), reference="Ref", label="Bot", message="Pro & more"
    )
    assert url == "solana:Wallet?amount=0.500042&reference=Ref&label=Bot&message=Pro%20%26%20more"


@given(st.text(), st.text(), st.decimals("0.000001", "99999", places=6))
def test_whatever_is_said_comes_through(label: str, message: str, amount: Decimal) -> None:
    label, message = (text.encode("utf-8", "replace").decode() for text in (label, message))
    url = transfer_url(recipient="Wallet", amount=amount, reference="Ref", label=label, message=message, mint="Mint")
    scheme, _, query = url.partition("?")
    assert scheme == "solana:Wallet"
    fields = dict(parse_qsl(query, keep_blank_values=True))
    assert list(fields) == ["amount", "spl-token", "reference", "label", "message"]
    assert (fields["label"], fields["message"], Decimal(fields["amount"])) == (label, message, amount)
    assert fields["amount"].replace(".", "", 1).isdecimal()
