from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.lifetimes import FRESH_FOR
from domain.delivery.policy import (
    DIGESTS,
    HOUR,
    MAX_MUTED,
    MAX_UNREACHABLE_WAIT,
    MIN_UNREACHABLE_WAIT,
    Hold,
    RecentAlert,
    Rules,
    Send,
    Verdict,
    Withhold,
    decide,
    digest_waits_until,
    mute,
    unmute,
)
from domain.subscribers.subscriber import Preferences, QuietHours, Subscriber

NOW = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
ANN = Subscriber(
    user_id=1, chat_id=1, name="Ann", created_at=NOW, paid_until=NOW + timedelta(days=30), preferences=Preferences()
)
NIGHT = QuietHours(start_minute=12 * 60, end_minute=13 * 60, pass_score=80)


def decided(subscriber: Subscriber = ANN, score: int = 50, now: datetime = NOW, *recent: RecentAlert) -> Verdict:
    return decide(subscriber, token_address="So1", score=score, decided_at=now, now=now, recent=recent)


def decided_by(rules: Rules, subscriber: Subscriber = ANN, age: timedelta = timedelta()) -> Verdict:
    """What is no alert has neither a token nor a score."""
    return decide(subscriber, token_address="", score=0, decided_at=NOW - age, now=NOW, recent=(), rules=rules)


def wanting(**preferences: object) -> Subscriber:
    return replace(ANN, preferences=Preferences(**preferences))  # type: ignore[arg-type] - by keyword


@pytest.mark.parametrize(
    ("subscriber", "reason"),
    [
        (replace(ANN, unreachable=True, paused=True), "paused"),
        (replace(ANN, unreachable=True, paid_until=NOW), "expired"),
        (replace(ANN, paid_until=NOW, paused=True), "expired"),
        (replace(ANN, paid_until=None), "expired"),
        (replace(ANN, paused=True), "paused"),
        (wanting(snoozed_until=NOW + timedelta(seconds=1), quiet=NIGHT), "snoozed"),
        (wanting(muted_tokens={"So1": NOW + timedelta(seconds=1)}), "muted"),
    ],
)
def test_what_is_withheld(subscriber: Subscriber, reason: str) -> None:
    assert decided(subscriber, 100) == Withhold(reason)  # type: ignore[arg-type] - a parameter


def test_what_has_ended_silences_nothing() -> None:
    assert decided(wanting(snoozed_until=NOW, muted_tokens={"So1": NOW, "So2": NOW + HOUR})) == Send()


def test_who_cannot_be_written_to_gets_it_later() -> None:
    unavailable = replace(wanting(quiet=NIGHT), unreachable=True)
    assert decided(unavailable) == Hold(NOW, "unreachable")
    assert decided_by(DIGESTS, unavailable) == Hold(NOW, "unreachable")
    assert decided_by(DIGESTS, replace(unavailable, unreachable=False)) == Send()
    assert decided_by(DIGESTS, replace(unavailable, paused=True)) == Withhold("paused")


@pytest.mark.parametrize(
    ("newest_at", "wait"),
    [
        (NOW, MIN_UNREACHABLE_WAIT),
        (NOW + HOUR, MIN_UNREACHABLE_WAIT),
        (NOW - 5 * HOUR, 5 * HOUR),
        (NOW - 1_000 * HOUR, MAX_UNREACHABLE_WAIT),
    ],
)
def test_who_stays_away_is_looked_at_less_and_less(newest_at: datetime, wait: timedelta) -> None:
    unavailable = replace(ANN, unreachable=True)
    assert digest_waits_until(unavailable, NOW, newest_at) == NOW + wait
    # Nothing comes later for whoever has run out, so it is settled now.
    assert digest_waits_until(replace(unavailable, paid_until=NOW), NOW, newest_at) == NOW


@given(st.timedeltas(timedelta(), timedelta(days=2)), st.integers(0, 100), st.booleans())
def test_what_waited_too_long_is_no_alert(age: timedelta, score: int, is_quiet: bool) -> None:  # noqa: FBT001 - drawn
    subscriber = wanting(quiet=NIGHT if is_quiet else None, alerts_per_hour=1)
    full = [RecentAlert(NOW, 50, True)]
    verdict = decide(
        subscriber, token_address="So1", score=score, decided_at=NOW - age, now=NOW, recent=full if is_quiet else ()
    )
    assert (verdict == Hold(NOW, "stale")) == (age > FRESH_FOR)
    assert age > FRESH_FOR or verdict == decided(subscriber, score, NOW, *(full if is_quiet else ()))


def test_an_alert_from_a_clock_that_ran_ahead_is_fresh() -> None:
    assert decide(ANN, token_address="So1", score=50, decided_at=NOW + HOUR, now=NOW, recent=()) == Send()


def test_quiet_hours_hold_all_but_strong_calls() -> None:
    end = datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert decided(wanting(quiet=NIGHT), 79) == Hold(end, "quiet")
    assert decided(wanting(quiet=NIGHT), 80) == Send()
    assert decided(wanting(quiet=NIGHT), 79, end) == Send()


def test_a_cap_digest_does_not_come_at_night() -> None:
    evening = wanting(alerts_per_hour=1, quiet=QuietHours(start_minute=12 * 60 + 50, end_minute=14 * 60))
    assert decided(evening, 50, NOW, RecentAlert(NOW, 50, True)) == Hold(datetime(2026, 11, 20, 14, tzinfo=UTC), "cap")
    late = NOW + timedelta(minutes=30)
    assert digest_waits_until(evening, late, late) == datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert digest_waits_until(wanting(snoozed_until=NOW + HOUR), NOW, NOW) == NOW + HOUR
    assert digest_waits_until(ANN, NOW, NOW) == NOW


arrivals = st.lists(st.tuples(st.integers(0, 900), st.integers(0, 100)), max_size=60)


@given(arrivals, st.integers(1, 12))
def test_no_hour_has_more_than_the_cap(arrivals: list[tuple[int, int]], cap: int) -> None:
    subscriber, now = wanting(alerts_per_hour=cap), NOW
    came: list[RecentAlert] = []
    for gap_s, score in arrivals:
        now += timedelta(seconds=gap_s)
        verdict = decided(subscriber, score, now, *came)
        came.append(RecentAlert(now, score, verdict == Send()))
        assert sum(one.sent for one in came if now - one.at < HOUR) <= cap
        if isinstance(verdict, Hold):
            assert now < verdict.until <= now + HOUR
    # At least the slots that are not kept for the best go to whoever comes first.
    assert sum(one.sent for one in came) >= min(len(came), cap - cap // 3)


def test_the_last_third_is_kept_for_the_best() -> None:
    subscriber = wanting(alerts_per_hour=6)
    came = [RecentAlert(NOW, score, True) for score in (40, 50, 60, 70)]
    assert decided(subscriber, 55, NOW, *came) == Hold(datetime(2026, 11, 20, 13, tzinfo=UTC), "kept")
    assert decided(subscriber, 56, NOW, *came) == Send()
    assert decided(subscriber, 10, NOW, *came[:3]) == Send()
    assert decided(subscriber, 10, NOW + HOUR, *came) == Send()


def test_the_tokens_that_are_muted_the_longest_stay() -> None:
    preferences = Preferences()
    for n in range(MAX_MUTED + 5):
        preferences = mute(preferences, f"So{n}", NOW + timedelta(seconds=n))
    assert len(preferences.muted_tokens) == MAX_MUTED
    assert "So4" not in preferences.muted_tokens
    assert "So9" not in unmute(preferences, "So9").muted_tokens
