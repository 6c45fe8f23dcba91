"""The buttons of admins. An arrival is named by a handle, see `PaymentSearch.handle_of`."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class RefreshHealth(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "health"


class AdminPresets(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpresets"


class AdminPreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpreset"
    preset_key: str


class AskTakeRules(CallbackData, frozen=True, array_like=True):
    """Ask whether a preset is to have the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "asktakerules"
    preset_key: str
    number: int


class TakeRules(CallbackData, frozen=True, array_like=True):
    """Give a preset the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "takerules"
    preset_key: str
    number: int


class NewPreset(CallbackData, frozen=True, array_like=True):
    """Ask for the name of a preset with the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "newpreset"
    number: int


class NamePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "namepreset"
    preset_key: str


class DescribePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "aboutpreset"
    preset_key: str


class RemovePreset(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "removepreset"
    preset_key: str


class ConfirmRemove(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "removeyes"
    preset_key: str


class ShowPayments(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "pay"


class CompareNow(CallbackData, frozen=True, array_like=True):
    """Hold every network against the ledger at once."""

    prefix: ClassVar[str] = "paycompare"


class AskSearch(CallbackData, frozen=True, array_like=True):
    """Ask what to search for."""

    prefix: ClassVar[str] = "payfind"


class ShowPerson(CallbackData, frozen=True, array_like=True):
    """Somebody's invoices."""

    prefix: ClassVar[str] = "payperson"
    user_id: int


class ShowPayer(CallbackData, frozen=True, array_like=True):
    """Somebody's invoices, from their card."""

    prefix: ClassVar[str] = "userpay"
    user_id: int


class ShowWaiting(CallbackData, frozen=True, array_like=True):
    """What nobody has settled: `unmatched`, or of `invoices`."""

    prefix: ClassVar[str] = "paywaiting"
    which: str
    page: int


class ShowDifferences(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "paydiffer"
    page: int


class ShowInvoice(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "payinvoice"
    invoice_id: str


class ShowArrival(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "payarrival"
    handle: str


class AskInvoice(CallbackData, frozen=True, array_like=True):
    """Ask for which invoice an arrival is."""

    prefix: ClassVar[str] = "payfor"
    handle: str


class AskRuling(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant: `settle`, `dismiss`, `refund` or `returned`."""

    prefix: ClassVar[str] = "payask"
    action: str
    handle: str
    invoice_id: str
    """To settle it for; else empty."""


class ConfirmRuling(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "payyes"
    action: str
    handle: str
    invoice_id: str


class NoteRuling(CallbackData, frozen=True, array_like=True):
    """Ask for the note without which it is not done: `dismiss` or `returned`."""

    prefix: ClassVar[str] = "paynote"
    action: str
    handle: str
    invoice_id: str
