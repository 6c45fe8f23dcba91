"""Two other ways to follow calls, with the same rule of confirmation: an object for each, and heaps for each token."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from domain.tracking import confirmation
from domain.tracking.confirmation import CONFIRM_TICKS, Level, Tick
from domain.tracking.ladder import DOWNS, UPS

Rung = tuple[int, float]
"""Number of the call, multiple."""
_ROUNDING = 1e-12


class _Evidence:
    def __init__(self) -> None:
        self._ticks: deque[Tick] = deque(maxlen=CONFIRM_TICKS)

    def take(self, price: float, at: float) -> tuple[Level | None, Level | None]:
        """What is reached upwards and downwards, with money in the pool."""
        self._ticks.append(Tick(price, at, 1, 0, after_gap=False, doubted=False))
        ticks = list(self._ticks)
        return confirmation.reached(ticks, carried=True), confirmation.fallen_to(ticks)


@dataclass(slots=True)
class _Call:
    id: int
    price: float
    peak: float
    ups: int = 0
    downs: int = 0


class PlainToken:
    """Every call is asked each time."""

    def __init__(self, calls: Sequence[tuple[int, float]]) -> None:
        """`calls`: number and price."""
        self._calls = [_Call(number, price, price) for number, price in calls]
        self._evidence = _Evidence()

    def update(self, price: float, at: float) -> list[Rung]:
        up, down = self._evidence.take(price, at)
        return [*self._each(self._rise, up), *self._each(self._fall, down)]

    def _each(self, move: Callable[[_Call, float], Iterator[Rung]], level: Level | None) -> Iterator[Rung]:
        if level:
            for call in self._calls:
                yield from move(call, level.price)

    def _rise(self, call: _Call, price: float) -> Iterator[Rung]:
        call.peak = max(call.peak, price)
        while call.ups < len(UPS) and price / call.price >= UPS[call.ups]:
            call.ups += 1
            yield call.id, UPS[call.ups - 1]

    def _fall(self, call: _Call, price: float) -> Iterator[Rung]:
        while call.downs < len(DOWNS) and price / call.price <= DOWNS[call.downs]:
            call.downs += 1
            yield call.id, DOWNS[call.downs - 1]


class HeapToken:
    """The prices of the next rungs of all calls, the nearest first, in a heap for each direction; one highest price."""

    def __init__(self, calls: Sequence[tuple[int, float]]) -> None:
        """`calls`: number and price."""
        self._ups = [(price * UPS[0] * (1 - _ROUNDING), number, price, 0) for number, price in calls]
        self._downs = [(-price * DOWNS[0] * (1 + _ROUNDING), number, price, 0) for number, price in calls]
        heapify(self._ups)
        heapify(self._downs)
        self._peak = 0.0
        self._evidence = _Evidence()

    def update(self, price: float, at: float) -> list[Rung]:
        up, down = self._evidence.take(price, at)
        found: list[Rung] = []
        if up:
            self._peak = max(self._peak, up.price)
            self._rise(up.price, found)
        if down:
            self._fall(down.price, found)
        return found

    def _rise(self, level: float, found: list[Rung]) -> None:
        heap, kept = self._ups, list[tuple[float, int, float, int]]()
        while heap and heap[0][0] <= level:
            _, number, price, step = heappop(heap)
            before = step
            while step < len(UPS) and level / price >= UPS[step]:
                found.append((number, UPS[step]))
                step += 1
            if step == before:
                kept.append((price * UPS[step] * (1 - _ROUNDING), number, price, step))
            elif step < len(UPS):
                heappush(heap, (price * UPS[step] * (1 - _ROUNDING), number, price, step))
        for one in kept:
            heappush(heap, one)

    def _fall(self, level: float, found: list[Rung]) -> None:
        heap, kept = self._downs, list[tuple[float, int, float, int]]()
        while heap and -heap[0][0] >= level:
            _, number, price, step = heappop(heap)
            before = step
            while step < len(DOWNS) and level / price <= DOWNS[step]:
                found.append((number, DOWNS[step]))
                step += 1
            if step == before:
                kept.append((-price * DOWNS[step] * (1 + _ROUNDING), number, price, step))
            elif step < len(DOWNS):
                heappush(heap, (-price * DOWNS[step] * (1 + _ROUNDING), number, price, step))
        for one in kept:
            heappush(heap, one)
