"""Solana Pay transfer requests, read as strictly as a good wallet reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import parse_qsl

from solders.pubkey import Pubkey

_AMOUNT = re.compile(r"\d+(\.\d+)?", re.ASCII)
_SCHEME = "solana:"
_MORE_THAN_THERE_IS = 2**62
_ONCE = frozenset({"amount", "spl-token", "label", "message", "memo"})


class UnpayableUrlError(ValueError):
    """A wallet shows an error instead of a payment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PayRequest:
    recipient: Pubkey
    amount: Decimal | None
    """In SOL or tokens; None: the wallet asks its owner."""
    mint: Pubkey | None
    """None: SOL."""
    references: tuple[Pubkey, ...]
    label: str | None
    message: str | None
    memo: str | None

    def base_units(self, decimals: int, amount: Decimal | None = None) -> int:
        """Give the amount in lamports or in the mint's smallest unit."""
        chosen = self.amount if self.amount is not None else amount
        if chosen is None:
            raise UnpayableUrlError("the request has no amount: say how much")
        scaled = chosen.scaleb(decimals)
        if scaled != scaled.to_integral_value():
            raise UnpayableUrlError(f"{chosen} has more than {decimals} decimals")
        if scaled >= _MORE_THAN_THERE_IS:
            raise UnpayableUrlError(f"{chosen} is more than there is")
        return int(scaled)


def read(url: str) -> PayRequest:
    if not url.startswith(_SCHEME):
        raise UnpayableUrlError("a transfer request begins with solana:")
    recipient, _, query = url.removeprefix(_SCHEME).partition("?")
    if recipient.startswith("https"):
        raise UnpayableUrlError("that is a transaction request, which this wallet does not know")
    pairs = parse_qsl(query, keep_blank_values=True)
    values = dict(pairs)
    if any(sum(name == known for name, _ in pairs) > 1 for known in _ONCE):
        raise UnpayableUrlError("only reference may be given more than once")
    amount = values.get("amount")
    if amount is not None and not _AMOUNT.fullmatch(amount):
        raise UnpayableUrlError(f"{amount!r} is no amount")
    return PayRequest(
        recipient=_pubkey(recipient),
        amount=None if amount is None else Decimal(amount),
        mint=_pubkey(values["spl-token"]) if "spl-token" in values else None,
        references=tuple(_pubkey(value) for name, value in pairs if name == "reference"),
        label=values.get("label"),
        message=values.get("message"),
        memo=values.get("memo"),
    )


def _pubkey(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except ValueError as error:
        raise UnpayableUrlError(f"{text!r} is no address") from error
