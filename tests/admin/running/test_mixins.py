"""Sources, caches, channels, reports, earlier forms of presets, dead letters, payments: each mixin's main job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Range
from domain.stored.outgoing import Envelope
from handlers.admin.running.sources import line_of
from handlers.conversation.menus import View
from managers.storage.cache import SmartCache
from runtime.errors import UserFacingError
from services.reports.sending import ReportSending
from services.running.caches import Caches
from services.running.controls import Controls
from services.running.orders import Orders
from services.running.processes import Processes, SourceState
from services.running.sources import Sources
from services.schedule.due_times import DueTimes, Place
from services.stores import keys
from services.subscribers.group import SubscriberServices
from tests.admin.people.house import OWNER, VICTIM, House, house_on
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import Person
from tests.reports.kit import Shelf
from tests.tracking.test_records_dialogue import OUTCOME
from tests.wiring import add_entry
from texts import Texts

NOW = datetime.now(UTC)


async def add_channel(house: House, channel_id: str, title: str, *calls: datetime, cursor: int = 7) -> None:
    channel = Channel(id=channel_id, title=title)
    await house.postgres.execute(
        "INSERT INTO channels (channel_id, title, document, updated_at) VALUES ($1, $2, $3::jsonb, $4)",
        channel_id,
        title,
        msgspec.json.encode(channel).decode(),
        NOW,
    )
    for number, at in enumerate(calls):
        call = Call(
            id=f"{channel_id}{number}",
            token=Token(address=f"T{number}", symbol="CAT"),
            channel=channel,
            called_at=at,
            received_at=at,
            cursor=cursor + number,
        )
        await house.postgres.execute(
            "INSERT INTO calls (call_id, token_address, channel_id, called_at, received_at, document, decided_at,"
            " reason, checked_channels) VALUES ($1, $2, $3, $4, $4, $5::jsonb, $4, 'accepted', '{}')",
            call.id,
            call.token.address,
            channel_id,
            at,
            msgspec.json.encode(call).decode(),
        )


async def test_a_call_that_was_opened_from_its_channel_leads_back_to_it(house: House, owner: Person) -> None:
    await add_channel(house, "@loud", "Loud", NOW - timedelta(hours=1))
    await house.postgres.execute(OUTCOME, "past1", 10_001, "T0", "@loud", NOW, "CAT", 2.0, NOW)
    card = await owner.taps(button(await owner.writes("/channels"), "Loud"))
    call = await owner.taps(button(card, "✓ CAT"))
    assert "It counts with 2x" in words(call, "edited")
    back = await owner.taps(button(call, "‹ Back"))
    assert words(back, "edited") == words(card, "edited")
    assert "I wasn't waiting" in words(await owner.writes("T0"))


async def test_a_channel_is_found_blocked_and_featured_whatever_it_is_called(house: House, owner: Person) -> None:
    now = datetime.now(UTC)  # the process of the tests may be old
    await add_channel(house, "@loud", "<b>Loud</b>", now - timedelta(hours=1), now - timedelta(days=2))
    await add_channel(house, "@%_", "Quiet" * 40)
    said = await owner.writes("/channels")
    assert "Channels: 2, the latest first" in words(said)
    assert "last call 1h ago · 1.0 calls a day" in words(said)
    await owner.taps(button(said, "🔎 Find"))
    assert "No channel is called “zzz”" in words(await owner.writes("zzz"))
    found = await owner.writes("%_")
    assert "@%_" in words(found)
    card = await owner.taps(button(await owner.taps("adchannels:latest:0"), "<b>Loud"))
    controls = house.made.of(Controls)
    assert toast(await owner.taps(button(card, "⭐ Feature"))) == "Done. Every process obeys within seconds."
    assert controls.of("featured") == {"@loud"}
    asked = await owner.taps(button(card, "⛔ Block"))
    blocked = await owner.taps(button(asked, "Yes, block"))
    assert "its calls reach nobody" in words(blocked, "edited")
    assert controls.stands("blocked", "@loud")
    listed = await owner.taps(button(await owner.writes("/channels"), "⛔ Blocked"))
    assert "Blocked channels: 1" in words(listed, "edited")
    deeds = [(one.action, one.details.partition("; ")[2]) for one in await house.deeds()]
    assert deeds == [("feature channel", "@loud"), ("block channel", "@loud")]
    await owner.taps(button(blocked, "✅ Unblock"))
    assert controls.of("blocked") == frozenset()


async def test_a_blocked_channel_is_offered_to_nobody_and_a_featured_one_first(
    house: House, owner: Person, victim: Person
) -> None:
    for name in ("a", "b", "c"):
        await add_channel(house, f"@{name}", f"Channel {name}", NOW - timedelta(hours=1))
    await house.made.bot.services.calls.channels.restore()
    controls = house.made.of(Controls)
    await controls.put("blocked", "@a", "", OWNER)
    await controls.put("featured", "@c", "", OWNER)
    shown = only(await victim.taps("channels:1:0"), "edited")
    titles = [label for label in shown.buttons if "Channel" in label]
    assert ["Channel c" in titles[0], "Channel b" in titles[1], len(titles)] == [True, True, 2]


async def test_a_source_is_paused_resumed_and_its_past_fetched_from_a_time(house: House, owner: Person) -> None:
    controls, sources = house.made.of(Controls), house.made.of(Sources)
    said = await owner.writes("/sources")
    assert "native · no process that I know of asks it" in words(said)
    asked = await owner.taps(button(said, "⏸ native"))
    assert "gone for good" in words(asked, "edited"), "this one has no HTTP side"
    assert "obeys within seconds" in (toast(await owner.taps(button(asked, "Yes, pause it"))) or "")
    assert controls.feed_rests
    paused = await owner.writes("/sources")
    assert toast(await owner.taps(button(paused, "▶ native"))) == "Ended."
    assert not controls.feed_rests
    assert "no past" in alert(await owner.taps("askreplay"))
    assert "out of date" in alert(await owner.taps("asksource:nobody"))
    sources.replays = True
    await add_channel(house, "@loud", "Loud", NOW - timedelta(hours=2), NOW - timedelta(hours=1), cursor=70)
    await owner.taps(button(await owner.writes("/sources"), "⏪ Fetch again"))
    assert "Send a cursor, or a time" in words(await owner.writes("yesterday"))
    assert "within the last 7 days" in words(await owner.writes("2020-01-01 10:00"))
    moment = f"{NOW - timedelta(minutes=90):%Y-%m-%d %H:%M}"
    assert f"everything after {moment} (cursor 70) once more" in words(await owner.writes(moment))


async def test_what_is_left_of_a_limit_is_told_not_what_may_go_at_once() -> None:
    view = View(texts=Texts.load(), language="en")
    state = SourceState(name="dexscreener", kind="prices", ok=True, rests=False, used=12, limit=300, period_s=60.0)
    assert "12 of 300 requests in 60 s used, 288 left" in str(line_of(view, "ann", state))
    over = replace(state, used=301)
    assert "301 of 300 requests in 60 s used, 0 left" in str(line_of(view, "ann", over))


@pytest.mark.parametrize("typed", ["", "²", "12:61", "-1", "9" * 30, "2026-13-01 10:00", "\0"])
async def test_no_time_and_no_cursor(house: House, typed: str) -> None:
    sources = house.made.of(Sources)
    sources.replays = True
    with pytest.raises(UserFacingError):
        await sources.cursor_of(typed)


async def test_what_is_cached_is_forgotten_by_key_and_kind_here_and_elsewhere(
    house: House, owner: Person, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    async with house_on(redis_url, postgres_dsn, tmp_path / "other", "bob") as elsewhere:
        orders, caches = elsewhere.made.of(Orders), elsewhere.made.of(Caches)
        await orders.follow()
        for one in (house, elsewhere):
            for name, key in (("channels", "@loud"), ("channels", "@quiet"), ("permissions", (-5, VICTIM))):
                cache_of(one, name).put(key, None)
        await house.redis.set(keys.CHANNEL_INFO.of("@loud"), "{}")
        await house.redis.set(keys.CHANNEL_INFO.of("@quiet"), "{}")
        documents = await house.redis.get(keys.SUBSCRIBER.of(VICTIM))
        await owner.taps(button(await owner.taps(button(await owner.writes("/cache"), "channels")), "Forget one"))
        assert "@loud is forgotten everywhere. Found here: 2" in words(await owner.writes("@loud"))
        await orders.follow()
        assert [len(cache_of(one, "channels")) for one in (house, elsewhere)] == [1, 1]
        asked = await owner.taps("askforget:channels")
        assert toast(await owner.taps(button(asked, "Yes, forget all"))) == "Forgotten: 2"
        await orders.follow()
        assert [len(cache_of(one, "channels")) for one in (house, elsewhere)] == [0, 0]
        await owner.taps("askkey:permissions")
        await owner.writes(f"-5 {VICTIM}")
        await orders.follow()
        assert [one.entries for one in caches.states() if one.name == "permissions"] == [0]
        assert await house.redis.exists(keys.CHANNEL_INFO.of("@quiet")) == 0
        assert await house.redis.get(keys.SUBSCRIBER.of(VICTIM)) == documents
        await elsewhere.made.of(Processes).tell()
    assert "out of date" in alert(await owner.taps("askforget:claims"))


def cache_of(house: House, name: str) -> SmartCache[object, object]:
    return house.made.of(Caches)._caches[name]  # pyright: ignore[reportPrivateUsage] - to fill it


async def test_a_preset_is_what_it_was_again_and_all_its_followers_with_it(
    house: House, owner: Person, victim: Person
) -> None:
    presets = house.made.of(SubscriberServices).presets
    await victim.taps("preset:everything")
    for minimum in (10_000.0, 20_000.0):
        await presets.set_rules("everything", {"market_cap_usd": Range(minimum=minimum)}, OWNER)
    await house.written()
    shown = await owner.taps(button(await owner.taps("adminpreset:everything"), "🕘 History"))
    assert "History of everything: 2 changes" in words(shown, "edited")
    asked = await owner.taps(button(shown, "↩ 1"))
    assert "$10k" in words(asked, "edited")
    assert toast(await owner.taps(button(asked, "Yes, take it back"))) == "Done. Followers reached: 1"
    assert presets.find("everything").rules["market_cap_usd"] == Range(minimum=10_000.0)
    (followed,) = [one for one in (await house.subscriber()).filter_sets if one.follows == "everything"]
    assert followed.rules["market_cap_usd"] == Range(minimum=10_000.0)
    assert "out of date" in alert(await owner.taps("askoldpreset:everything:99"))


async def test_a_preset_that_came_with_the_bot_is_as_it_came_again(house: House, owner: Person) -> None:
    presets = house.made.of(SubscriberServices).presets
    came = presets.find("early_gems")
    await presets.set_rules("early_gems", {"market_cap_usd": Range(minimum=10_000.0)}, OWNER)
    added = await presets.add("Own", {}, OWNER)
    await presets.describe(added.key, "words", OWNER)
    await house.written()
    shown = await owner.taps(button(await owner.taps("adminpreset:early_gems"), "🕘 History"))
    assert "as it came with the bot" in words(shown, "edited")
    asked = await owner.taps(button(shown, "↩ 0"))
    await owner.taps(button(asked, "Yes, take it back"))
    assert presets.find("early_gems") == came
    own = await owner.taps(f"presethistory:{added.key}:0")
    assert "as it came" not in words(own, "edited")
    assert "out of date" in alert(await owner.taps(f"askoldpreset:{added.key}:0"))


async def test_a_dead_letter_is_looked_at_in_full_and_dropped_by_a_second_tap_alone(
    house: House, owner: Person
) -> None:
    letter = Envelope.of("note", Channel(id="<script>"), user_id=VICTIM, subject="s", decided_at=NOW)
    fields = {"alert": msgspec.json.encode(letter), "reason": "<b>gone</b>", "dead_lettered_at": NOW.isoformat()}
    entry = await add_entry(house.redis, keys.DEAD_LETTERS.of(), fields)
    said = await owner.writes("/dead_letters")
    full = await owner.taps(button(said, "🔎 1"))
    assert entry in words(full, "edited")
    asked = await owner.taps(button(full, "Discard"))
    assert "It will never be delivered" in words(asked, "edited")
    assert "out of date" in alert(await owner.taps(f"letterdrop:{entry}:"))
    assert await house.redis.xlen(keys.DEAD_LETTERS.of()) == 1
    assert toast(await owner.taps(button(asked, "Yes, discard"))) == "Discarded."
    assert await house.redis.xlen(keys.DEAD_LETTERS.of()) == 0


async def test_a_report_is_sent_to_one_and_to_many_once_each(house: House, owner: Person) -> None:
    said = await owner.writes("/send_report")
    chosen = await owner.taps(button(said, "Your week"))
    assert "Not sent" in (toast(await owner.taps(button(chosen, "🧪 To me"))) or "")
    await owner.taps(button(chosen, "👤 To one person"))
    asked = await owner.writes(str(VICTIM))
    assert f"({VICTIM})" in words(asked)
    assert "Not sent" in (toast(await owner.taps(button(asked, "Yes, send it"))) or ""), "nothing to tell"
    asked = await owner.taps(button(chosen, "To everybody with a plan"))
    assert "to 6 people" in words(asked, "edited")
    assert toast(await owner.taps(button(asked, "Yes, send it"))) == "On its way to 6 people."
    due = [name async for names in house.redis.scan("due:report_now_weekly*") for name in names]
    assert due


async def test_a_report_comes_once_to_each_whom_it_is_due_for(house: House, owner: Person) -> None:
    await Shelf(house.postgres).some(OWNER, at=NOW - timedelta(hours=3))
    assert toast(await owner.taps("testreport:weekly")) == "On its way."
    sending, due_times = house.made.of(ReportSending), house.made.of(DueTimes)
    assert await sending.to_many("weekly", "everybody") == 6
    (job,) = [one for one in sending.jobs() if one.name == "report_now_weekly"]
    due = await due_times.due([Place(job.name, OWNER % 16)], datetime.now(UTC))
    assert [one.user_id for one in due] == [OWNER]
    before = await waiting(house)
    assert [await job.run(due[0]), await job.run(due[0])] == [1, 0], "however often it is done"
    assert await waiting(house) == before + 1


async def waiting(house: House) -> int:
    return (await house.made.of(Processes).left()).unsent


async def test_the_ledger_is_compared_at_once(house: House, owner: Person) -> None:
    said = await owner.taps(button(await owner.writes("/payments"), "🔄 Compare now"))
    assert toast(said) == "Compared within a minute: stars"


async def test_hosts_and_levels_that_there_are_not(house: House, owner: Person, reader: Person) -> None:
    assert "not shut out any more" in alert(await owner.taps("letin:nowhere.example"))
    for data in ("loglevel:LOUD", "reconnect:moon"):
        assert "out of date" in alert(await owner.taps(data)), data
    assert "yours is read-only" in alert(await reader.taps("reconnect:redis"))


async def test_back_from_a_card_leads_to_the_page_on_which_it_stands(house: House, owner: Person) -> None:
    for number in range(10):
        await add_channel(house, f"@loud{number}", f"Loud {number}", NOW - timedelta(hours=1), cursor=10 * number + 7)
    second = await owner.taps("adchannels:latest:1")
    card = await owner.taps(button(second, "Loud 9"))
    assert button(card, "‹ Back") == "adchannels:latest:1"
