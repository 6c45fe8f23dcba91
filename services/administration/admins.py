"""Who administers the bot, in which role: owners by the settings, and whoever was added in the chat.

PostgreSQL keeps those who were added. Each process that talks has all of them in memory and reads them anew every two
seconds, so a change is obeyed everywhere within that. While PostgreSQL is unavailable nobody is added or removed, and
a process that has never read it knows the owners alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, LiteralString

import structlog

from domain.admins.roles import Admin, AdminRole, role_named
from managers.storage.postgres import PostgresManager
from runtime.errors import DeliveryError, TransientError, UserFacingError
from runtime.retry import retry_until_done
from runtime.waiting import Progress, pause

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY_S: Final = 2.0
MAX_ADMINS: Final = 100

_ALL: Final[LiteralString] = "SELECT user_id, role FROM admins ORDER BY added_at, user_id"
_PUT: Final[LiteralString] = """
    INSERT INTO admins (user_id, role, added_by, added_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id) DO UPDATE SET role = excluded.role, added_by = excluded.added_by
"""
_REMOVE: Final[LiteralString] = "DELETE FROM admins WHERE user_id = $1"

Changed = Callable[[int, AdminRole | None], Awaitable[None]]


class AdminsService:
    def __init__(self, postgres: PostgresManager, owners: Iterable[int], clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._owners = frozenset(owners)
        self._clock = clock
        self._added: dict[int, AdminRole] = {}
        self.changed: Changed | None = None
        """Told of everybody whose role was changed here; `None` for somebody who has none any more."""

    def role_of(self, user_id: int) -> AdminRole | None:
        return "owner" if user_id in self._owners else self._added.get(user_id)

    def all(self) -> list[Admin]:
        """Return the owners by the settings, then those who were added, in that order."""
        fixed = [Admin(user_id=one, role="owner", is_fixed=True) for one in sorted(self._owners)]
        added = (one for one in self._added.items() if one[0] not in self._owners)
        return fixed + [Admin(user_id=user_id, role=role) for user_id, role in added]

    def roles(self) -> Mapping[int, AdminRole]:
        return {one.user_id: one.role for one in self.all()}

    async def run(self, progress: Progress) -> None:
        """Read them anew, for ever."""
        while True:
            await retry_until_done(self.load, progress)
            await pause(EVERY_S, progress)

    async def load(self) -> None:
        rows = await self._postgres.fetch(_ALL)
        added: dict[int, AdminRole] = {}
        for row in rows:
            if role := role_named(row["role"]):
                added[row["user_id"]] = role
        self._added = added

    async def put(self, user_id: int, role: AdminRole, by: int) -> None:
        """Give somebody a role. `UserFacingError` for an owner by the settings, and for oneself."""
        self.require_other(user_id, by)
        if user_id not in self._added and len(self._added) >= MAX_ADMINS:
            raise UserFacingError("admins.too_many", limit=MAX_ADMINS)
        await self._postgres.execute(_PUT, user_id, role, by, self._clock())
        self._added[user_id] = role
        await self._tell(user_id, role, by)

    async def remove(self, user_id: int, by: int) -> bool:
        """Take the role away; `False`: they had none. `UserFacingError` as `put`."""
        self.require_other(user_id, by)
        tag = await self._postgres.execute(_REMOVE, user_id)
        self._added.pop(user_id, None)
        await self._tell(user_id, None, by)
        return tag != "DELETE 0"

    def require_other(self, user_id: int, by: int) -> None:
        """Refuse (`UserFacingError`) where no role is changed here: an owner by the settings, and oneself."""
        if user_id in self._owners:
            raise UserFacingError("admins.fixed")
        if user_id == by:
            raise UserFacingError("admins.oneself")

    async def _tell(self, user_id: int, role: AdminRole | None, by: int) -> None:
        log.info("admin_changed", user_id=user_id, role=role, admin_id=by)
        if self.changed is None:
            return
        try:
            await self.changed(user_id, role)
        except (DeliveryError, TransientError) as error:
            # It holds all the same; the menu of commands shows it after the next start.
            log.warning("admin_change_not_shown", user_id=user_id, reason=str(error))
