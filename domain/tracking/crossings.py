"""What an update gives back: entries of one token that reached rungs, many at once, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from domain.tracking.entries import Ids
from domain.tracking.ladder import DOWNS, UPS

Rungs = npt.NDArray[np.uint8]


class Crossing(NamedTuple):
    """One entry reached one rung, for the first time."""

    token: int
    entry: int
    channel: int
    multiple: float
    """The rung."""
    price_usd: float
    """The level that was confirmed: at or above the rung, or below it where it is a fall."""
    reached_at: float
    confirmed_at: float
    late: bool
    """It was reached while nobody looked; when, is not known."""


@dataclass(slots=True, eq=False)
class Crossings:
    """At least one entry."""

    token: int
    is_up: bool
    price_usd: float
    reached_at: float
    confirmed_at: float
    late: bool
    entries: Ids
    channels: Ids
    before: Rungs
    """How many rungs of this direction each entry had reached; `after`, how many by now: one more at least."""
    after: Rungs

    def __iter__(self) -> Iterator[Crossing]:
        """Each entry's rungs, from the nearest on."""
        rungs = UPS if self.is_up else DOWNS
        columns = (self.entries.tolist(), self.channels.tolist(), self.before.tolist(), self.after.tolist())
        for entry, channel, before, after in zip(*columns, strict=True):
            for rung in rungs[before:after]:
                yield Crossing(
                    self.token, entry, channel, rung, self.price_usd, self.reached_at, self.confirmed_at, self.late
                )

    def __len__(self) -> int:
        """How many rungs of how many entries, added up."""
        return int(self.after.sum(dtype=np.int64) - self.before.sum(dtype=np.int64))
