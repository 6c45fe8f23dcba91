"""Whose filter sets follow which preset, in memory: a preset's change finds them without reading everybody."""

from __future__ import annotations

from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber

Shape = tuple[tuple[int, bool], ...]
"""Of one subscriber: (number, enabled) of each set that follows the same preset."""


class Followers:
    def __init__(self) -> None:
        self._by_preset: dict[str, dict[int, Shape]] = {}
        self._shapes: dict[Shape, Shape] = {}
        """Most followers look alike: each shape is held once."""

    def note(self, subscriber: Subscriber) -> None:
        """Take in what a subscriber follows from now on."""
        self.forget(subscriber.user_id)
        following = (s for s in subscriber.filter_sets if s.follows is not None)
        by_preset: dict[str, list[FilterSet]] = {}
        for filter_set in following:
            by_preset.setdefault(filter_set.follows or "", []).append(filter_set)
        for key, sets in by_preset.items():
            shape = tuple((s.number, s.enabled) for s in sets)
            self._by_preset.setdefault(key, {})[subscriber.user_id] = self._shapes.setdefault(shape, shape)

    def forget(self, user_id: int) -> None:
        """Somebody follows nothing any more."""
        for followers in self._by_preset.values():
            followers.pop(user_id, None)

    def of(self, preset_key: str) -> list[int]:
        """Return the ids of the subscribers that follow a preset."""
        return list(self._by_preset.get(preset_key, ()))

    def enabled_sets(self, preset_key: str, user_id: int) -> list[int]:
        """Return the numbers of a subscriber's enabled sets that follow a preset, as they are now."""
        shape = self._by_preset.get(preset_key, {}).get(user_id, ())
        return [number for number, enabled in shape if enabled]
