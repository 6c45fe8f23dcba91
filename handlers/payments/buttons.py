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


class ShowInvoices(CallbackData, frozen=True, array_like=True):
    """The sender's own, the latest first."""

    prefix: ClassVar[str] = "invoices"
