"""What is written down of requests that left is known again after a kill, or not believed."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.stored.alerts import Alert, HeldCall
from domain.stored.journal import DeliveryRecord
from domain.stored.outgoing import Digest, Outgoing
from services.stores import in_flight_log
from services.stores.in_flight_log import InFlightLog, Pair, pairs_of
from tests.claims.alert_path import NOW

CALL = b'{"id":"c"}'


def alert(user_id: int, call_id: str) -> Alert:
    return Alert(user_id=user_id, call_id=call_id, token_address="So1", set_number=1, received_at=NOW, decided_at=NOW)


def digest_of(user_id: int, *held: str) -> Digest:
    calls = tuple(
        HeldCall(
            call_id=one,
            token_address=one,
            set_number=1,
            score=1,
            received_at=NOW,
            decided_at=NOW,
            held_at=NOW,
            due_at=NOW,
            reason="quiet",
        )
        for one in held
    )
    return Digest(user_id=user_id, decided_at=NOW, held=calls)


def records(of: Outgoing) -> list[DeliveryRecord]:
    return [
        DeliveryRecord(call_id=call, user_id=user, kind=of.kind, set_number=1, status="sent", decided_at=NOW)
        for user, call in pairs_of(of)
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "begun.log"


def test_a_killed_process_leaves_what_is_unknown_and_what_is_settled(file: Path) -> None:
    log = InFlightLog(file)
    first, second, third, digest = alert(1, "c1"), alert(2, "c1"), alert(3, "c1"), digest_of(4, "c2", "c3")
    log.begin([(one, CALL) for one in (first, second, third)])
    log.begin([(digest, None)])
    log.settle(records(first))
    log.take_back([second])
    later = InFlightLog(file)  # the first one is not closed: it was killed
    assert later.unknown() == {(3, "c1"), (4, "c2"), (4, "c3")}
    assert later.found is not None
    assert (later.found_token, later.token) == (log.token, log.token)
    assert later.found.outgoing == (first, third, digest)
    assert later.found.calls == ((first, CALL), (third, CALL))
    assert later.found.records == tuple(records(first))
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_postgresql_knows_goes(file: Path) -> None:
    now = 0.0
    log = InFlightLog(file, clock=lambda: now)
    one, two = alert(1, "c1"), alert(2, "c1")
    log.begin([(one, CALL), (two, CALL)])
    log.settle(records(one))
    log.forget(1.0)  # settled, but Redis has not said so yet
    now = 2.0
    log.stored(records(one))
    log.begin([(one, CALL)])  # its request left once more
    log.forget(3.0)
    assert log.unknown() == {(1, "c1"), (2, "c1")}
    for sent in (one, two):
        log.settle(records(sent))
        log.stored(records(sent))
    log.forget(3.0)
    assert log.unknown() == set()
    for _ in range(12_000):  # written anew, without what is settled
        log.begin([(one, CALL)])
    assert file.stat().st_size < 2 * 1024 * 1024
    assert InFlightLog(file).unknown() == {(1, "c1")}


def test_half_a_line_is_of_a_request_that_had_not_left(file: Path) -> None:
    log = InFlightLog(file)
    log.begin([(alert(1, "c1"), CALL)])
    log.begin([(alert(2, "c1"), CALL)])
    file.write_bytes(file.read_bytes()[:-5])
    assert InFlightLog(file).unknown() == {(1, "c1")}


@pytest.mark.parametrize("harm", ["garbage", "another boot", "no head", "nothing"])
def test_what_cannot_be_trusted_is_not(file: Path, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = InFlightLog(file)
    log.begin([(alert(1, "c1"), CALL), (alert(2, "c1"), CALL)])
    lines = file.read_bytes().splitlines(keepends=True)
    match harm:
        case "garbage":
            file.write_bytes(b"".join([lines[0], b"garbage\n", *lines[1:]]))
        case "another boot":
            monkeypatch.setattr(in_flight_log, "_boot", lambda: "another")
        case "no head":
            file.write_bytes(b"".join(lines[1:]))
        case _:
            file.write_bytes(b"")
    later = InFlightLog(file)
    assert (later.found, later.found_token) == (None, None)
    assert later.token != log.token
    assert later.unknown() == set()


def test_a_full_disk_leaves_nothing_that_lacks_a_request(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    log = InFlightLog(file, clock=lambda: now)
    name = log.token
    log.begin([(alert(1, "c1"), CALL)])

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.begin([(alert(2, "c1"), CALL)])
    assert log.token is None
    assert not file.exists()
    log.begin([(alert(3, "c1"), CALL)])
    assert not file.exists()
    now = 10.0
    log.settle(records(alert(1, "c1")))
    assert log.token not in {None, name}
    assert InFlightLog(file).unknown() == {(2, "c1"), (3, "c1")}


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "settle", "take_back", "stored", "restart"]), st.integers(0, 7)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_nothing_that_left_and_is_not_known_is_forgotten(
    file: Path, steps: Sequence[tuple[str, int]]
) -> None:
    file.unlink(missing_ok=True)
    log, left, settled = InFlightLog(file), set[Pair](), set[int]()
    alerts = [alert(number % 3, f"c{number}") for number in range(8)]
    for step, number in steps:
        one = alerts[number]
        match step:
            case "begin":
                log.begin([(one, CALL)])
                left.update(pairs_of(one))
                settled.discard(number)
            case "settle" if pairs_of(one)[0] in left:
                log.settle(records(one))
                left.difference_update(pairs_of(one))
                settled.add(number)
            case "stored" if number in settled:
                log.stored(records(one))
                log.forget(float("inf"))
            case "take_back":
                log.take_back([one])
                left.difference_update(pairs_of(one))
            case "restart":
                log.close()
                log = InFlightLog(file)
            case _:
                pass
        assert log.unknown() == left
    log.close()
