"""What passed while nobody looked is made up for by the rule of the job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.schedule.misfires import MAX_CATCH_UP, Misfire, Step, steps_of

START = datetime(2026, 11, 20, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def next_day(at: datetime) -> datetime:
    """At eight every evening."""
    return START + ((at - START) // DAY + 1) * DAY


def never(at: datetime) -> None:
    """It does not come again."""
    del at


def test_in_time_every_rule_does_the_same() -> None:
    rules: tuple[Misfire, ...] = ("once", "skip", "catch up")
    for rule in rules:
        assert steps_of(START, START + HOUR, rule, HOUR, next_day) == [Step(runs=START, then=START + DAY)]
        assert steps_of(START, START, rule, HOUR, never) == [Step(runs=START, then=None)]


def test_three_missed_evenings() -> None:
    now = START + 2 * DAY + 2 * HOUR
    assert steps_of(START, now, "once", HOUR, next_day) == [Step(runs=START + 2 * DAY, then=START + 3 * DAY)]
    assert steps_of(START, now, "skip", HOUR, next_day) == [Step(runs=None, then=START + 3 * DAY)]
    assert steps_of(START, now, "skip", 3 * HOUR, next_day) == [
        Step(runs=None, then=START + 2 * DAY),
        Step(runs=START + 2 * DAY, then=START + 3 * DAY),
    ]
    assert [step.runs for step in steps_of(START, now, "catch up", HOUR, next_day)] == [
        START,
        START + DAY,
        START + 2 * DAY,
    ]


@given(
    late=st.timedeltas(timedelta(), timedelta(days=300)),
    too_late=st.timedeltas(timedelta(), timedelta(days=3)),
    rule=st.sampled_from(["once", "skip", "catch up"]),
)
def test_whatever_was_missed(late: timedelta, too_late: timedelta, rule: Misfire) -> None:
    now = START + late
    missed = [START + number * DAY for number in range(late // DAY + 1)]
    runs: list[datetime] = []
    at, looks = START, 0
    while at <= now:
        looks += 1
        for step in steps_of(at, now, rule, too_late, next_day):
            assert step.then is not None
            assert step.then > at
            runs += [step.runs] if step.runs else []
            at = step.then
    assert at == missed[-1] + DAY
    expected = {
        "once": missed[-1:],
        "skip": [one for one in missed if now - one <= too_late],
        "catch up": missed,
    }
    assert runs == expected[rule]
    assert looks <= len(missed) // MAX_CATCH_UP + 1
