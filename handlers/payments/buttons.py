"""What the buttons of buying send back."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowPlans(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "plans"


class ShowOffers(CallbackData, frozen=True, array_like=True):
    """A plan for how many months."""

    prefix: ClassVar[str] = "offers"
    plan: str


class BuyWithStars(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "buystars"
    plan: str
    months: int


class ShowWays(CallbackData, frozen=True, array_like=True):
    """How it can be paid."""

    prefix: ClassVar[str] = "ways"
    plan: str
    months: int


class BuyOnSolana(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "buysolana"
    plan: str
    months: int
    coin: str
    """`sol` or `usdc`."""


class ShowCoins(CallbackData, frozen=True, array_like=True):
    """Of the processor, a page of them."""

    prefix: ClassVar[str] = "coins"
    plan: str
    months: int
    page: int


class BuyWithCoin(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "buycoin"
    plan: str
    months: int
    coin: str


class BuyOnPage(CallbackData, frozen=True, array_like=True):
    """The processor's page, where the coin is chosen."""

    prefix: ClassVar[str] = "buypage"
    plan: str
    months: int


class ShowInvoice(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "invoice"
    id: str


class CheckInvoice(CallbackData, frozen=True, array_like=True):
    """Ask at once what came for it."""

    prefix: ClassVar[str] = "checkinvoice"
    id: str


class ShowInvoices(CallbackData, frozen=True, array_like=True):
    """The sender's own, the latest first."""

    prefix: ClassVar[str] = "invoices"
