"""The buttons about a person. `user_id` is theirs in all of them."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowUsers(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "users"
    page: int


class AskUser(CallbackData, frozen=True, array_like=True):
    """Ask whom to look for."""

    prefix: ClassVar[str] = "finduser"


class ShowUser(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "user"
    user_id: int


class AskBan(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "askban"
    user_id: int


class Ban(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "ban"
    user_id: int


class Unban(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "unban"
    user_id: int


class AskNote(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "asknote"
    user_id: int


class ShowNotes(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "usernotes"
    user_id: int
    page: int


class AskWrite(CallbackData, frozen=True, array_like=True):
    """Ask what to write to them."""

    prefix: ClassVar[str] = "askwrite"
    user_id: int


class WriteTo(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "writeto"
    user_id: int


class ShowTheirs(CallbackData, frozen=True, array_like=True):
    """What they see themselves: `status` or `settings`."""

    prefix: ClassVar[str] = "theirs"
    user_id: int
    what: str


class ShowActivity(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "activity"
    user_id: int
    page: int


class ShowSubscription(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "usersub"
    user_id: int


class AskGrant(CallbackData, frozen=True, array_like=True):
    """Ask for how many days of a plan, and why."""

    prefix: ClassVar[str] = "askgrant"
    user_id: int
    plan: str


class Grant(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "grant"
    user_id: int
    plan: str
    days: int


class AskRevoke(CallbackData, frozen=True, array_like=True):
    """Ask why."""

    prefix: ClassVar[str] = "askrevoke"
    user_id: int


class Revoke(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "revoke"
    user_id: int


class AskMove(CallbackData, frozen=True, array_like=True):
    """Ask to whom, and why."""

    prefix: ClassVar[str] = "askmove"
    user_id: int


class Move(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "movesub"
    user_id: int
    to_id: int
