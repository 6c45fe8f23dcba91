"""Filters as links from one person to another, and back to an earlier form of one's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.filters.registry import Range
from handlers.conversation.base import Services
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.stores import keys
from services.stores.journal import Journal
from services.subscribers.sharing import SharingService
from tests.conversation.conftest import BEN_ID, BOT_USERNAME, PRESETS, TRIAL
from tests.conversation.reading import alert, button, only, words
from tests.conversation.telegram_wire import USER_ID, Person
from tests.texts.hostile import HOSTILE, hostile_text

LINK = re.compile(rf"https://t\.me/{BOT_USERNAME}\?start=(f_[A-Za-z0-9_-]+)")


async def test_a_pasted_link_does_what_tapping_it_does(ann: Person, ben: Person) -> None:
    await filter_named(ann, "Moon shots")
    link = LINK.search(only(await ann.taps("share:1"), "edited").text or "")
    assert link
    await ben.writes("/start")
    by_tap = words(await ben.writes(f"/start {link[1]}"))
    assert "Moon shots" in by_tap
    for pasted in (link[0], f"look at this: {link[0].replace(BOT_USERNAME, BOT_USERNAME.upper())}"):
        assert words(await ben.writes(pasted)) == by_tap
    assert "some_bot, not me." in words(await ben.writes("https://t.me/some_bot?start=f_abc"))


async def filter_named(person: Person, name: str, typed: str = "20k - 2M") -> None:
    """Make filter 1 with a name and one rule."""
    await person.writes("/start")
    await person.taps("addset")
    await person.taps("rename:1")
    await person.writes(name)
    await person.taps("field:1:market_cap_usd")
    await person.writes(typed)


async def link_of(person: Person, number: int = 1) -> str:
    """Share a filter; returns the payload of the link."""
    shared = await person.taps(f"share:{number}")
    found = LINK.search(words(shared, "edited"))
    assert found
    message = only(shared, "edited").message
    assert message
    assert any(b.copy == found[0] for row in message.keyboard for b in row)
    assert len(found[1]) <= 64
    return found[1]


async def test_a_filter_goes_by_link_to_somebody_else(ann: Person, ben: Person, services: Services) -> None:
    await filter_named(ann, "Moon @shots")
    payload = await link_of(ann)
    await ann.taps("any:1:market_cap_usd")

    preview = await ben.writes(f"/start {payload}")
    assert "Hi Ann" in words(preview)  # both have the same name here
    assert "A filter shared by Ann <b> on 20 Nov 2026" in words(preview)
    assert "• Market cap: $20k – $2M" in words(preview)
    assert "your link" not in words(preview)
    assert "This is what others see who open your link." in words(await ann.writes(f"/start {payload}"))
    copied = await ben.taps(button(preview, "Copy to my filters"))
    assert "It was made by Ann" in words(copied, "edited")
    (copy,) = (await services.subscribers.subscribers.require(BEN_ID)).filter_sets
    assert (copy.number, copy.name, copy.user_id, copy.enabled) == (1, "Moon @shots", BEN_ID, True)
    assert copy.rules == {"market_cap_usd": Range(20_000.0, 2_000_000.0)}
    again = words(await ben.taps(button(preview, "Copy to my filters")), "edited")
    assert "✅ You have it already, with the same rules and name: nothing more was added." in again
    assert len((await services.subscribers.subscribers.require(BEN_ID)).filter_sets) == 1
    (own,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert own.rules == {}


async def test_a_copy_needs_room_in_the_plan(ann: Person, ben: Person, services: Services) -> None:
    await filter_named(ann, "Moon")
    payload = await link_of(ann)
    await ben.writes("/start")
    for number in range(1, TRIAL.filter_sets + 1):
        await ben.taps("addset")
        await services.subscribers.sets.rename_set(BEN_ID, number, f"Mine {number}")
    preview = await ben.writes(f"/start {payload}")
    assert f"your plan includes: {TRIAL.filter_sets}" in alert(await ben.taps(button(preview, "Copy")))


async def test_the_same_filter_has_one_link_and_another_has_another(ann: Person, services: Services) -> None:
    await filter_named(ann, "Moon")
    first = await link_of(ann)
    assert await link_of(ann) == first
    await ann.taps("rename:1")
    await ann.writes("Sun")
    second = await link_of(ann)
    assert second != first
    assert (await services.subscribers.sharing.open(first.removeprefix("f_"))).name == "Moon"


async def test_links_outlive_an_emptied_redis(
    ann: Person, ben: Person, journal: Journal, redis_manager: RedisManager
) -> None:
    await filter_named(ann, "Moon \x00")
    payload = await link_of(ann)
    await journal.drain_all()
    assert journal.rejected == 0
    await redis_manager.transaction([("FLUSHALL",)])
    assert "• Market cap: $20k" in words(await ben.writes(f"/start {payload}"))
    assert await redis_manager.exists(keys.SHARED_SET.of(payload.removeprefix("f_"))) == 1


async def test_a_preset_is_shared_by_its_name(ann: Person, ben: Person, services: Services) -> None:
    await ann.writes("/start")
    await ann.taps(f"preset:{PRESETS[0].key}")
    preview = await ben.writes(f"/start {await link_of(ann)}")
    assert "Early gems" in words(preview)
    await ben.taps(button(preview, "Copy"))
    (copy,) = (await services.subscribers.subscribers.require(BEN_ID)).filter_sets
    assert copy.follows is None
    assert copy.rules == PRESETS[0].rules


@pytest.mark.parametrize(
    "payload", ["f_", "f_x", "f_" + "x" * 16, "f_" + "x" * 62, "f_../../subscriber", "f_\u0661" * 8]
)
async def test_an_unknown_link_gets_one_sentence(ann: Person, payload: str) -> None:
    first, greeting = await ann.writes(f"/start {payload}")
    assert "leads to no filter" in (first.text or "")
    assert "Hi Ann" in (greeting.text or "")
    assert "leads to no filter" in words(await ann.writes(f"/start {payload}"))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(hostile_text, st.from_regex(r"f_[A-Za-z0-9_-]{0,62}", fullmatch=True)))
async def test_no_payload_breaks_the_start(ann: Person, payload: str) -> None:
    said = await ann.writes(f"/start {payload}")
    assert said
    assert not any("wrong on my side" in (one.text or "") for one in said)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=40))
async def test_no_code_opens_anything(services: Services, code: str) -> None:
    with pytest.raises(UserFacingError, match=r"share\.unknown"):
        await services.subscribers.sharing.open(code)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_creator_is_shown_harmless(ann: Person, ben: Person, journal: Journal, name: str) -> None:
    ann.user |= {"first_name": name}
    await filter_named(ann, name)
    payload = await link_of(ann)
    only(await ben.writes(f"/start {payload}"), "sent")
    only(await ben.taps(f"copy:{payload.removeprefix('f_')}"), "edited")
    await journal.drain_all()
    assert journal.rejected == 0


async def test_codes_cannot_be_counted_up(
    ann: Person, services: Services, redis_manager: RedisManager, postgres_manager: PostgresManager, journal: Journal
) -> None:
    await filter_named(ann, "Moon")
    sharing = SharingService(
        redis=redis_manager, postgres=postgres_manager, journal=journal, clock=services.conversation.clock
    )
    subscriber = await services.subscribers.subscribers.require(USER_ID)
    (filter_set,) = subscriber.filter_sets
    first = await sharing.share(subscriber, filter_set)
    await redis_manager.delete(keys.SHARED_BY.of(USER_ID))
    second = await sharing.share(subscriber, filter_set)
    assert len(first.code) == len(second.code) == 16
    assert first.code != second.code


async def test_earlier_forms_are_listed_and_restored(ann: Person, services: Services, journal: Journal) -> None:
    await filter_named(ann, "Moon", "10k -")
    await ann.taps("field:1:market_cap_usd")
    await ann.writes("20k -")
    await ann.taps("enable:1:0")  # no new form
    await ann.taps("field:1:holders")
    await ann.writes("150 -")
    await journal.drain_all()

    listed = await ann.taps("versions:1:0")
    rules = [version.filter_set.rules for version in await services.subscribers.sets.versions(USER_ID, 1)]
    assert rules == [{"market_cap_usd": Range(20_000.0)}, {"market_cap_usd": Range(10_000.0)}, {}, {}]
    first, second, *_ = [
        data for data in only(listed, "edited").buttons.values() if data and data.startswith("version:")
    ]
    assert first
    assert "Times: UTC" in words(listed, "edited")
    labels = [text for text, data in only(listed, "edited").buttons.items() if data and data.startswith("version:")]
    assert not any("UTC" in label for label in labels)
    assert [label.partition(" · ")[2] for label in labels] == [
        "no rule for Holders",
        "Market cap ≥ $10k",
        "no rule for Market cap",
        "named “Filter 1”",
    ], "each says what was different from the version after it"
    assert all(label.startswith("from ") for label in labels)
    assert "what in it was different from the version after it" in words(listed, "edited")
    shown = await ann.taps(second)
    assert "• Market cap: ≥ $10k" in words(shown, "edited")
    assert "Restoring brings back these rules and the name Moon" in words(shown, "edited")
    restored = await ann.taps(button(shown, "Restore"))
    assert "Restored" in words(restored, "edited")
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"market_cap_usd": Range(10_000.0)}
    assert not filter_set.enabled
    await journal.drain_all()
    (latest, *_) = await services.subscribers.sets.versions(USER_ID, 1)
    assert set(latest.filter_set.rules) == {"market_cap_usd", "holders"}


async def test_a_deleted_filter_is_no_earlier_form_of_the_next_one(
    ann: Person, services: Services, journal: Journal
) -> None:
    await filter_named(ann, "Moon")
    await ann.taps("deleteyes:1")
    await ann.taps("addset")
    await journal.drain_all()
    assert await services.subscribers.sets.versions(USER_ID, 1) == []
    assert "None yet" in words(await ann.taps("versions:1:0"), "edited")


async def test_versions_of_others_and_of_nothing_are_out_of_reach(
    ann: Person, ben: Person, services: Services, journal: Journal
) -> None:
    await filter_named(ann, "Moon")
    await ben.writes("/start")
    await ben.taps("addset")
    await journal.drain_all()
    revision = (await services.subscribers.sets.versions(USER_ID, 1))[0].revision
    for forged in (f"version:1:{revision}", f"restore:1:{revision}", f"restore:1:{10**30}", f"restore:{10**30}:1"):
        assert alert(await ben.taps(forged))
    (own,) = (await services.subscribers.subscribers.require(BEN_ID)).filter_sets
    assert (own.name, own.rules) == ("", {})
