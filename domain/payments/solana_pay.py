"""Transfer requests as wallets read them: https://github.com/solana-foundation/solana-pay/blob/master/SPEC.md."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import quote

from domain.payments.amounts import show


def transfer_url(
    *, recipient: str, amount: Decimal, reference: str, label: str, message: str, mint: str | None = None
) -> str:
    """Return a `solana:` URL. `recipient` is a wallet, also for a token (`mint`): wallets find its account themselves.

    `label` and `message` are shown to whoever pays; nothing in the URL is secret or about a person.
    """
    fields = {"amount": show(amount)}
    if mint:
        fields["spl-token"] = mint
    fields |= {"reference": reference, "label": label, "message": message}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
    return f"solana:{recipient}?{query}"
