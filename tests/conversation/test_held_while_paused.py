"""What somebody who has paused reads of the calls that were held for a digest before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from msgspec.structs import replace

from domain.buttons.cards import MuteToken
from domain.delivery.policy import DIGESTS, Withhold, decide
from domain.subscribers.subscriber import Preferences, QuietHours
from handlers.conversation.base import Services
from handlers.delivery.buttons import MuteAll, MuteHere, SetPaused, Snooze, UnmuteHere
from handlers.filters.buttons import ApplyPreset
from managers.redis.client import RedisManager
from tests.conversation.conftest import PRESETS, Clock
from tests.conversation.reading import toast, words
from tests.conversation.telegram_wire import USER_ID, Person
from tests.conversation.test_dialogues import hold

ADDRESS: Final = "So11111111111111111111111111111111111111112"
AT: Final = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
WHEN_RESUMED: Final = "🗞 2 calls that are held come at 13:00 (UTC) only if you /resume before then."


@pytest.fixture
async def waiting(ann: Person, clock: Clock, redis_manager: RedisManager) -> Person:
    """Two calls beyond the alerts per hour come at one o'clock."""
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    clock.now = AT
    await hold(redis_manager, "1", "cap", AT)
    await hold(redis_manager, "2", "cap", AT)
    return ann


def at(moment: str) -> str:
    return f"🗞 2 calls that are held come at {moment} (UTC)."


async def test_the_status_says_when_held_calls_come(waiting: Person) -> None:
    assert at("13:00") in words(await waiting.writes("/status"))
    assert at("14:20") in words(await waiting.writes("/pause 2h")), "so does the answer to it"
    status = words(await waiting.writes("/status"))
    assert status.index("💤 Paused until 14:20") < status.index(at("14:20"))
    await waiting.writes("/resume")
    assert at("13:20") in words(await waiting.taps(MuteAll().pack()), "edited")
    assert at("13:20") in words(await waiting.writes("/status"))
    assert at("20:20") in words(await waiting.taps(Snooze("8h").pack()), "edited")


async def test_who_pauses_for_good_reads_until_when_they_can_have_what_was_held(
    waiting: Person, services: Services
) -> None:
    assert WHEN_RESUMED in words(await waiting.writes("/pause"))
    assert WHEN_RESUMED in words(await waiting.writes("/status"))
    await waiting.writes("/resume")
    assert WHEN_RESUMED in (toast(await waiting.taps(SetPaused(paused=True).pack())) or "")
    paused = await services.subscribers.subscribers.require(USER_ID)
    verdict = decide(paused, token_address="", score=0, decided_at=AT, now=AT, recent=(), rules=DIGESTS)
    assert verdict == Withhold("paused"), "a digest is not sent meanwhile"


async def test_nothing_is_said_where_nothing_is_held(ann: Person) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    for typed in ("/pause 2h", "/status", "/pause", "/status"):
        assert "held" not in words(await ann.writes(typed))


async def test_the_toasts_of_everything_say_first_what_happened(waiting: Person, services: Services) -> None:
    await waiting.taps(MuteToken(ADDRESS).pack())
    muted = toast(await waiting.taps(MuteHere("all", ADDRESS).pack())) or ""
    assert muted.startswith("😴 Everything is muted until 13:20 (UTC).")
    assert muted.endswith(at("13:20"))
    quiet = QuietHours(start_minute=12 * 60, end_minute=14 * 60)
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda p: replace(p, quiet=quiet))
    over = toast(await waiting.taps(UnmuteHere("all", ADDRESS).pack())) or ""
    assert over.startswith("🔔 Everything is unmuted.\n" + at("14:00"))
    assert over.endswith("🌙 Quiet until 14:00 (UTC). What passes meanwhile comes in one digest then.")
    quiet = QuietHours(start_minute=9 * 60, end_minute=10 * 60)
    far = Preferences(quiet=quiet, time_zone="America/Argentina/ComodRivadavia")
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda _: far)
    over = toast(await waiting.taps(UnmuteHere("all", ADDRESS).pack())) or ""
    assert over.startswith("🔔 Everything is unmuted.\n🗞 2 calls that are held come at 10:00 (America/")
    assert over[-1] in ".)", "no sentence is cut"
