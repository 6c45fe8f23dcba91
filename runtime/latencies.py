"""How long something took, many times over: the middle, and the slow end where there are enough to speak of one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from msgspec import Struct

ENOUGH_FOR_P99: Final = 100
"""Of fewer it would be the slowest one, under another name."""


class Spread(Struct, frozen=True, kw_only=True):
    count: int
    p50_s: float | None
    """`None`: there was none."""
    p99_s: float | None
    """`None`: there were too few."""


def spread(seconds: Collection[float]) -> Spread:
    count = len(seconds)
    if not count:
        return Spread(count=0, p50_s=None, p99_s=None)
    p50_s, p99_s = (float(value) for value in np.percentile(list(seconds), (50, 99)))
    return Spread(count=count, p50_s=p50_s, p99_s=p99_s if count >= ENOUGH_FOR_P99 else None)
