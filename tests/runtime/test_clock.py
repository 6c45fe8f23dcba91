"""The machine's clock may be set to anything; the monotonic one only passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from runtime.clock import ABSORBED_S, MOST_HURRY, SLEW_DIVISOR, Clock, now
from runtime.course import Course

START_NS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e9)
START = datetime(2026, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.wall_ns = START_NS
        self.monotonic_ns = 5_000_000_000
        self.clock = Clock(wall_ns=lambda: self.wall_ns, monotonic_ns=lambda: self.monotonic_ns)

    def sleep(self, seconds: float) -> None:
        self.wall_ns += int(seconds * 1e9)
        self.monotonic_ns += int(seconds * 1e9)

    def pass_(self, seconds: float) -> datetime:
        self.sleep(seconds)
        return self.clock()

    def set_(self, by_s: float) -> datetime:
        self.wall_ns += int(by_s * 1e9)
        return self.clock()

    @property
    def error_s(self) -> float:
        """How much later the time shown is than that of the machine."""
        return self.clock().timestamp() - self.wall_ns / 1e9


def test_it_shows_the_time_of_the_machine_in_utc() -> None:
    machine = Machine()
    assert machine.clock() == START
    assert machine.clock().tzinfo is UTC
    assert machine.pass_(1.25) == START + timedelta(seconds=1.25)
    assert abs(now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize("by_s", [-9.9, -0.5, 0.5, 9.9])
def test_a_small_step_is_made_up_for_without_standing_still(by_s: float) -> None:
    machine = Machine()
    before = machine.clock()
    assert machine.set_(by_s) == before
    shown = [machine.pass_(1.0) for _ in range(int(abs(by_s) * SLEW_DIVISOR) + 2)]
    paces = {(later - earlier).total_seconds() for earlier, later in pairwise([before, *shown])}
    assert min(paces) >= 1 - 1 / SLEW_DIVISOR - 1e-6
    assert max(paces) <= 1 + 1 / SLEW_DIVISOR + 1e-6
    assert machine.error_s == pytest.approx(0, abs=1e-5)
    assert machine.clock.steps_back == machine.clock.steps_forward == 0


@pytest.mark.parametrize("by_s", [-3600.0, -10.1, 10.1, 86_400.0 * 365])
def test_a_large_step_is_followed_at_once(by_s: float) -> None:
    machine = Machine()
    machine.clock()
    assert machine.set_(by_s) == START + timedelta(seconds=by_s)
    assert (machine.clock.steps_back, machine.clock.steps_forward) == (int(by_s < 0), int(by_s > 0))
    assert machine.pass_(1.0) == START + timedelta(seconds=by_s + 1)


def test_a_process_that_was_stopped_between_two_readings_sees_no_step() -> None:
    machine = Machine()
    stops_s = iter([0.0, 0.0, 60.0])

    def monotonic_ns() -> int:
        read_ns = machine.monotonic_ns
        machine.sleep(next(stops_s, 0.0))
        return read_ns

    clock = Clock(wall_ns=lambda: machine.wall_ns, monotonic_ns=monotonic_ns)
    assert clock() == START
    assert clock() == START + timedelta(seconds=60)
    assert clock.steps_forward == 0


spans = st.floats(0, 500)
small = st.floats(-ABSORBED_S / 4, ABSORBED_S / 4)
large = st.floats(-1e7, 1e7)


@given(st.lists(st.tuples(spans, small), max_size=40))
def test_small_steps_never_turn_it_back(happenings: list[tuple[float, float]]) -> None:
    machine = Machine()
    shown = [machine.clock()]
    for passed_s, set_by_s in happenings:
        if abs(machine.error_s - set_by_s) < ABSORBED_S - 0.001:
            shown += [machine.set_(set_by_s), machine.pass_(passed_s)]
            pace_s = (shown[-1] - shown[-2]).total_seconds()
            assert abs(pace_s - passed_s) <= passed_s / SLEW_DIVISOR + 1e-5
    assert shown == sorted(shown)
    assert machine.clock.steps_back == machine.clock.steps_forward == 0


@given(st.lists(st.tuples(spans, small | large), max_size=40))
def test_it_is_never_far_off_and_turns_back_only_where_a_step_was_counted(
    happenings: list[tuple[float, float]],
) -> None:
    machine = Machine()
    shown = machine.clock()
    for passed_s, set_by_s in happenings:
        steps = machine.clock.steps_back
        after = machine.set_(set_by_s)
        assert after >= shown - MICROSECOND or machine.clock.steps_back == steps + 1
        assert abs(machine.error_s) <= ABSORBED_S + 1e-5
        shown = machine.pass_(passed_s)
        assert shown >= after


def test_a_file_shifts_it(tmp_path: Path) -> None:
    file = tmp_path / "shift"
    machine = Machine()
    machine.clock.shift_by(file)
    assert machine.clock() == START, "no file, no shift"
    file.write_text("3600\n")
    assert machine.pass_(1) == START + timedelta(seconds=3601)
    file.write_text("")
    assert machine.pass_(1) == START + timedelta(seconds=3602), "what cannot be read changes nothing"
    file.write_text("-60.5")
    assert machine.pass_(1) == START + timedelta(seconds=-57.5)
    file.unlink()
    assert machine.pass_(1) == START + timedelta(seconds=4)
    assert (machine.clock.steps_forward, machine.clock.steps_back) == (2, 1)


def test_a_clock_that_is_shifted_from_the_start_has_not_stepped(tmp_path: Path) -> None:
    file = tmp_path / "shift"
    file.write_text("-7200")
    machine = Machine()
    machine.clock.shift_by(file)
    assert machine.clock() == START - timedelta(hours=2)
    assert machine.clock.steps_back == 0


def test_a_file_lets_it_run_fast_and_stand_still(tmp_path: Path) -> None:
    file = tmp_path / "course"
    machine = Machine()
    began_ns, hour_ns = machine.wall_ns, 3_600 * 10**9
    file.write_text(Course(began_ns, machine.wall_ns, 3_600.0, began_ns + hour_ns).line())
    machine.clock.shift_by(file)
    assert machine.clock() == START
    before_s = machine.clock.passed_s()
    assert machine.pass_(0.5) == START + timedelta(minutes=30)
    assert machine.clock.passed_s() - before_s == pytest.approx(1_800)
    assert machine.pass_(3) == START + timedelta(hours=1), "it stands until the file says something else"
    assert machine.clock.waits_s(3_600.0) == pytest.approx(3_600.0 / MOST_HURRY)
    file.write_text(Course(began_ns + hour_ns, machine.wall_ns, 3_600.0).line())
    assert machine.pass_(1) == START + timedelta(hours=2)
    machine.clock.told(began_ns, machine.monotonic_ns)
    assert machine.clock.wrong_by_s is None, "Telegram keeps another time, and contradicts nobody"
    assert (machine.clock.steps_forward, machine.clock.steps_back) == (0, 0)


def test_an_hour_is_waited_for_as_long_as_it_takes_without_such_a_file() -> None:
    assert Machine().clock.waits_s(3_600.0) == 3_600.0


def test_the_settings_name_the_file_and_the_pace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert (Settings().fault_clock_file, Settings().telegram_messages_per_second) == (None, 30)
    monkeypatch.setenv("FAULT_CLOCK_FILE", "/tmp/shift")  # noqa: S108 - a name, nothing is opened
    monkeypatch.setenv("TELEGRAM_MESSAGES_PER_SECOND", "1000")
    assert (Settings().fault_clock_file, Settings().telegram_messages_per_second) == (Path("/tmp/shift"), 1000)  # noqa: S108 - likewise
    monkeypatch.setenv("TELEGRAM_MESSAGES_PER_SECOND", "1001")
    with pytest.raises(ValueError, match="less than or equal to 1000"):
        Settings()
