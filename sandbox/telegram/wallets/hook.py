"""What the chat page needs of a wallet, whatever it pays with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class WalletRequest(Struct, frozen=True, kw_only=True):
    """What can be paid, in words for the sheet that asks before it is."""

    wallet: str
    """The name of the one that pays."""
    url: str
    """By which the wallet finds it again."""
    recipient: str
    amount: str = ""
    coin: str = ""
    coins: tuple[str, ...] = ()
    """Those to choose from. With some, the payer says how much, and `amount` and `coin` are proposals."""
    label: str = ""
    memo: str = ""
    ways: Mapping[str, str] = {}
    """What can be done with it, rightly first, then as people and thieves do it: labels by name."""


class WalletPayment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`amount` and `coin` count only where the request leaves them open."""

    wallet: str
    url: str
    way: str
    amount: str = ""
    coin: str = ""


class Transfer(Struct, frozen=True, kw_only=True):
    """What a wallet has sent, and how it stands."""

    id: str
    what: str
    status: str
    is_final: bool
    is_failed: bool = False


class WalletHook(Protocol):
    """`ValueError` of every method says what a good wallet tells its owner."""

    @property
    def name(self) -> str: ...
    def balances(self) -> Mapping[str, str]:
        """Return how much there is of each coin."""
        ...

    def read(self, text: str) -> WalletRequest | None:
        """Return what this asks for, given to the wallet on purpose; None if it is meant for another one."""
        ...

    def recognise(self, copied: Sequence[str], said: str) -> WalletRequest | None:
        """Return what a message asks for that offers `copied` for copying and says `said`; None for no payment."""
        ...

    def pay(self, payment: WalletPayment) -> str:
        """Send it; return the transfer's id."""
        ...

    def sent(self) -> Sequence[Transfer]:
        """Return the latest transfers, the newest first."""
        ...
