"""What a feed adapter is: frames in, domain events out, and an optional HTTP side that knows the past."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Protocol

from domain.calls.events import Call, Chain, Channel, Event, Token

NAME_LIMIT = 200
REASON_LIMIT = 160
SYMBOL_LIMIT = 50
TEXT_LIMIT = 4096

_PLACE = re.compile(r"[a-z0-9][a-z0-9 ._-]{0,39}")
_ROUNDING = 1e-9
"""By so much, of a bound or of 1, a figure may miss the bound for no other reason than how it was computed."""
SOLANA_GENESIS = datetime(2020, 3, 16, tzinfo=UTC)
ETHEREUM_GENESIS = datetime(2015, 7, 30, tzinfo=UTC)
_CLOCK_TOLERANCE = timedelta(days=1)


class Source(Protocol):
    """One feed's dialect. Holds no connection to the socket and no state about it."""

    @property
    def name(self) -> str:
        """Short name for logs and metrics."""
        ...

    @property
    def url(self) -> str:
        """`ws://` or `wss://`; may carry a secret in its query, so it is never logged as it is."""
        ...

    @property
    def idle_timeout_s(self) -> float:
        """An open socket that has brought no event for so long is broken."""
        ...

    @property
    def replays(self) -> bool:
        """Whether there is an HTTP side. Without one the three coroutines answer `[]` and `None`."""
        ...

    @property
    def unreadable(self) -> int:
        """Calls of its past that could not be read, and were skipped, since the start."""
        ...

    @property
    def knows_tokens(self) -> bool:
        """Whether `token` may answer anything."""
        ...

    def came_back(self) -> None:
        """Take note that a socket to it has just opened: its HTTP side is there as well."""
        ...

    def subscription(self, cursor: int | None) -> list[str]:
        """Give the text frames to send after every connect; `cursor` is the last call already handled."""
        ...

    def decode(self, frame: bytes, received_at: datetime) -> Event | None:
        """Turn one frame into an event; `None` for acknowledgements. Pure.

        Raises `FrameError` for a malformed frame and `FeedRefusedError` for a refusal, nothing else.
        """
        ...

    async def calls_since(self, cursor: int, limit: int) -> list[Call]:
        """Give at most `limit` calls after `cursor`, oldest first; empty when caught up. `TransientError`."""
        ...

    async def newest_cursor(self) -> int | None:
        """Give the cursor of the newest call; `None` where there is no HTTP side. `TransientError`."""
        ...

    async def channel(self, channel_id: str) -> Channel | None:
        """Give the channel with its record, `None` if unknown. `TransientError`."""
        ...

    async def token(self, address: str, chain: Chain | None = None) -> Token | None:
        """Give the token as it stands now, `None` if unknown. `TransientError`.

        `chain`: where it is known which of those that have such addresses is meant.
        """
        ...


def cut(text: str | None, limit: int) -> str | None:
    """Bound a text from outside. NUL goes too: PostgreSQL cannot hold it, and one would lose the call."""
    if text is None:
        return None
    if "\0" in text:
        text = text.replace("\0", "")
    return text if len(text) <= limit else text[:limit]


def is_plausible(moment: datetime, received_at: datetime, since: datetime = SOLANA_GENESIS) -> bool:
    """Whether a time can be one of a chain's: not before its genesis, not after tomorrow."""
    return moment >= since and (moment <= received_at or moment <= received_at + _CLOCK_TOLERANCE)


def positive(value: object) -> float | None:
    """Read a finite number above zero out of untyped JSON, which can hold integers that no float can."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number > 0 and math.isfinite(number) else None


def clamped(number: float, at_least: float, at_most: float) -> float | None:
    """The number, moved to a bound that it misses by a rounding error alone; `None` further out and for NaN."""
    if at_least <= number <= at_most:
        return number if math.isfinite(number) else None
    for bound in (at_least, at_most):
        if math.isfinite(bound) and math.isclose(number, bound, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
            return bound
    return None


def venue(value: object) -> str | None:
    """Name of a launchpad or exchange in lower case: at most 40 letters, digits and ` . _ -`, else `None`."""
    name = value.lower() if isinstance(value, str) and value.isascii() else ""
    return name if _PLACE.fullmatch(name) else None
