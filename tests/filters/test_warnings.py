"""What a filter that was just chosen does beside the others, and what keeps it silent, is said at once."""

from __future__ import annotations

import pytest

from domain.calls.events import Channel, ChannelRecord
from domain.filters.registry import FIELDS
from handlers.filters.buttons import SetMissing, ShowField
from tests.conversation.conftest import PRESETS, KnownChannels
from tests.conversation.reading import words
from tests.conversation.telegram_wire import Person

PROVEN = next(preset for preset in PRESETS if "channel_win_rate" in preset.rules)
RECORD = ChannelRecord(calls=40, win_rate_percent=45.0, average_multiple=3.0)


@pytest.fixture
async def started(ann: Person) -> Person:
    await ann.writes("/start")
    return ann


async def test_a_preset_that_is_added_leaves_the_others_on(started: Person) -> None:
    first = words(await started.taps("preset:everything"), "edited")
    assert "The filter Everything is added." in first
    assert "stay on" not in first
    second = words(await started.taps("preset:early_gems"), "edited")
    assert "The filter Early gems is added.\nYour other filters stay on: 1." in second
    assert "You have the filter Early gems already" in words(await started.taps("preset:early_gems"), "edited")
    replaced = words(await started.taps("usepreset:1:fresh_launches"), "edited")
    assert "This filter is now Fresh launches." in replaced


@pytest.mark.parametrize(
    ("recorded", "of", "said"),
    [
        (0, 0, "No channel has a record yet that Channel win rate, Channel average gain could look at"),
        (0, 9, "No channel has a record yet that Channel win rate, Channel average gain could look at"),
        (2, 9, "Only 2 of 9 channels have a record yet"),
        (3, 9, None),
        (9, 100, "Only 9 of 100 channels have a record yet"),
    ],
)
async def test_a_preset_on_records_warns_while_hardly_a_channel_has_one(
    started: Person, channels: KnownChannels, recorded: int, of: int, said: str | None
) -> None:
    channels.channels = [Channel(id=f"@c{n}", record=RECORD if n < recorded else None) for n in range(of)]
    added = words(await started.taps(f"preset:{PROVEN.key}"), "edited")
    assert (said in added) if said else ("have a record yet" not in added and "has a record yet" not in added)


@pytest.mark.parametrize("field", [one for one in FIELDS if one.group == "channel"], ids=lambda one: one.key)
async def test_a_rule_on_records_warns_until_calls_without_one_pass(started: Person, field: object) -> None:
    key, example = getattr(field, "key", ""), getattr(field, "example", "")
    await started.taps("addset")
    await started.taps(ShowField(1, key).pack())
    assert "No channel has a record yet" in words(await started.writes(example))
    await started.taps(SetMissing(1, key, "pass", 0).pack())
    await started.taps(ShowField(1, key).pack())
    assert "has a record yet" not in words(await started.writes(example))


async def test_what_is_no_figure_is_not_called_one(started: Person) -> None:
    await started.taps("addset")
    for key, typed in (("launchpad", "pump.fun"), ("name_words", "cat"), ("holders", "100")):
        await started.taps(f"field:1:{key}")
        await started.writes(typed)
        shown = words(await started.taps(f"field:1:{key}"), "edited")
        assert ("If this figure is not known yet" in shown) == (key == "holders")
        assert ("If this is not known yet" in shown) == (key != "holders")
