"""Which alerts a request has left for, on this machine's own disk, for when Redis was emptied and we were killed.

Redis knows what is in flight, PostgreSQL what became of it some moments later. Should Redis lose everything and the
process die in the same moment, neither can say which of the waiting alerts have gone out; without this, all of them
would have to say that they may be a repeat. So every alert is written down here before its request leaves, with the
call it is about, and what became of it after. It goes when PostgreSQL has it.

It is a file that is appended to and now and then written anew, without waiting for the disk: what was written survives
the death of the process, not that of the machine. So whoever finds it after a restart of the machine does not trust it,
and no more when it could not be written, or when another process has sent since (`token`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from domain.calls.lifetimes import ACCEPTED_FOR
from domain.stored.alerts import Alert
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import Outgoing, read_outgoing

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MOST_BYTES: Final = 32 * 1024 * 1024
"""With more than this alive, it is given up until PostgreSQL has taken some of it."""
_REWRITE_BYTES: Final = 1024 * 1024
_TRY_AGAIN_S: Final = 5.0
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

Pair = tuple[int, str]
"""(user, call), or of what is about no call (user, key)"""


class _Head(Struct, frozen=True, tag="head", kw_only=True):
    token: str
    boot: str


_UNKNOWN_CALL: Final = msgspec.Raw()


class _Begun(Struct, frozen=True, tag="begun", kw_only=True, omit_defaults=True):
    outgoing: msgspec.Raw
    """JSON of `domain.stored.outgoing.Outgoing`."""
    call: msgspec.Raw = _UNKNOWN_CALL
    """JSON of `domain.calls.events.Call`, where it is known."""


class _TakenBack(Struct, frozen=True, tag="taken_back", kw_only=True):
    """The request surely did not get through."""

    pairs: tuple[Pair, ...]


class _Settled(Struct, frozen=True, tag="settled", kw_only=True):
    record: DeliveryRecord


Key = tuple[str, int, str]


class _InHand(Struct, eq=False):
    """What a request has left for, and what is known of it since."""

    begun: bytes
    outgoing: Outgoing
    records: dict[Pair, tuple[bytes, DeliveryRecord]] = {}
    """What became of it: one, or of a digest one for each of its calls."""

    @property
    def unknown(self) -> list[Pair]:
        return [pair for pair in pairs_of(self.outgoing) if pair not in self.records]


class Found(Struct, frozen=True, kw_only=True):
    """What a process that ended has left behind."""

    token: str
    outgoing: tuple[Outgoing, ...] = ()
    calls: tuple[tuple[Alert, bytes], ...] = ()
    records: tuple[DeliveryRecord, ...] = ()


class InFlightLog:
    """`path` is `None` where nobody asks for it: then nothing is kept. For one process at a time."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._fd: int | None = None
        self._token = ""
        self._live: dict[Key, _InHand] = {}
        self._by_pair: dict[Pair, Key] = {}
        """Which request was the last for a call."""
        self._stored: deque[tuple[float, Key, _InHand]] = deque()
        """Settled in Redis, with the journal entry that says so, at that moment."""
        self._written_bytes = self._live_bytes = 0
        self._try_again_at = 0.0
        self.found: Found | None = None
        """What the process before this one has left, until the journal has it; `None`: nothing that can be trusted."""
        self.found_token: str | None = None
        """Under which name the process before this one wrote."""
        if path is not None:
            self._open(path)

    @property
    def token(self) -> str | None:
        """Names what is written; another one whenever something could not be. `None`: nothing is written now."""
        return None if self._fd is None else self._token

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # what happens to alerts

    def begin(self, outgoing: Iterable[tuple[Outgoing, bytes | None]]) -> None:
        """Write down, before the request leaves: what is in it, and of an alert the call."""
        if self._path is None:
            return
        lines: list[bytes] = []
        for one, call in outgoing:
            line = _line(
                _Begun(outgoing=msgspec.Raw(_encode(one)), call=_UNKNOWN_CALL if call is None else msgspec.Raw(call))
            )
            self._note_begun(one, line)
            lines.append(line)
        self._append(lines)

    def _note_begun(self, outgoing: Outgoing, line: bytes) -> None:
        key = _key(outgoing)
        self._drop(key)
        self._live[key] = _InHand(line, outgoing)
        self._by_pair |= dict.fromkeys(pairs_of(outgoing), key)
        self._live_bytes += len(line)

    def recovered(self, outgoing: Iterable[Outgoing]) -> None:
        """Requests for these left earlier, from whomever, and nobody knows what became of them."""
        self.begin((one, None) for one in outgoing if _key(one) not in self._live)

    def take_back(self, outgoing: Sequence[Outgoing]) -> None:
        """The requests for these surely did not get through."""
        if known := [key for key in map(_key, outgoing) if key in self._live]:
            pairs = tuple(pair for key in known for pair in pairs_of(self._live[key].outgoing))
            for key in known:
                self._drop(key)
            self._append([_line(_TakenBack(pairs=pairs))])

    def settle(self, records: Iterable[DeliveryRecord]) -> None:
        """Write down what became of alerts; of those whose request never left nothing has to be known."""
        lines: list[bytes] = []
        for record in records:
            if (record.user_id, record.call_id) in self._by_pair:
                line = _line(_Settled(record=record))
                self._note_settled(record, line)
                lines.append(line)
        self._append(lines)

    def _note_settled(self, record: DeliveryRecord, line: bytes) -> None:
        pair = (record.user_id, record.call_id)
        key = self._by_pair.get(pair)
        if key is not None:
            earlier, _ = self._live[key].records.get(pair, (b"", None))
            self._live[key].records[pair] = (line, record)
            self._live_bytes += len(line) - len(earlier)

    def stored(self, records: Iterable[DeliveryRecord]) -> None:
        """The journal has them now."""
        now = self._clock()
        for record in records:
            key = self._by_pair.get((record.user_id, record.call_id))
            if key is not None and not self._live[key].unknown:
                self._stored.append((now, key, self._live[key]))

    def forget(self, noted_before: float) -> None:
        """What was stored before that moment of the clock is in PostgreSQL."""
        while self._stored and self._stored[0][0] < noted_before:
            _, key, known = self._stored.popleft()
            if self._live.get(key) is known:  # else its request left once more
                self._drop(key)

    def compact(self) -> None:
        """Keep nothing in the file of what is settled."""
        if self._fd is not None:
            self._rewrite()

    def unknown(self) -> set[Pair]:
        """Return (user, call) of what may have arrived."""
        return {pair for one in self._live.values() for pair in one.unknown}

    # the file

    def _drop(self, key: Key) -> None:
        known = self._live.pop(key, None)
        if known is not None:
            self._live_bytes -= len(known.begun) + sum(len(line) for line, _ in known.records.values())
            for pair in pairs_of(known.outgoing):
                if self._by_pair.get(pair) == key:
                    del self._by_pair[pair]

    def _open(self, path: Path) -> None:
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        except OSError as error:
            log.warning("in_flight_log_not_read", reason=str(error))
            lines = []
        self.found = self._read(lines)
        if self.found is None:
            self._live.clear()
            self._by_pair.clear()
            self._live_bytes = 0
        self.found_token = self.found.token if self.found else None
        self._token = self.found_token or secrets.token_hex(8)
        self._rewrite()

    def _read(self, lines: Sequence[bytes]) -> Found | None:
        if lines and not lines[-1].endswith(b"\n"):
            lines = lines[:-1]  # it was being written when the process died: its request had not left
        if not lines:
            return None
        calls: list[tuple[Alert, bytes]] = []
        oldest = datetime.now(UTC) - ACCEPTED_FOR
        try:
            head = _decode(lines[0])
            if not isinstance(head, _Head) or not head.boot or head.boot != _boot():
                return None
            for line in lines[1:]:
                one = _decode(line)
                if isinstance(one, _Begun):
                    calls += self._read_begun(one, line, oldest)
                elif isinstance(one, _TakenBack):
                    for pair in one.pairs:
                        self._drop(self._by_pair.get(pair, ("", *pair)))
                elif isinstance(one, _Settled):
                    self._note_settled(one.record, line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("in_flight_log_unreadable", reason=str(error))
            return None
        return Found(
            token=head.token,
            outgoing=tuple(one.outgoing for one in self._live.values()),
            calls=tuple((alert, call) for alert, call in calls if (alert.user_id, alert.call_id) in self._by_pair),
            records=tuple(record for one in self._live.values() for _, record in one.records.values()),
        )

    def _read_begun(self, begun: _Begun, line: bytes, oldest: datetime) -> list[tuple[Alert, bytes]]:
        """Return an alert and its call, where that was known."""
        outgoing, call = read_outgoing(bytes(begun.outgoing)), bytes(begun.call)
        if outgoing.decided_at <= oldest:
            return []
        self._note_begun(outgoing, line)
        return [(outgoing, call)] if isinstance(outgoing, Alert) and call else []

    def _append(self, lines: Sequence[bytes]) -> None:
        if self._path is None or not lines or (self._fd is None and self._clock() < self._try_again_at):
            return
        if self._fd is None or self._written_bytes > _REWRITE_BYTES + 4 * self._live_bytes:
            self._rewrite()  # with what these lines say
            return
        data = b"".join(lines)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._give_up(str(error))
            return
        self._written_bytes += written
        if written < len(data):
            self._give_up("the disk is full")

    def _rewrite(self) -> None:
        if self._path is None:
            return
        if self._live_bytes > _MOST_BYTES:
            self._give_up("PostgreSQL is too far behind")
            return
        new = self._path.with_suffix(".new")
        lines = [_line(_Head(token=self._token, boot=_boot()))]
        for one in self._live.values():
            lines += [one.begun, *(line for line, _ in one.records.values())]
        try:
            new.unlink(missing_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(fd, "wb", closefd=False) as file:
                file.write(b"".join(lines))
            new.replace(self._path)
        except OSError as error:
            self._give_up(str(error))
            return
        self.close()
        self._fd = fd
        self._written_bytes = sum(map(len, lines))

    def _give_up(self, reason: str) -> None:
        """Leave nothing that lacks a request which has left; begin anew later, under another name."""
        log.warning("in_flight_log_given_up", reason=reason)
        self.close()
        self._token, self._try_again_at = secrets.token_hex(8), self._clock() + _TRY_AGAIN_S
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def _key(outgoing: Outgoing) -> Key:
    return outgoing.kind, outgoing.user_id, outgoing.key


def pairs_of(outgoing: Outgoing) -> list[Pair]:
    """Return (user, id) of everything of which an outcome will be written down."""
    return [(outgoing.user_id, record_id) for record_id in outgoing.record_ids]


def _boot() -> str:
    """Name this run of the machine; empty where nobody can."""
    try:
        return _BOOT.read_text("utf-8").strip()
    except OSError:
        return ""


_Line = _Head | _Begun | _TakenBack | _Settled
_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def _line(one: _Line) -> bytes:
    return _encode(one) + b"\n"
