"""What /why says of a call that waits for a digest, and of the next one of its token."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from domain.delivery.policy import Hold, HoldReason
from domain.stored.journal import DeliveryRecord, DeliveryStatus
from domain.subscribers.subscriber import Preferences, QuietHours
from services.delivery.held import Holding, records_of
from tests.texts.telegram_html import shown
from tests.why.support import World, mint
from tests.why.test_dialogue import HOLDERS, Chat
from tests.why.test_explanations import settled
from tests.wiring import held_calls_on


@pytest.fixture
async def ada(world: World) -> Chat:
    await world.joins(7, HOLDERS)
    await world.tick()
    return Chat(world, 7)


async def held(world: World, reason: HoldReason = "quiet") -> None:
    """Hold what waits in the outbox, as a sender does in quiet hours."""
    entries = await world.outbox.recover("sender") + await world.outbox.read("sender", count=9, block_ms=10)
    calls, now = held_calls_on(world.redis, world.postgres), world.clock()
    await calls.hold(7, [Holding(entry=one, verdict=Hold(now, reason)) for one in entries], now, capped=False)


async def is_quiet_until(world: World) -> str:
    """Begin quiet hours of an hour; return their end, by the clock of the person."""
    now = world.clock()
    minute, end = now.hour * 60 + now.minute, now + timedelta(hours=1)
    quiet = QuietHours(start_minute=(minute - 1) % 1440, end_minute=(minute + 60) % 1440)
    await world.edits(7, preferences=Preferences(quiet=quiet))
    return f"{end:%H:%M}"


async def test_a_held_call_says_when_it_comes_and_so_does_the_next_of_its_token(world: World, ada: Chat) -> None:
    until = await is_quiet_until(world)
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    await held(world)
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert f"⏳ Held: it came in your quiet hours. It waits for your digest, which comes at {until} (UTC)." in text
    await world.tick()
    await world.decides(world.call("c2", mint(1), channel="@beta", holders=500, market_cap_usd=50_000.0))
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert "already got" not in text
    assert "⊘ It fits, and this token is already waiting for you: The @\u2060alpha called it on" in text
    assert f"It comes at {until} (UTC), in a digest." in text


async def test_a_token_whose_digest_has_left_waits_no_more(world: World, ada: Chat) -> None:
    await is_quiet_until(world)
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    await held(world)
    calls = held_calls_on(world.redis, world.postgres)
    await calls.dispatch(7, await calls.of(7), world.clock())
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert "⏳ Held: it came in your quiet hours. Its digest is on its way to you." in text
    await world.tick()
    await world.decides(world.call("c2", mint(1), channel="@beta", holders=500, market_cap_usd=50_000.0))
    assert "you already got this token" in shown((await ada.writes(f"/why {mint(1)}")).text or "")


async def settles_digest(world: World, status: DeliveryStatus, reason: str | None = None) -> datetime:
    """Dispatch what is held, and settle the digest as a sender does; return when."""
    calls, now = held_calls_on(world.redis, world.postgres), world.clock()
    await calls.dispatch(7, await calls.of(7), now)
    (entry,) = await world.outbox.recover("sender") + await world.outbox.read("sender", count=9, block_ms=10)
    sent_at = now if status == "sent" else None
    records = [replace(one, status=status, reason=reason, sent_at=sent_at) for one in records_of(entry)]
    await world.outbox.finish([entry], records)
    return now


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("quiet", "it came in your quiet hours"),
        ("cap", "your alerts of the hour were used up"),
        ("kept", "the last of your alerts of the hour were kept for better calls"),
    ],
)
@pytest.mark.parametrize("drain", [False, True])
async def test_a_call_that_a_digest_told_says_so_wherever_somebody_asks(
    world: World, ada: Chat, reason: HoldReason, said: str, *, drain: bool
) -> None:
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    await held(world, reason)
    at = await settles_digest(world, "sent", reason)
    await settled(world, drain=drain)
    told = f"🗞 Held: {said}. It came in the digest of {at:%H:%M} (UTC)."
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert told in text
    assert "Its digest confirmed by Telegram" in text
    assert "✉️" not in text


async def test_a_digest_that_never_came_is_not_said_to_have_come(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    await held(world, "stale")
    await settles_digest(world, "withheld", "paused")
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert "Its digest was not sent: you paused all alerts." in text
    await world.tick()
    await world.decides(world.call("c2", mint(1), channel="@beta", holders=500, market_cap_usd=50_000.0))
    assert "that alert was not sent" in shown((await ada.writes(f"/why {mint(1)}")).text or "")


async def test_what_is_held_from_somebody_who_gets_nothing_waits_without_a_time(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    await held(world)
    await world.edits(7, unreachable=True)
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert "It comes in a digest once alerts come to you again." in text


async def test_nobody_is_said_to_have_got_a_token_whose_alert_was_withheld(world: World, ada: Chat) -> None:
    await world.decides(world.call("c1", mint(1), holders=500, market_cap_usd=50_000.0))
    (entry,) = await world.outbox.recover("sender") + await world.outbox.read("sender", count=9, block_ms=10)
    alert = entry.alert
    record = DeliveryRecord(
        call_id=alert.call_id,
        user_id=7,
        set_number=1,
        status="withheld",
        decided_at=alert.decided_at,
        reason="snoozed",
    )
    await world.outbox.finish([entry], [record])
    await world.tick()
    await world.decides(world.call("c2", mint(1), channel="@beta", holders=500, market_cap_usd=50_000.0))
    text = shown((await ada.writes(f"/why {mint(1)}")).text or "")
    assert "this token had passed already: The @\u2060alpha called it on" in text
    assert "that alert was not sent" in text
