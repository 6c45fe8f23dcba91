"""Documents that are carried from one store to the other: one that cannot be read stays where it is, and is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import structlog

from services.stores.unreadable import NOT_READABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

S = TypeVar("S")
T = TypeVar("T")


def readable(what: str, documents: Iterable[S], read: Callable[[S], T]) -> Iterator[T]:
    """Yield what each says, in order, without those of which `read` cannot say it. `what`: as the log names them."""
    for document in documents:
        try:
            found = read(document)
        except NOT_READABLE as error:
            log.warning("not_carried_over", what=what, kind=type(error).__name__)
        else:
            yield found
