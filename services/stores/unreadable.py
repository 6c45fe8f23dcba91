"""What could not be read, each thing said once and without its content."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

import msgspec
import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

K = TypeVar("K", bound=Hashable)

NOT_READABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)
_MOST_NAMED: Final = 10_000
"""That many are said each by itself; of the rest a figure tells."""


class Unreadable(Generic[K]):
    def __init__(self, what: str) -> None:
        """`what`: the kind of thing, as the log names it."""
        self._what = what
        self._standing: dict[K, None] = {}

    def __len__(self) -> int:
        return len(self._standing)

    def __contains__(self, key: K) -> bool:
        return key in self._standing

    @property
    def standing(self) -> tuple[K, ...]:
        """What cannot be read, as far as was seen since the start; the first that was seen first."""
        return tuple(self._standing)

    def note(self, key: K, error: Exception, where: str) -> None:
        """Say that it cannot be read, unless that was said."""
        if key in self._standing:
            return
        self._standing[key] = None
        if len(self._standing) <= _MOST_NAMED:
            log.error("unreadable", what=self._what, key=key, where=where, kind=type(error).__name__, at=_place(error))

    def clear(self, key: K) -> None:
        """It can be read, or is gone."""
        if key in self._standing:
            del self._standing[key]
            log.info("readable_again", what=self._what, key=key)


def _place(error: Exception) -> str | None:
    """Return the field that an error is about, without what stands in it."""
    _, found, place = str(error).partition(" - at `")
    return place.rstrip("`") if found else None
