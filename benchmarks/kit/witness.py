"""Reads along what the bot writes into its journal, and notes when Redis had it.

An entry of the journal is written by the very script that claims a batch, and Redis answers whoever waits for entries
in the same moment in which it answers the bot. What this notes is never too early.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import hiredis
import msgspec
from msgspec import Struct

from services.stores import keys

_JOURNAL = keys.JOURNAL.of().encode()
_BLOCK_MS = b"100"
_MAX_READ = b"10000"
_READ_BYTES = 1 << 20


class _Call(Struct):
    id: str
    called_at: datetime
    received_at: datetime


class Decided(Struct):
    call: _Call
    decided_at: datetime
    reason: str


class Claimed(Struct):
    call_id: str


class Delivered(Struct):
    call_id: str
    user_id: int
    status: str
    kind: str = "alert"
    message_id: int | None = None


class Entry(Struct, frozen=True):
    seen_at_us: int
    """Since the epoch."""
    kind: str
    data: bytes


class Witness:
    def __init__(self, redis_url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(unquote(urlsplit(redis_url).path))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._seen: list[tuple[int, list[Any]]] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def decided(self, called_from: datetime) -> list[tuple[Decided, int]]:
        """Each call from then on that was decided, with the time (µs since the epoch) at which it was written down."""
        decode = msgspec.json.Decoder(Decided).decode
        found = ((decode(entry.data), entry.seen_at_us) for entry in self._entries() if entry.kind == "call")
        return [(decided, seen_at_us) for decided, seen_at_us in found if decided.call.called_at >= called_from]

    def claimed(self) -> dict[str, int]:
        """When (µs since the epoch) a call was claimed for the first who gets it, by call id."""
        decode = msgspec.json.Decoder(Claimed).decode
        found = ((decode(entry.data).call_id, entry.seen_at_us) for entry in self._entries() if entry.kind == "claim")
        claimed: dict[str, int] = {}
        for call_id, seen_at_us in found:
            claimed.setdefault(call_id, seen_at_us)
        return claimed

    def delivered(self) -> list[Delivered]:
        decode = msgspec.json.Decoder(Delivered).decode
        return [decode(entry.data) for entry in self._entries() if entry.kind == "delivery"]

    def _entries(self) -> Iterator[Entry]:
        for seen_at_us, streams in self._seen:
            for _, fields in streams[0][1]:
                if fields is None:
                    continue
                named = dict(zip(fields[::2], fields[1::2], strict=True))
                yield Entry(seen_at_us, named[b"kind"].decode(), named[b"data"])

    def _read(self) -> None:
        reader, last = hiredis.Reader(), b"$"
        while not self._stop.is_set():
            self._socket.sendall(
                _command(b"XREAD", b"COUNT", _MAX_READ, b"BLOCK", _BLOCK_MS, b"STREAMS", _JOURNAL, last)
            )
            at_us, answer = 0, False
            while answer is False:
                reader.feed(self._socket.recv(_READ_BYTES))
                at_us = time.time_ns() // 1000
                answer = reader.gets()
            if answer is not None:
                self._seen.append((at_us, answer))
                last = answer[0][1][-1][0]


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


@contextmanager
def witness(redis_url: str) -> Generator[Witness]:
    """Watch the Redis on this Unix socket until the end of the block; read what was seen afterwards."""
    watching = Witness(redis_url)
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()
