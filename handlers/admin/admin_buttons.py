"""The buttons about admins and what they did; there 0 stands for anybody."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowAdmins(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "admins"


class AskAdmin(CallbackData, frozen=True, array_like=True):
    """Ask who is to be added."""

    prefix: ClassVar[str] = "addadmin"


class ShowAdmin(CallbackData, frozen=True, array_like=True):
    """Somebody's role, and which else they may be given."""

    prefix: ClassVar[str] = "oneadmin"
    user_id: int


class AskRole(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant; empty: that they have none any more."""

    prefix: ClassVar[str] = "askrole"
    user_id: int
    role: str


class SetRole(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "setrole"
    user_id: int
    role: str


class RemoveAdmin(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "noadmin"
    user_id: int


class ShowAudit(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "audit"
    admin_id: int
    user_id: int
    page: int


class ShowPersonAudit(CallbackData, frozen=True, array_like=True):
    """What was done about somebody, from their card."""

    prefix: ClassVar[str] = "useraudit"
    user_id: int
    page: int


class ChooseAdmin(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "auditwho"


class AskAuditPerson(CallbackData, frozen=True, array_like=True):
    """Ask about whom."""

    prefix: ClassVar[str] = "auditfind"


class SendAudit(CallbackData, frozen=True, array_like=True):
    """As a file."""

    prefix: ClassVar[str] = "auditfile"
    admin_id: int
    user_id: int
