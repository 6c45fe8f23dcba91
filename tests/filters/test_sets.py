"""Filter sets by tapping and typing, and the document and the matcher say the same."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calls.events import Call, Channel, ChannelRecord, Token
from domain.filters.registry import FIELDS, Choice, FilterField, Range, Words
from domain.matching.matcher import Matcher
from handlers.conversation.base import Services
from handlers.filters.buttons import ClearField, ShowChannels, ShowField, ShowGroup, channel_tag
from handlers.filters.set_menus import GROUPS
from services.subscribers.set_changes import MAX_NAME_UTF16
from tests.conversation.conftest import NOW, PRESETS, TRIAL, Clock, KnownChannels
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import USER_ID, Person
from tests.texts.hostile import HOSTILE, hostile_text
from texts.markup import utf16_length

NONSENSE = ("-1", "abc", "NaN", "Infinity", "", "1e999", "<b>@x", "9" * 400, "\u202e", "2 - 1", ",,,", "-", "\x00")


def call(n: int, **token: object) -> Call:
    return Call(
        id=f"call-{n}",
        token=Token(address=f"token-{n}", **token),  # pyright: ignore[reportArgumentType] - figures of the test
        channel=Channel(id="@a"),
        called_at=NOW,
        received_at=NOW,
    )


def accepted(matcher: Matcher, tested: Call) -> list[tuple[int, int]]:
    return list(matcher.decide(tested, NOW).accepted)


@pytest.fixture
async def started(ann: Person) -> Person:
    """Ann with one empty filter, number 1."""
    await ann.writes("/start")
    await ann.taps("addset")
    return ann


async def test_two_named_filters_by_tapping_and_typing(ann: Person, services: Services, matcher: Matcher) -> None:
    await ann.writes("/start")
    menu = await ann.writes("/settings")
    assert "no filter yet" in words(menu)
    menu = await ann.taps(button(menu, "➕"))
    menu = await ann.taps(button(menu, "Empty filter"))
    assert "Filter 1 is off" in words(menu, "edited")
    question = await ann.taps(button(menu, "🏷 Rename"))
    assert "What should Filter 1 be called" in words(question, "edited")
    menu = await ann.writes("Moon <b>@shots</b>")
    group = await ann.taps(button(menu, "▸ Size"))
    prompt = await ann.taps(button(group, "Market cap: any"))
    assert "for example 20k - 2M" in words(prompt, "edited")
    saved = await ann.writes("20k - 2M")
    assert "Market cap: $20k – $2M" in words(saved)
    menu = await ann.taps(button(saved, "‹ Back"))
    assert "is on" in words(menu, "edited")
    menu = await ann.taps(button(menu, "‹ Back"))
    menu = await ann.taps(button(menu, "➕"))
    menu = await ann.taps(button(menu, "Everything"))

    first, second = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert (first.name, first.rules) == ("Moon <b>@shots</b>", {"market_cap_usd": Range(20_000.0, 2_000_000.0)})
    assert (second.number, second.follows, second.rules) == (2, "everything", {})
    listed = words(await ann.writes("/settings"))
    assert "Moon" in listed
    assert "Everything" in listed
    assert accepted(matcher, call(1, market_cap_usd=30_000.0)) == [(USER_ID, 1)]
    assert accepted(matcher, call(2, market_cap_usd=10_000.0)) == [(USER_ID, 2)]
    await ann.taps("enable:2:0")
    assert accepted(matcher, call(3, market_cap_usd=10_000.0)) == []


async def test_a_refused_rule_changes_nothing_and_keeps_asking(started: Person, services: Services) -> None:
    await started.taps("field:1:market_cap_usd")
    refused = await started.writes("20k until <b>the moon</b>")
    assert "Market cap stays at any" in words(refused)
    assert "Market cap: ≥ $20k" in words(await started.writes("20k -"))
    assert await services.conversation.inputs.take(USER_ID) is None
    assert "wasn't waiting" in words(await started.writes("30k"))
    prompt = await started.taps("field:1:market_cap_usd")
    cleared = await started.taps(button(prompt, "any"))
    assert "Market cap: any" in words(cleared, "edited")
    (only_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert only_set.rules == {}
    assert only_set.enabled


@pytest.mark.parametrize("field", FIELDS, ids=[field.key for field in FIELDS])
async def test_every_field_takes_its_example_and_no_nonsense(
    started: Person, services: Services, channels: KnownChannels, field: FilterField
) -> None:
    channels.channels = [Channel(id="@alpha_calls")]
    group = await started.taps(ShowGroup(1, field.group).pack())
    shown = await started.taps(
        next(data for data in only(group, "edited").buttons.values() if data == f"field:1:{field.key}") or ""
    )
    assert field.unit == "flag" or field.example in words(shown, "edited")
    for typed in NONSENSE:
        before = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
        answer = words(await started.writes(typed))
        after = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
        if "stays at" in answer or typed == "":
            assert after == before
        else:
            await started.taps(ClearField(1, field.key).pack())
            await started.taps(ShowField(1, field.key).pack())
    saved = words(await started.writes(field.example))
    assert "✅" in saved
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert set(filter_set.rules) == {field.key}
    assert "if unknown" not in words(await started.taps("set:1"), "edited")


async def test_a_missing_value_is_chosen_per_rule_and_stays(started: Person, services: Services) -> None:
    assert "not set any more" in alert(await started.taps("missing:1:holders:pass:0"))
    await started.taps("field:1:holders")
    await started.writes("150 -")
    shown = await started.taps("field:1:holders")
    assert "If this figure is not known yet: no alert" in words(shown, "edited")
    shown = await started.taps(button(shown, "wait 15 min"))
    assert "✓ wait 15 min" in only(shown, "edited").buttons
    assert "If this figure is not known yet: wait 15 min" in words(await started.writes("<b>the moon</b>"))
    await started.writes("200 -")
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"holders": Range(200.0, None, missing="wait", wait_minutes=15)}
    assert "• Holders: ≥ 200 (if unknown: wait 15 min)" in words(await started.taps("set:1"), "edited")
    for forged in ("missing:1:holders:wait:61", "missing:1:holders:never:0", "missing:1:holders:fail:5"):
        assert "out of date" in alert(await started.taps(forged))
    await started.taps("missing:1:holders:pass:0")
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"holders": Range(200.0, None, missing="pass")}
    assert "Holders ≥ 200 (or unknown)" in words(await started.writes("/settings"))


async def test_rules_groups_and_actions_look_different_and_a_rule_stands_once(started: Person) -> None:
    await started.taps("field:1:holders")
    await started.writes("150 -")
    await started.taps("flag:1:mint_revoked:1")
    menu = only(await started.taps("set:1"), "edited")
    assert words([menu], "edited").count("≥ 150") == 1
    rules, groups = list(menu.buttons)[:2], list(menu.buttons)[2 : 2 + len(GROUPS)]
    assert rules == ["✎ Holders", "✎ Mint revoked"]
    assert all(label.startswith("▸ ") for label in groups)
    assert not any(label[0].isalnum() or label[0] in "✎▸" for label in list(menu.buttons)[2 + len(GROUPS) :])
    assert not any("≥ 150" in label for label in menu.buttons)
    opened = only(await started.taps(menu.buttons["✎ Mint revoked"] or ""), "edited")
    assert list(opened.buttons)[:3] == ["✓ yes", "no", "any"]


async def test_flags_are_tapped(started: Person, services: Services) -> None:
    shown = await started.taps("field:1:mint_revoked")
    shown = await started.taps(button(shown, "yes"))
    assert "✓ yes" in only(shown, "edited").buttons
    shown = await started.taps(button(shown, "no"))
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"mint_revoked": Range(None, 0.0)}
    await started.taps(button(shown, "any"))
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {}
    assert "out of date" in alert(await started.taps("flag:1:holders:1"))


async def test_lists_and_words_are_typed(started: Person, services: Services) -> None:
    await started.taps("field:1:launchpad")
    await started.writes("Pump.fun, -bonk")
    await started.taps("field:1:name_words")
    await started.writes('cat, "white dog", -inu')
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {
        "launchpad": Choice(frozenset({"pump.fun"}), frozenset({"bonk"})),
        "name_words": Words(("cat", "white dog"), ("inu",)),
    }


async def test_a_word_that_may_be_meant_to_be_excluded_is_asked_about(started: Person, services: Services) -> None:
    async def rule() -> object:
        (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
        return filter_set.rules.get("name_words")

    for typed in ("no inu", "cat, Not inu", "without inu"):
        await started.taps("field:1:name_words")
        await started.taps("any:1:name_words")
        await started.taps("field:1:name_words")
        said = await started.writes(typed)
        assert "a word that you do not want" in words(said, "sent")
        assert await rule() is None, "nothing silent"
        without = next(data for label, data in said[-1].buttons.items() if "without “inu”" in label)
        await started.taps(without or "")
        assert await rule() == Words(("cat",) if "cat" in typed else (), ("inu",))
    await started.taps("field:1:name_words")
    said = await started.writes("no inu")
    as_words = next(data for label, data in said[-1].buttons.items() if "“no inu”" in label)
    await started.taps(as_words or "")
    assert await rule() == Words(("no inu",))
    await started.taps("field:1:name_words")
    await started.writes('"no inu", nothing')
    assert await rule() == Words(("no inu", "nothing"))


async def test_channels_are_chosen_and_muted_page_by_page(
    started: Person, services: Services, channels: KnownChannels
) -> None:
    records = [ChannelRecord(calls=10, win_rate_percent=40.0 + n, average_multiple=3.1) for n in range(20)]
    channels.channels = [Channel(id=f"@{n}", title=f"Ch {n}", record=record) for n, record in enumerate(records)]
    channels.channels[1] = Channel(id="x" * 300)
    page = await started.taps(button(await started.taps("field:1:channel"), "Pick from the list"))
    assert "all channels" in words(page, "edited")
    assert next(iter(only(page, "edited").buttons)) == "Ch 19 · 59% · 3.1x"
    page = await started.taps(button(page, "Next"))
    before = [label.removeprefix("✅ ") for label in only(page, "edited").buttons]
    page = await started.taps(button(page, "Ch 9 "))
    assert [label.removeprefix("✅ ") for label in only(page, "edited").buttons][: len(before) - 1] == before[:-1]
    page = await started.taps(button(page, "Next"))
    page = await started.taps(button(page, "x" * 20))
    assert f"2 of the channels: Ch 9, {'x' * 31}…" in words(page, "edited")
    page = await started.taps(button(page, "✅ xxx"))
    assert f"Muted: 1: {'x' * 31}…" in words(page, "edited")
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"channel": Choice(frozenset({"@9"}), frozenset({"x" * 300}))}

    channels.channels = []
    page = await started.taps(ShowChannels(1, 99).pack())
    page = await started.taps(button(page, "🔇 xxx"))
    page = await started.taps(button(page, "✅ @\u20609"))
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert filter_set.rules == {"channel": Choice(frozenset(), frozenset({"@9"}))}
    assert toast(await started.taps(button(page, "Forget"))) == "Listening to all channels"
    assert "No channel has called" in words(await started.taps(ShowChannels(1, 0).pack()), "edited")
    assert "no longer on the list" in alert(await started.taps("channel:1:0:feedfeedfeedfeed:in"))


async def test_a_hundred_channels_are_the_most(started: Person, services: Services, channels: KnownChannels) -> None:
    channels.channels = [Channel(id=f"@{n}", title="T" * 40 + str(n)) for n in range(101)]
    await services.subscribers.sets.set_rule(USER_ID, 1, "channel", Choice(frozenset(f"@{n}" for n in range(100))))
    tag = channel_tag("@100")
    assert "up to 100" in alert(await started.taps(f"channel:1:0:{tag}:in"))
    assert "100 of the channels" in words(await started.taps("channels:1:0"), "edited")
    shown = words(await started.taps("set:1"), "edited")
    assert re.search(r"• Channels: @\u20600, @\u20601, .* \+\d\d\n", shown)


async def test_words_of_a_rule_are_shown_as_far_as_there_is_room(started: Person, services: Services) -> None:
    async def rule_of(included: tuple[str, ...], excluded: tuple[str, ...]) -> str:
        await services.subscribers.sets.set_rule(USER_ID, 1, "name_words", Words(included, excluded))
        shown = words(await started.taps("set:1"), "edited")
        return next(line for line in shown.splitlines() if line.startswith("• Name or symbol"))

    few = await rule_of(("cat", "dog", "frog"), ("rug",))
    assert few == "• Name or symbol: “cat”, “dog”, “frog”, without “rug”"
    many = await rule_of(tuple(f"wanted{n}" for n in range(30)), tuple(f"bad{n}" for n in range(30)))
    assert many == "• Name or symbol: “wanted0”, “wanted1” +28, without “bad0”, “bad1”, “bad2”, “bad3” +26"


async def test_the_plan_limits_the_filters(ann: Person, services: Services, clock: Clock) -> None:
    await ann.writes("/start")
    for number in range(1, TRIAL.filter_sets + 1):
        await ann.taps("addset")
        await services.subscribers.sets.rename_set(USER_ID, number, f"Mine {number}")
    ways = ("addset", f"preset:{PRESETS[0].key}", "duplicate:1")
    for way in ways:
        assert f"your plan includes: {TRIAL.filter_sets}" in alert(await ann.taps(way))
    await ann.taps("delete:1")
    assert (toast(await ann.taps("deleteyes:1")) or "").endswith("is deleted")
    assert "does not exist any more" in alert(await ann.taps("deleteyes:1"))
    last = TRIAL.filter_sets
    await ann.taps(f"duplicate:{last}")
    assert [s.number for s in (await services.subscribers.subscribers.require(USER_ID)).filter_sets] == [
        *range(2, last + 2)
    ]
    clock.now += timedelta(days=400)
    assert "your plan includes" in alert(await ann.taps("addset"))


async def test_a_double_tap_makes_one_filter(ann: Person, services: Services) -> None:
    await ann.writes("/start")
    ways = {"addset": 1, f"preset:{PRESETS[0].key}": 2, "duplicate:2": 3, "duplicate:1": 4}
    for way, expected in ways.items():
        if expected > TRIAL.filter_sets:
            break
        first, second = words(await ann.taps(way), "edited"), words(await ann.taps(way), "edited")
        assert first.partition("\n")[2] == second.partition("\n")[2], "it opens the one that is there"
        assert len((await services.subscribers.subscribers.require(USER_ID)).filter_sets) == expected
    await services.subscribers.sets.set_rule(USER_ID, 1, "holders", Range(minimum=5.0))
    assert "Filter 1 is on" in words(await ann.taps("set:1"), "edited")


async def test_the_first_rule_turns_a_filter_on_and_says_so(ann: Person) -> None:
    await ann.writes("/start")
    await ann.taps("addset")
    await ann.taps("field:1:market_cap_usd")
    told = words(await ann.writes("50k"))
    assert "✅ Market cap: ≥ $50k" in told
    assert "🟢 Filter 1 is now on." in told
    await ann.taps("field:1:market_cap_usd")
    assert "is now on" not in words(await ann.writes("60k")), "it was on before"
    await ann.taps("field:1:holders")
    told = words(await ann.writes("100"))
    assert "is now on" not in told
    assert "Holders, if this figure is not known yet: let it pass" in words(
        await ann.taps("missing:1:holders:pass:0"), "edited"
    )


async def test_without_rules_a_filter_that_is_on_says_that_every_call_passes(ann: Person) -> None:
    await ann.writes("/start")
    assert "No rule yet" in words(await ann.taps("addset"), "edited")
    await ann.taps("enable:1:1")
    assert "No rules: every call passes." in words(await ann.taps("set:1"), "edited")
    listed = words(await ann.writes("/settings"))
    assert "No rules: every call passes." in listed


async def test_help_tells_how_to_begin_and_how_to_type(ann: Person) -> None:
    await ann.writes("/start")
    told = words(await ann.writes("/help"))
    parts = ["To begin", "To type values", "On an alert", "What I can do"]
    assert sorted(parts, key=told.index) == parts
    assert "“edited”" in told, "a mark that Telegram sets is explained where people look"


async def test_duplicate_and_delete(started: Person, services: Services) -> None:
    await started.taps(f"usepreset:1:{PRESETS[0].key}")
    copied = await started.taps("duplicate:1")
    assert "Early gems (copy) is on" in words(copied, "edited")
    original, copy = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert (copy.rules, copy.follows, copy.number) == (original.rules, None, 2)
    asked = await started.taps(button(copied, "🗑 Delete"))
    assert len((await services.subscribers.subscribers.require(USER_ID)).filter_sets) == 2
    await started.taps(button(asked, "Yes, delete"))
    assert [s.number for s in (await services.subscribers.subscribers.require(USER_ID)).filter_sets] == [1]


async def test_a_double_tap_copies_once_wherever_the_second_tap_lands(started: Person, services: Services) -> None:
    await started.taps(f"usepreset:1:{PRESETS[0].key}")
    await started.taps("duplicate:1")
    again = await started.taps("duplicate:1")
    assert "The copy is there already" in (toast(again) or "")
    assert "The copy is there already" in (toast(await started.taps("duplicate:2")) or "")
    assert await names(services) == ["early_gems", "Early gems (copy)"]

    await started.taps("field:2:holders")
    await started.writes("77")
    await started.taps("duplicate:2")
    assert (await names(services))[2:] == ["Early gems (copy 2)"], "a copy that was changed can be copied"
    await started.taps("duplicate:1")
    assert (await names(services))[3:] == ["Early gems (copy 3)"]


async def test_the_name_of_a_copy_is_cut_before_what_tells_it_apart(started: Person, services: Services) -> None:
    await started.taps("rename:1")
    await started.writes("My hunters 🎯 of the early day")
    for number in (1, 2):
        await started.taps(f"field:{number}:holders")
        await started.writes(f"{number}00")
        await started.taps(f"duplicate:{number}")
    copies = (await names(services))[1:]
    assert [one.partition("… ")[2] for one in copies] == ["(copy)", "(copy 2)"]
    assert len({one.partition("…")[0] for one in copies}) == 1
    assert all(utf16_length(one) <= MAX_NAME_UTF16 for one in copies)


async def test_duplicating_at_the_limit_always_says_so(started: Person, services: Services) -> None:
    number = 0
    while len(await names(services)) > number:
        number = len(await names(services))
        await started.taps(f"field:{number}:holders")
        await started.writes(f"{number}00")
        await started.taps(f"duplicate:{number}")
    for one in range(1, number + 1):
        said = await started.taps(f"duplicate:{one}")
        assert f"Filters that your plan includes: {number}" in alert(said)


async def names(services: Services) -> list[str]:
    return [one.name for one in (await services.subscribers.subscribers.require(USER_ID)).filter_sets]


@pytest.mark.parametrize("typed", ["\u200b\u202e", "\u3164", "x" * (MAX_NAME_UTF16 + 1), "😀" * 17])
async def test_no_name_keeps_asking(started: Person, services: Services, typed: str) -> None:
    await started.taps("rename:1")
    assert "Nothing has changed" in words(await started.writes(typed))
    assert "Renamed to Fine" in words(await started.writes("Fine"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed=hostile_text, where=st.sampled_from(["rename:1", *(f"field:1:{field.key}" for field in FIELDS)]))
async def test_no_text_breaks_a_question(started: Person, services: Services, typed: str, where: str) -> None:
    await started.taps(where)
    said = await started.writes(typed)
    assert "wrong on my side" not in words(said)
    for data in ("settings", "set:1", "delete:1"):
        await started.taps(data)
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    assert utf16_length(filter_set.name) <= MAX_NAME_UTF16


@pytest.mark.parametrize("typed", HOSTILE)
async def test_a_hostile_name_is_shown_harmless(started: Person, typed: str) -> None:
    await started.taps("rename:1")
    only(await started.writes(typed), "sent")
    for data in ("set:1", "settings", "delete:1", "share:1", "duplicate:1", *(f"group:1:{g}" for g in GROUPS)):
        only(await started.taps(data), "edited")
    only(await started.writes("/status"), "sent")


async def test_back_and_cancel_withdraw_the_question(started: Person, services: Services) -> None:
    prompt = await started.taps("field:1:holders")
    assert await services.conversation.inputs.take(USER_ID)
    assert "Safety in Filter 1" in words(await started.taps(button(prompt, "‹ Back")), "edited")
    assert await services.conversation.inputs.take(USER_ID) is None
    await started.taps("field:1:holders")
    assert "cancelled" in words(await started.writes("/cancel"))
    assert await services.conversation.inputs.take(USER_ID) is None
