"""The machine's clock may be hours off, from the start or all at once: what Telegram tells decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import Clock
from runtime.reference import KEPT, TO_DECIDE, TOLERANCE_S

TRUTH = datetime(2026, 1, 1, tzinfo=UTC)
HOUR_S = 3600.0
NEARLY = timedelta(seconds=1.5)
"""A date is a whole second, and arrives some time later."""


class Machine:
    """A machine whose clock is ahead of the truth, and a Telegram that dates its answers."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.passed_s = 0.0
        self.ahead_s = ahead_s
        self.clock = Clock(wall_ns=self._wall_ns, monotonic_ns=self._monotonic_ns)
        self.clock()

    @property
    def truth(self) -> datetime:
        return TRUTH + timedelta(seconds=self.passed_s)

    @property
    def error(self) -> timedelta:
        return abs(self.clock() - self.truth)

    def pass_(self, seconds: float) -> None:
        self.passed_s += seconds

    def answer(self, *, took_s: float = 0.1, dated_wrong_by_s: float = 0.0, after_s: float = 10.0) -> None:
        """Get an answer that was dated half-way, or at the end of a long wait."""
        self.pass_(after_s)
        dated = self.truth - timedelta(seconds=min(took_s, 1.0) / 2) + timedelta(seconds=dated_wrong_by_s)
        self.clock.heard(format_datetime(dated.replace(microsecond=0), usegmt=True), took_s)

    def _monotonic_ns(self) -> int:
        return int((1_000 + self.passed_s) * 1e9)

    def _wall_ns(self) -> int:
        return int((TRUTH.timestamp() + self.passed_s + self.ahead_s) * 1e9)


def test_before_any_answer_it_is_not_sure() -> None:
    machine = Machine(HOUR_S)
    assert not machine.clock.is_sure
    assert machine.clock.ahead_s is machine.clock.wrong_by_s is None
    assert machine.error == timedelta(hours=1), "the machine's clock is all there is"


def test_one_answer_bears_out_a_clock_that_is_right() -> None:
    machine = Machine(0.3)
    machine.answer()
    assert machine.clock.is_sure
    assert machine.clock.wrong_by_s is None
    assert machine.error < NEARLY


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S, 45.0, -45.0, 86_400.0 * 365])
def test_three_answers_correct_one_that_is_wrong(ahead_s: float) -> None:
    machine = Machine(ahead_s)
    for _ in range(TO_DECIDE - 1):
        machine.answer(after_s=0.01)
        assert machine.clock.is_doubted
        assert not machine.clock.is_sure
    machine.answer(after_s=0.01)
    assert machine.clock.is_sure
    assert machine.clock.wrong_by_s == pytest.approx(ahead_s, abs=2)
    assert machine.error < NEARLY
    assert machine.clock.steps_back == int(ahead_s > 0), "who seemed to have run out has to be put back"


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_is_set_wrong_while_it_runs_changes_nothing(by_s: float) -> None:
    machine = Machine()
    machine.answer()
    machine.ahead_s = by_s
    machine.pass_(0.1)
    assert machine.error < NEARLY, "at once: nobody has to be asked again"
    assert machine.clock.wrong_by_s == pytest.approx(by_s, abs=2)
    machine.ahead_s = 0.0
    machine.pass_(0.1)
    assert machine.error < NEARLY
    assert machine.clock.wrong_by_s is None, "set right again"
    assert machine.clock.steps_back == machine.clock.steps_forward == 0


def test_a_machine_that_slept_is_right_when_it_wakes() -> None:
    machine = Machine()
    for _ in range(KEPT):
        machine.answer()
    machine.ahead_s = HOUR_S  # the monotonic clock stood still: it is the truth that has gone on
    machine.pass_(0.1)
    machine.answer(dated_wrong_by_s=HOUR_S)
    assert machine.clock.wrong_by_s is None
    assert machine.error - timedelta(hours=1) < NEARLY


def test_a_long_poll_is_dated_when_it_ends() -> None:
    machine = Machine(HOUR_S)
    for _ in range(TO_DECIDE):
        machine.answer(took_s=10.0)
    assert machine.error < NEARLY


def test_within_the_tolerance_the_machine_is_followed() -> None:
    machine = Machine(TOLERANCE_S - 2)
    for _ in range(KEPT):
        machine.answer()
    assert machine.clock.wrong_by_s is None
    assert machine.error == timedelta(seconds=TOLERANCE_S - 2)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT", "\ud83d"])
def test_a_telegram_without_dates_is_done_without(date: str | None) -> None:
    machine = Machine(HOUR_S)
    machine.clock.heard(date, 0.1)
    assert machine.clock.is_sure, "there is nobody who would tell"
    assert machine.clock.ahead_s is None
    assert machine.error == timedelta(hours=1)


def test_what_was_told_can_be_passed_on() -> None:
    asks, listens = Machine(HOUR_S), Machine(-HOUR_S)
    assert asks.clock.true_ns(0) is None
    for _ in range(TO_DECIDE):
        asks.answer(after_s=0)
        true_ns = asks.clock.true_ns(1_000_000_000_000)
        if true_ns is not None:
            for _ in range(TO_DECIDE):
                listens.clock.told(true_ns, 1_000_000_000_000)
    assert listens.error < NEARLY
    assert listens.clock.wrong_by_s == pytest.approx(-HOUR_S, abs=2)


crazy = st.one_of(st.floats(-1e8, -120), st.floats(120, 1e8))


@given(st.floats(-1e7, 1e7), st.lists(st.tuples(st.floats(0, 12), st.none() | crazy, st.floats(1, 100)), max_size=60))
def test_one_crazy_date_costs_itself(ahead_s: float, answers: list[tuple[float, float | None, float]]) -> None:
    """However wrong the clock is, and whatever one answer in three says."""
    machine = Machine(ahead_s)
    for _ in range(TO_DECIDE):
        machine.answer()
    sane = 2
    for took_s, wrong_by_s, after_s in answers:
        is_crazy = wrong_by_s is not None and sane >= 2 and abs(ahead_s - wrong_by_s) > 2 * TOLERANCE_S
        sane = 0 if is_crazy else sane + 1
        machine.answer(took_s=took_s, dated_wrong_by_s=wrong_by_s or 0.0 if is_crazy else 0.0, after_s=after_s)
        limit = NEARLY if abs(ahead_s) > TOLERANCE_S + 2 else timedelta(seconds=TOLERANCE_S + 3)
        assert machine.error < limit


def test_many_crazy_dates_within_a_moment_count_as_one() -> None:
    machine = Machine()
    for _ in range(KEPT):
        machine.answer()
    for _ in range(100):
        machine.answer(dated_wrong_by_s=1e6, after_s=0.001)
    assert machine.error < NEARLY
