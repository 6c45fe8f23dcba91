"""What a tracker knows, as bytes, so that after a restart nothing is told twice.

Evidence is not kept: it begins anew. The first tick after restoring counts as one after a gap, so what was reached
meanwhile is late, and peaks are "at least". Snapshots of parts are restored one after the other.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from domain.tracking.columns import BEFORE, FLOATS, NO_SOURCE
from domain.tracking.doubts import Doubts
from domain.tracking.entries import COLUMNS, Entries, Pool
from domain.tracking.peaks import NUMBERS_PER_SEGMENT, Peaks
from domain.tracking.tracker import Tracker

VERSION: Final = 1
_COUNT: Final = np.dtype(np.uint32)
_KEPT: Final = tuple(name for name in FLOATS if name not in {"low", "high", "next_up", *BEFORE})


class UnreadableSnapshotError(Exception):
    """It is damaged, or of a version that is not known here."""


class _Snapshot(Struct, frozen=True, kw_only=True):
    """Arrays are little-endian. Those of entries hold all of the first token, then all of the second, and so on."""

    version: int
    next_id: int
    addresses: list[str]
    counts: bytes
    """uint32 for each token: its entries."""
    entries: dict[str, bytes]
    tokens: dict[str, bytes]
    """float64 for each token."""
    sources: bytes
    segments: bytes
    """uint32 for each token: segments of its peaks."""
    peaks: bytes
    doubts: list[tuple[int, int, float]] = []
    """Of tokens, by their places: a source that is doubted, and when another one spoke last, or the doubt began."""


_decode: Final = msgspec.msgpack.Decoder(_Snapshot).decode


def dump(tracker: Tracker, addresses: Iterable[str] | None = None) -> bytes:
    """All tokens, or these: for two million entries it takes a while, for a part of them less."""
    addresses = list(tracker.addresses if addresses is None else addresses)
    numbers = [tracker.number_of(address) for address in addresses]
    watching, columns = tracker.watching, tracker.columns
    entries = [watching.entries[number] for number in numbers]
    peaks = [watching.peaks[number].numbers for number in numbers]
    tokens = {name: array("d", (columns.floats[name][number] for number in numbers)).tobytes() for name in _KEPT}
    tokens["price"] = array("d", (watching.settled(number) for number in numbers)).tobytes()
    doubts = ((place, watching.doubts(number).alone_since) for place, number in enumerate(numbers))
    return msgspec.msgpack.encode(
        _Snapshot(
            version=VERSION,
            next_id=tracker.next_id,
            addresses=addresses,
            counts=array("I", map(len, entries)).tobytes(),
            entries={name: b"".join(some.column(name).tobytes() for some in entries) for name in COLUMNS},
            tokens=tokens,
            sources=array("H", (_source(tracker, number) for number in numbers)).tobytes(),
            segments=array("I", (len(some) // NUMBERS_PER_SEGMENT for some in peaks)).tobytes(),
            peaks=b"".join(some.tobytes() for some in peaks),
            doubts=[(place, source, since) for place, some in doubts for source, since in some.items()],
        )
    )


def _source(tracker: Tracker, number: int) -> int:
    """Who said the price that is kept, if that is the latest."""
    columns = tracker.columns
    is_latest = tracker.watching.settled(number) == columns.floats["price"][number]
    return columns.source[number] if is_latest else NO_SOURCE


def restore(tracker: Tracker, data: bytes) -> list[str]:
    """Add what a snapshot holds; returns the addresses. Tokens that are open already stay as they are.

    Raises `UnreadableSnapshotError`, and then nothing was added.
    """
    try:
        snapshot = _decode(data)
        if snapshot.version != VERSION:
            raise UnreadableSnapshotError(f"version {snapshot.version}")
        reader = _Reader(snapshot)
    except (msgspec.DecodeError, ValueError) as error:
        raise UnreadableSnapshotError(str(error)) from error
    tracker.next_id = max(tracker.next_id, snapshot.next_id)
    restored: list[str] = []
    for place, address in enumerate(snapshot.addresses):
        if address not in tracker:
            tracker.resume(
                address,
                reader.state(place),
                reader.source(place),
                reader.entries(tracker.watching.pool, place),
                reader.peaks(place),
                reader.doubts(place),
            )
            restored.append(address)
    return restored


class _Reader:
    def __init__(self, snapshot: _Snapshot) -> None:
        tokens = len(snapshot.addresses)
        self._starts = _starts(snapshot.counts, tokens)
        self._segments = _starts(snapshot.segments, tokens)
        self._columns = {
            name: _numbers(snapshot.entries[name], dtype, int(self._starts[-1]))
            for name, dtype in COLUMNS.items()
            if name in snapshot.entries
        }
        self._tokens = {
            name: _numbers(data, np.dtype(np.float64), tokens)
            for name, data in snapshot.tokens.items()
            if name in FLOATS
        }
        self._sources = _numbers(snapshot.sources, np.dtype(np.uint16), tokens)
        self._doubts: dict[int, Doubts] = {}
        for place, source, since in snapshot.doubts:
            self._doubts.setdefault(place, Doubts()).alone_since[source] = since
        of_peaks = int(self._segments[-1]) * NUMBERS_PER_SEGMENT
        self._peaks = _numbers(snapshot.peaks, np.dtype(np.float64), of_peaks)

    def state(self, place: int) -> dict[str, float]:
        return {name: float(numbers[place]) for name, numbers in self._tokens.items()}

    def source(self, place: int) -> int:
        return int(self._sources[place])

    def entries(self, pool: Pool, place: int) -> Entries:
        start, end = self._starts[place], self._starts[place + 1]
        entries = Entries(pool, int(end - start))
        entries.put_many({name: numbers[start:end] for name, numbers in self._columns.items()})
        return entries

    def peaks(self, place: int) -> Peaks:
        start, end = self._segments[place] * NUMBERS_PER_SEGMENT, self._segments[place + 1] * NUMBERS_PER_SEGMENT
        return Peaks(self._peaks[start:end].tobytes())

    def doubts(self, place: int) -> Doubts:
        return self._doubts.get(place, Doubts())


def _starts(counts: bytes, tokens: int) -> npt.NDArray[np.intp]:
    return np.concatenate(([0], np.cumsum(_numbers(counts, _COUNT, tokens), dtype=np.intp)))


def _numbers(data: bytes, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    if len(data) != count * dtype.itemsize:
        raise UnreadableSnapshotError(f"{len(data)} bytes for {count} numbers")
    return np.frombuffer(data, dtype=dtype)
