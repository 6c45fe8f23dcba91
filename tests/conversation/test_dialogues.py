"""The first words, the plan, the help, and what admins see: somebody taps and writes, the bot answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from domain.stored.alerts import HeldCall
from domain.subscribers.subscriber import QuietHours
from handlers.admin.people.buttons import ShowUsers
from handlers.conversation.base import Services
from handlers.delivery.buttons import AskDelivery, ClearDelivery, MuteAll, SetPaused, ShowDelivery, ShowSnooze, Snooze
from handlers.filters.buttons import ApplyPreset
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.clock import milliseconds
from services.stores import keys
from tests.conversation.conftest import PLANS, PRESETS, TRIAL, Clock
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import USER_ID, AnyApplication, Person, RecordedConversation
from tests.texts.telegram_html import shown


async def test_a_new_user_picks_a_preset(ann: Person, services: Services) -> None:
    greeting = await ann.writes("/start ref_1")
    assert "Hi Ann <b>!" in words(greeting)
    assert f"Days left of your free trial: {PLANS.trial_days}" in words(greeting)
    picks = [data for data in only(greeting, "sent").buttons.values() if data and data.startswith("preset:")]
    assert picks == [f"preset:{preset.key}" for preset in PRESETS]

    menu = await ann.taps(picks[0])
    assert "Early gems is on" in words(menu, "edited")
    assert "Follows the preset Early gems" in words(menu, "edited")
    assert [one.how for one in menu] == ["edited", "answered"]
    (first,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert first.rules == PRESETS[0].rules
    assert "Welcome back" in words(await ann.writes("/start"))
    await ann.taps(picks[0])
    assert len((await services.subscribers.subscribers.require(USER_ID)).filter_sets) == 1


async def test_status_and_plans(ann: Person, clock: Clock) -> None:
    await ann.writes("/start")
    assert "none yet" in words(await ann.writes("/status"))
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    status = words(await ann.writes("/status"))
    assert f"Days left: {PLANS.trial_days}" in status
    assert "• Early gems: Market cap $20k – $300k" in status
    plans = words(await ann.writes("/plan"))
    offers = [offer for plan in PLANS.sold for offer in plan.offers]
    assert all(f"({offer.days} days): ${offer.price_usd:,.0f}" in plans for offer in offers)
    clock.now += timedelta(days=400)
    assert "plan has ended" in words(await ann.writes("/status"))


async def test_alerts_are_paused(ann: Person, services: Services) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    menu = await ann.taps(button(await ann.writes("/settings"), "⏸ Pause"))
    assert "Paused" in words(menu, "edited")
    assert (await services.subscribers.subscribers.require(USER_ID)).paused
    assert words(await ann.writes("/resume")) == "🟢 Alerts are on."
    assert "Paused" in words(await ann.writes("/pause"))
    assert (await services.subscribers.subscribers.require(USER_ID)).paused


async def test_what_holds_alerts_back_is_said_wherever_they_are_said_to_be_on(
    ann: Person, services: Services, clock: Clock, redis_manager: RedisManager
) -> None:
    async def states() -> set[str]:
        told = [words(await ann.writes(command)) for command in ("/start", "/settings", "/status")]
        return {
            line
            for text in told
            for line in text.splitlines()
            if line[:1] in set("🟢🟡💤🌙⏳⏸") and "rules:" not in line
        }

    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    change = services.subscribers.subscribers.change_preferences
    assert await states() == {"🟢 Alerts are on."}
    paused = (
        "💤 Paused until 14:00 (UTC): calls that pass in that time are not sent, now or later. /resume ends it now."
    )
    assert words(await ann.writes("/pause 2h")) == paused
    assert await states() == {paused}
    assert "no length of time" in words(await ann.writes("/pause for ever"))
    assert words(await ann.writes("/resume")) == "🟢 Alerts are on."
    await change(USER_ID, lambda p: replace(p, time_zone="Europe/Berlin"))
    assert "until Mon 23 Nov 13:00 (Europe/\u2060Berlin)" in words(await ann.writes("/pause 3d"))
    await change(USER_ID, lambda p: replace(p, quiet=QuietHours(start_minute=0, end_minute=14 * 60)))
    quiet = words(await ann.writes("/resume"))
    assert quiet.startswith("▶️ The pause is over.\n🌙 Quiet until 14:00 (Europe/\u2060Berlin).")
    assert await states() == {quiet.partition("\n")[2]}
    await change(USER_ID, lambda p: replace(p, quiet=None, alerts_per_hour=2))
    assert await states() == {"🟢 Alerts are on."}
    sent = [(keys.RECENT_ALERTS.of(USER_ID), milliseconds(clock.now - timedelta(minutes=at)), at) for at in (50, 20, 5)]
    await redis_manager.transaction([("ZADD", key, at_ms, f"sent:50:{at}") for key, at_ms, at in sent])
    [used_up] = await states()
    assert used_up.startswith(
        "⏳ Your 2 alerts of the last 60 minutes are used up: the next may come at 13:40 (Europe/\u2060Berlin)"
    )
    await change(USER_ID, lambda p: replace(p, alerts_per_hour=4))
    [kept] = await states()
    assert kept.startswith(
        "🟡 Alerts are on, but most calls are held until 13:10 (Europe/\u2060Berlin): 3 of your 4 alerts of the last 60"
    )
    assert "Calls that score better than most still come; the others come in a digest, the next one at 14:00" in kept
    evening = QuietHours(start_minute=14 * 60, end_minute=15 * 60)
    await change(USER_ID, lambda p: replace(p, quiet=evening))
    [kept] = await states()
    assert "the next one at 15:00" in kept, "the full hour is quiet"
    await change(USER_ID, lambda p: replace(p, quiet=None))
    await change(USER_ID, lambda p: replace(p, alerts_per_hour=5))
    assert await states() == {"🟢 Alerts are on."}


async def test_a_pause_for_good_becomes_one_for_a_while(ann: Person, services: Services) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    for how in ("/pause 2h", Snooze("1h"), MuteAll()):
        await ann.writes("/pause")
        told = await (ann.writes(how) if isinstance(how, str) else ann.taps(how.pack()))
        assert any("until 1" in shown(one.text or "") for one in told), how
        known = await services.subscribers.subscribers.require(USER_ID)
        assert not known.paused
        assert known.preferences.snoozed_until
    await ann.writes("/pause")
    assert "🟢 Alerts are on." in words(await ann.taps(Snooze("off").pack()), "edited")


async def hold(redis: RedisManager, call_id: str, reason: str, at: datetime) -> None:
    held = HeldCall(
        call_id=call_id,
        token_address=f"So{call_id}",
        set_number=1,
        score=50,
        received_at=at,
        decided_at=at,
        held_at=at,
        due_at=at + timedelta(hours=7),
        reason=reason,
    )
    await redis.transaction([("HSET", keys.HELD_CALLS.of(USER_ID), call_id, msgspec.json.encode(held))])


async def test_who_ends_the_silence_is_told_what_comes_of_the_held_calls(
    ann: Person, services: Services, clock: Clock, redis_manager: RedisManager
) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    clock.now = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
    quiet = QuietHours(start_minute=12 * 60, end_minute=14 * 60)
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda p: replace(p, quiet=quiet))
    await hold(redis_manager, "1", "quiet", clock.now)
    await hold(redis_manager, "2", "quiet", clock.now)
    await hold(redis_manager, "3", "cap", clock.now)
    both = "📬 2 calls that were held come now, in one message.\n🗞 1 call that is held comes at 13:00 (UTC)."
    kept = "🗞 3 calls that are held come at 14:00 (UTC)."

    async def typed(what: str, text: str) -> str:
        await ann.taps(AskDelivery(what).pack())
        return words(await ann.writes(text))

    assert kept in words(await ann.taps(Snooze("1h").pack()), "edited")
    assert kept in words(await ann.writes("/resume"))
    assert both in await typed("quiet", "16-18")
    each = "🗞 2 calls that are held come at 12:40 (UTC).\n🗞 1 call that is held comes at 13:00 (UTC)."
    assert each in await typed("quiet", "12:00-12:40")
    assert each in words(await ann.writes("/status"))
    assert kept in await typed("quiet", "12:00-14:00")
    assert both in words(await ann.taps(ClearDelivery("quiet").pack()), "edited")
    await ann.writes("/pause 2h")
    assert both in words(await ann.taps(Snooze("off").pack()), "edited")
    await ann.writes("/pause")
    assert both in words(await ann.writes("/resume"))


async def test_resume_says_that_personal_alerts_that_were_met_come(
    ann: Person, services: Services, clock: Clock, postgres_manager: PostgresManager
) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    begin = "INSERT INTO watches (user_id, token_address, subject, side, value, each_time, created_at) VALUES "
    await postgres_manager.execute(begin + "($1, 'So1', 'price', 'above', 2, false, $2)", USER_ID, clock.now)
    await postgres_manager.execute(
        """
        INSERT INTO watch_firings (watch_id, crossing, price_usd, reached_at, confirmed_at, look_at)
        SELECT id, 1, 2, now, now, now + interval '1 minute' FROM watches, (SELECT $1::timestamptz AS now) AS x
        """,
        clock.now,
    )
    comes = "👁 1 personal alert that was held comes now."
    await ann.writes("/pause")
    assert comes not in words(await ann.writes("/pause 1h"))
    assert comes in words(await ann.writes("/resume"))
    await postgres_manager.execute("UPDATE watch_firings SET told_at = $1", clock.now)
    await ann.writes("/pause")
    assert comes not in words(await ann.writes("/resume"))


async def test_the_quiet_hours_of_one_night_are_ended_and_come_again(
    ann: Person, services: Services, clock: Clock, redis_manager: RedisManager
) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    assert "End them now" not in str(only(await ann.taps(AskDelivery("quiet").pack()), "edited").buttons)
    quiet = QuietHours(start_minute=12 * 60, end_minute=14 * 60)
    await services.subscribers.subscribers.change_preferences(USER_ID, lambda p: replace(p, quiet=quiet))
    clock.now = datetime(2026, 11, 20, 12, 20, tzinfo=UTC)
    await hold(redis_manager, "1", "quiet", clock.now)
    asked = await ann.taps(AskDelivery("quiet").pack())
    told = words(await ann.taps(button(asked, "End them now, they come again at 12:00")), "edited")
    assert "✅ The quiet hours are over for now. They begin again every day at 12:00." in told
    assert "📬 1 call that was held comes now." in told
    assert "🌙 Quiet: 12:00-14:00" in only(await ann.taps(ShowDelivery().pack()), "edited").buttons
    for at, state in ((14, "🟢 Alerts are on."), (37, "🌙 Quiet until 14:00 (UTC).")):
        clock.now = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=at - 0.5)
        assert state in words(await ann.writes("/status"))


async def test_until_when_a_snooze_lasts_is_on_its_button(ann: Person, clock: Clock) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    clock.now = datetime(2026, 11, 20, 8, 31, tzinfo=UTC)
    told = await ann.taps(button(await ann.taps(ShowSnooze().pack()), "Until morning: Sat 08:00"))
    assert "💤 Paused until Sat 21 Nov 08:00 (UTC)" in words(told, "edited")
    assert "Snoozed until Sat 21 Nov 08:00" in words(await ann.taps(ShowSnooze().pack()), "edited")


async def test_who_resumes_what_is_not_paused_is_told_so(ann: Person) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    menu = await ann.writes("/settings")
    assert words(await ann.writes("/resume")) == "Nothing was paused.\n🟢 Alerts are on."
    await ann.taps(button(menu, "⏸ Pause"))
    assert (toast(await ann.taps(SetPaused(paused=False).pack())) or "").startswith("▶️ The pause is over.")
    assert toast(await ann.taps(SetPaused(paused=False).pack())) == "Nothing was paused."


async def test_more_alerts_an_hour_than_the_plan_has_are_no_success_of_that_number(ann: Person) -> None:
    await ann.writes("/start")
    await ann.taps(AskDelivery("cap").pack())
    told = words(await ann.writes("1000"))
    assert f"✅ Your plan has up to {TRIAL.alerts_per_hour} alerts per hour, so no more come. 1000 counts once" in told


async def test_a_snooze_is_ended_from_the_settings(ann: Person) -> None:
    await ann.writes("/start")
    await ann.taps(ApplyPreset(PRESETS[0].key).pack())
    await ann.writes("/pause 2h")
    resumed = await ann.taps(button(await ann.writes("/settings"), "▶️ Resume"))
    assert "🟢 Alerts are on." in words(resumed, "edited")
    assert button(resumed, "⏸ Pause")


async def test_strangers_are_asked_to_start(ann: Person) -> None:
    for command in ("/settings", "/status", "/plan", "/pause", "/resume"):
        assert "Send /start first" in words(await ann.writes(command))
    for data in ("settings", "set:1", "newset", "addset", "preset:everything", "share:1", "versions:1:0"):
        assert "Send /start first" in alert(await ann.taps(data))


async def test_help_lists_what_the_asker_may_use(ann: Person, admin: Person) -> None:
    assert "/health" not in words(await ann.writes("/help"))
    assert "/health" in words(await admin.writes("/help"))
    assert "/help" in words(await ann.writes("/nothing"))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("/setings", "/settings"), ("/staus now", "/status"), ("/PUASE", "/pause"), ("/plans@filter_bot", "/plan")],
)
async def test_a_command_that_is_a_letter_off_names_the_one_that_was_meant(ann: Person, typed: str, meant: str) -> None:
    assert words(await ann.writes(typed)).endswith(f"Did you mean {meant}?")


async def test_nothing_is_guessed_further_off_and_no_command_of_others(ann: Person, admin: Person) -> None:
    for typed in ("/set", "/healt", "/x", "/", "/settings_"):
        said = words(await ann.writes(typed))
        assert ("Did you mean /settings?" in said) == (typed == "/settings_")
        assert typed == "/settings_" or "/help lists" in said
    assert "/help lists" in words(await admin.writes("/healt"))


async def test_a_person_who_blocks_the_bot_is_not_written_to(ann: Person, services: Services) -> None:
    assert await ann.changes_membership("kicked") == []
    await ann.writes("/start")
    await ann.changes_membership("kicked")
    assert (await services.subscribers.subscribers.require(USER_ID)).unreachable
    await ann.changes_membership("member")
    assert not (await services.subscribers.subscribers.require(USER_ID)).unreachable


async def test_admins_see_health(admin: Person) -> None:
    report = await admin.writes("/health")
    assert "🟢 redis 0.3 ms 7.4" in words(report)
    assert "🔴 feed <no frame> for 60 s" in words(report)
    assert "p50 12 ms · p99 18.1 s" in words(report)
    assert re.search(r"^counter 3 with a long name +1,000$", words(report), re.MULTILINE)
    assert "🔴 feed" in words(await admin.taps(button(report, "↻")), "edited")


async def test_admins_page_through_users(
    app: AnyApplication, admin: Person, conversation: RecordedConversation
) -> None:
    for user_id in range(1_000, 1_025):
        await Person(app, conversation, user_id).writes("/start")
    page = await admin.writes("/users")
    assert "Users: 25" in words(page)
    assert "1000" in words(page)
    page = await admin.taps(button(page, "Next"))
    page = await admin.taps(button(page, "Next"))
    assert "1024" in words(page, "edited")
    assert "1024" in words(await admin.taps(ShowUsers(10**9).pack()), "edited")
