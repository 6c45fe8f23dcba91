"""Which channels are one: each of the others has one main channel, whose calls theirs are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.events import Call, Channel


class Merges(Struct, frozen=True):
    mains: Mapping[str, str] = {}
    """By the id of the other channel; no main is an other."""
    others: Mapping[str, tuple[str, ...]] = {}
    """By the id of the main."""

    @staticmethod
    def of(pairs: Iterable[tuple[str, str]]) -> Merges:
        """Take pairs of an other and its main as they were made, the last of each other.

        One that would close a circle counts for nothing.
        """
        asked: dict[str, str] = {}
        for other, main in dict(pairs).items():
            if _end(asked, main) != other:
                asked[other] = main
        mains = {other: _end(asked, other) for other in asked}
        others: dict[str, tuple[str, ...]] = {}
        for other, main in mains.items():
            others[main] = (*others.get(main, ()), other)
        return Merges(mains, others)

    def main_of(self, channel_id: str) -> str:
        """Return the id by which a channel is known; of one that is not merged its own."""
        return self.mains.get(channel_id, channel_id)

    def ids_of(self, channel_id: str) -> tuple[str, ...]:
        """Return all ids of a channel, its main one first."""
        main = self.main_of(channel_id)
        return (main, *self.others.get(main, ()))

    def known_as(self, call: Call) -> Channel:
        """Return the channel of a call as it is known now, without a record of the one that it was made by."""
        channel = call.channel
        made_by = channel.made_by or channel.id
        main, *others = self.ids_of(made_by)
        if channel.id == main:
            return channel if channel.also == tuple(others) else replace(channel, also=tuple(others))
        made_by = None if made_by == main else made_by
        return Channel(id=main, title=channel.title, also=tuple(others), made_by=made_by)


def _end(mains: Mapping[str, str], channel_id: str) -> str:
    while channel_id in mains:
        channel_id = mains[channel_id]
    return channel_id
