"""What time it really is, as somebody tells who knows: what the machine's clock is held against.

Telegram dates each of its answers (`Date`, to the second); processes that do not ask Telegram are told by those that
do. Each such statement is an offset: the true time less the monotonic clock at that moment. So what was told stays
right when the machine's clock is set, and nobody has to be asked again.

The estimate is the median of the latest offsets, so one crazy value costs itself. A statement that the machine's clock
bears out counts for as many as it takes to decide: two agree that know nothing of each other. To contradict the
machine's clock, it takes so many statements indeed.
"""

from __future__ import annotations

from collections import deque
from statistics import median_low
from typing import Final

TOLERANCE_S: Final = 30.0
"""A clock that is further off than this is wrong: it is corrected, and told to admins."""
RIGHT_AGAIN_S: Final = 20.0
"""A clock that was wrong is right again when it is nearer than this: at the limit it would come and go."""
KEPT: Final = 5
TO_DECIDE: Final = 3
SPACING_NS: Final = 1_000_000_000
"""Statements that come closer together than this count as one: nobody outvotes the others within a moment."""
_TOLERANCE_NS: Final = int(TOLERANCE_S * 1e9)


class Reference:
    def __init__(self) -> None:
        self._offsets_ns: deque[int] = deque(maxlen=KEPT)
        self._told_at_ns = 0

    def wants(self, monotonic_ns: int) -> bool:
        """Tell whether a statement at this moment would count."""
        return len(self._offsets_ns) < TO_DECIDE or monotonic_ns - self._told_at_ns >= SPACING_NS

    def told(self, offset_ns: int, monotonic_ns: int, machine_offset_ns: int) -> None:
        if self.wants(monotonic_ns):
            agrees = abs(machine_offset_ns - offset_ns) <= _TOLERANCE_NS
            self._offsets_ns.extend([offset_ns] * (TO_DECIDE if agrees else 1))
            self._told_at_ns = monotonic_ns

    @property
    def is_empty(self) -> bool:
        return not self._offsets_ns

    def ahead_ns(self, machine_offset_ns: int) -> int | None:
        """How much later the machine's clock is than the truth; `None` when that is not known (yet)."""
        if len(self._offsets_ns) < TO_DECIDE:
            return None
        return machine_offset_ns - median_low(self._offsets_ns)
