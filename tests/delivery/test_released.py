"""What was held comes as soon as whoever was silent wants it: quiet hours, a snooze or a pause end early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from domain.subscribers.subscriber import Preferences, QuietHours
from sandbox.telegram.people import SandboxUser
from tests.delivery.kit import ADDRESS, NOW, Way, call_of, claim_of, texts_of
from tests.delivery.test_digests import MORNING, NIGHT

LATER_NIGHT = QuietHours(start_minute=13 * 60, end_minute=15 * 60)
ENDED_EARLY: dict[str, Callable[[Preferences], Preferences]] = {
    "off": lambda p: replace(p, quiet=None),
    "hours that now is not among": lambda p: replace(p, quiet=LATER_NIGHT),
    "hours that have just ended": lambda p: replace(p, quiet=replace(NIGHT, end_minute=12 * 60 + 20)),
    "a zone where it is another time": lambda p: replace(p, time_zone="Asia/Kathmandu"),
}


async def told_in_one_digest(way: Way, ann: SandboxUser, *numbers: int) -> bool:
    """Whether what is due now is one digest of exactly these calls."""
    before = len(texts_of(ann))
    await way.schedule.poll()
    await way.deliver()
    told = texts_of(ann)[before:]
    return len(told) == 1 and told[0].count(ADDRESS[:-4]) == len(numbers) and all(f"T{n} " in told[0] for n in numbers)


@pytest.mark.parametrize("change", ENDED_EARLY.values(), ids=ENDED_EARLY)
async def test_what_was_held_comes_at_once_when_the_quiet_ends_early(
    way: Way, change: Callable[[Preferences], Preferences]
) -> None:
    ann = await way.person(quiet=NIGHT, alerts_per_hour=2)
    await way.claim(*(claim_of(call_of(n), ann.id, rated=50) for n in range(3)))
    await way.deliver()
    assert texts_of(ann) == []
    way.clock.pass_(minutes=2)
    await way.users.subscribers.change_preferences(ann.id, change)
    assert await told_in_one_digest(way, ann, 0, 1, 2)
    assert await way.held.of(ann.id) == []


async def test_a_snooze_over_the_quiet_hours_ends_early(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    change = way.users.subscribers.change_preferences
    await change(ann.id, lambda p: replace(p, snoozed_until=MORNING + timedelta(hours=2)))
    await change(ann.id, lambda p: replace(p, quiet=None))
    await way.schedule.poll()
    assert len(await way.held.of(ann.id)) == 1
    await change(ann.id, lambda p: replace(p, snoozed_until=None))
    assert await told_in_one_digest(way, ann, 1)


async def test_quiet_hours_that_end_behind_a_snooze_bring_the_digest_to_its_end(way: Way) -> None:
    ann = await way.person(quiet=NIGHT)
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    soon = NOW + timedelta(minutes=20)
    change = way.users.subscribers.change_preferences
    await change(ann.id, lambda p: replace(p, snoozed_until=soon))
    await change(ann.id, lambda p: replace(p, quiet=None))
    await way.schedule.poll()
    assert await way.due(soon) == [ann.id]
    way.clock.now = soon
    assert await told_in_one_digest(way, ann, 1)


async def test_nothing_is_lost_to_a_pause_that_ends_before_the_quiet_would_have(way: Way) -> None:
    ann, subscribers = await way.person(quiet=NIGHT), way.users.subscribers
    await way.claim(claim_of(call_of(1), ann.id, rated=50))
    await way.deliver()
    await subscribers.pause(ann.id)
    await subscribers.change_preferences(ann.id, lambda p: replace(p, quiet=None))
    await way.schedule.poll()
    assert len(await way.held.of(ann.id)) == 1
    await subscribers.resume(ann.id)
    assert await told_in_one_digest(way, ann, 1)


async def test_beyond_the_cap_in_quiet_hours_waits_for_the_full_hour_when_these_end_early(way: Way) -> None:
    ann = await way.person(quiet=NIGHT, alerts_per_hour=1)
    strong = [claim_of(call_of(n), ann.id, rated=95) for n in (1, 2)]
    await way.claim(claim_of(call_of(0), ann.id, rated=50), *strong)
    await way.deliver()
    [beyond] = [one for one in await way.held.of(ann.id) if one.reason == "cap"]
    way.clock.pass_(minutes=5)
    await way.users.subscribers.change_preferences(ann.id, lambda p: replace(p, quiet=None))
    assert await told_in_one_digest(way, ann, 0)
    full_hour = NOW.replace(hour=13, minute=0)
    assert await way.due(full_hour - timedelta(seconds=1)) == []
    assert await way.due(full_hour) == [ann.id]
    way.clock.now = full_hour
    assert await told_in_one_digest(way, ann, int(beyond.call_id.removeprefix("c")))
