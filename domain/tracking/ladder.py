"""The one ladder of multiples. What somebody wants to hear of it is chosen later, for each person.

A rung is the multiple itself: 2.0 is "twice the price at the call", 0.5 is "half of it". A rung counts as reached when
price / price at the call is at least the multiple, or at most, where the multiple is below 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

UPS: Final = (
    *(1.2, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0),
    *(100.0, 150.0, 200.0, 300.0, 500.0, 750.0, 1000.0),
)
"""Ascending. They are stored by their position, so the ladder grows at its end only."""
DOWNS: Final = (0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Descending, and stored by position, too."""
MILESTONES: Final = frozenset((2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0))
"""Rungs that are told without being asked for."""

UP_STEPS: Final[npt.NDArray[np.float64]] = np.array((*UPS, np.inf))
"""`UP_STEPS[n]` is the next one after `n` rungs."""
DOWN_STEPS: Final[npt.NDArray[np.float64]] = np.array((*DOWNS, 0.0))
_UP_EDGES: Final[npt.NDArray[np.float64]] = np.array(UPS)
_DOWN_EDGES: Final[npt.NDArray[np.float64]] = np.array(DOWNS[::-1])

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.intp]


def ups_reached(multiples: Floats) -> Counts:
    """How many rungs upwards each of these has reached."""
    return _UP_EDGES.searchsorted(multiples, "right")


def downs_reached(multiples: Floats) -> Counts:
    """How many rungs downwards each of these has reached."""
    return len(DOWNS) - _DOWN_EDGES.searchsorted(multiples, "left")


def steps_up_to(multiple: float) -> int:
    """How many rungs, upwards or downwards, lie between 1 and this multiple, itself included."""
    if multiple >= 1:
        return sum(rung <= multiple for rung in UPS)
    return sum(rung >= multiple for rung in DOWNS)


def next_milestone(multiple: float) -> float | None:
    """The next rung above this multiple that is told without being asked for."""
    return min((rung for rung in MILESTONES if rung > multiple), default=None)
