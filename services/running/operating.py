"""What admins do about connections of all processes at once."""

from __future__ import annotations

from typing import Final, Literal, get_args

from services.running.orders import Orders

RECONNECT: Final = "reconnect"
LET_IN: Final = "let in"
LOG_LEVEL: Final = "log level"
"""Orders; their arguments are a part, the name of a host, and a level."""
Part = Literal["feed", "redis", "telegram"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
LOGS_FOR_S: Final = 3600.0
"""After that as configured again."""


class Operating:
    """Each returns `False` where only this process heard of it."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def reconnect(self, part: Part) -> bool:
        return await self._orders.give(RECONNECT, part)

    async def let_in(self, host: str) -> bool:
        """Try a host that is shut out at once."""
        return await self._orders.give(LET_IN, host)

    async def log_from(self, level: str) -> bool:
        """Log from this level on, for an hour."""
        return await self._orders.give(LOG_LEVEL, level)
