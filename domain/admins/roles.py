"""What an admin may do: look at everything, act on people and payments, or everything."""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

AdminRole = Literal["read_only", "support", "owner"]
"""`read_only` looks at everything and changes nothing; `support` acts on people and payments as well."""

ROLES: Final[tuple[AdminRole, ...]] = get_args(AdminRole)
"""Each may do what those before it may."""


class Admin(Struct, frozen=True, kw_only=True):
    user_id: int
    role: AdminRole
    is_fixed: bool = False
    """By the settings: nobody changes them in the chat."""


def allows(has: AdminRole | None, needs: AdminRole) -> bool:
    """Whether somebody with a role, or none, may do what needs one."""
    return has is not None and ROLES.index(has) >= ROLES.index(needs)


def role_named(name: str) -> AdminRole | None:
    """Read a role that comes from outside."""
    return next((role for role in ROLES if role == name), None)
