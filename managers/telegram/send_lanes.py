"""What a message is for, and whose turn is next when messages have to wait."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Lane(IntEnum):
    """What a message is for; earlier lanes get the larger share when messages have to wait."""

    REPLY = 1
    PAYMENT = 2
    ALERT = 3
    FOLLOW_UP = 4
    REPORT = 5
    BROADCAST = 6


_WEIGHTS = {
    Lane.REPLY: 64,
    Lane.PAYMENT: 32,
    Lane.ALERT: 16,
    Lane.FOLLOW_UP: 4,
    Lane.REPORT: 2,
    Lane.BROADCAST: 1,
}
"""Powers of two keep virtual time exact."""


_ONE_IN: Final = 6
"""So many slots are left free by what is in no hurry."""


def left_free(lane: Lane, waiting: Mapping[Lane, int], slots: int) -> int:
    """Return how many slots a broadcast leaves free while nobody else waits.

    It would use all of them at once, and whoever comes next would wait until they have cooled. Where others do wait,
    each lane has its share, this one too.
    """
    if lane is not Lane.BROADCAST or any(count for other, count in waiting.items() if other < lane):
        return 0
    return slots // _ONE_IN


class FairClock:
    """Virtual time of self-clocked fair queueing: whoever has the lowest turn is served next."""

    __slots__ = ("_lane_turns", "_now")

    def __init__(self) -> None:
        self._now = 0.0
        self._lane_turns: dict[Lane, float] = {}

    def turn(self, lane: Lane) -> float:
        turn = max(self._now, self._lane_turns.get(lane, 0.0)) + 1 / _WEIGHTS[lane]
        self._lane_turns[lane] = turn
        return turn

    def advance(self, turn: float) -> None:
        self._now = max(self._now, turn)
