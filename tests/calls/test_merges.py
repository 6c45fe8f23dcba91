"""Which channels are one: whatever was said, each has one main, and what is known of a call can be taken back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.calls.events import Channel, ChannelRecord
from domain.calls.merges import Merges
from domain.calls.token_history import TokenHistory
from tests.feed.support import a_call
from tests.filters.strategies import NOON

NAMES = ("@a", "@b", "@c", "@d", "@e")
names = st.sampled_from(NAMES)
said = st.lists(st.tuples(names, names), max_size=12).map(Merges.of)


@given(said)
def test_each_has_one_main_which_is_its_own(merges: Merges) -> None:
    for name in NAMES:
        main = merges.main_of(name)
        assert merges.main_of(main) == main
        assert merges.ids_of(name)[0] == main
        assert merges.ids_of(name) == merges.ids_of(main)
    every = [one for name in NAMES if merges.main_of(name) == name for one in merges.ids_of(name)]
    assert sorted(every) == sorted(NAMES), "each is of one channel, and of one alone"


@given(names, said, said)
def test_a_call_is_known_by_what_was_said_last_alone(made_by: str, before: Merges, now: Merges) -> None:
    call = replace(a_call(), channel=Channel(id=made_by, title="Title", record=ChannelRecord(calls=3)))
    once = replace(call, channel=now.known_as(call))
    assert now.known_as(once) == once.channel, "twice is as once"
    assert once.channel.ids == now.ids_of(made_by)
    assert once.channel.record == (call.channel.record if now.main_of(made_by) == made_by else None)
    via = replace(call, channel=before.known_as(call))
    assert now.known_as(via).ids == once.channel.ids
    assert now.known_as(via).made_by == once.channel.made_by


@given(st.lists(st.tuples(names, st.integers(0, 5)), min_size=1, max_size=12), said)
def test_a_token_has_as_many_callers_as_there_are_channels(calls: list[tuple[str, int]], merges: Merges) -> None:
    history, known = TokenHistory(), Merges()
    merged = TokenHistory(mains=lambda: known.mains)
    for name, hour in calls[:-1]:
        history.add("T", name, NOON.replace(hour=hour), 1.0)
        merged.add("T", name, NOON.replace(hour=hour), 1.0)
    known = merges  # said after all of these calls but the last
    name, hour = calls[-1][0], 6
    past = merged.add("T", name, NOON.replace(hour=hour), 1.0)
    assert past.calling_channels == len({merges.main_of(one) for one, _ in calls})
    first = history.add("T", name, NOON.replace(hour=hour), 1.0).first_channel_id
    assert past.first_channel_id == merges.main_of(first)
    known = Merges()
    assert merged.add("T", name, NOON.replace(hour=hour), 1.0) == history.add("T", name, NOON.replace(hour=hour), 1.0)
