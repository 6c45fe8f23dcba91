"""How the copy of a filter set is called, and which sets are copies of one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.filters.registry import FilterSet
from services.subscribers.set_changes import MAX_NAME_UTF16
from texts.markup import cut, utf16_length


class CopyNames(Struct, frozen=True):
    """The words of somebody's language for it."""

    shown: Callable[[FilterSet], str]
    suffixes: Sequence[str]
    """Of the first copy, the second, and so on; at least one more than anybody has sets."""

    def of(self, name: str) -> tuple[str, ...]:
        """Return how the copies of what has this name are called; those of a copy as those of its original."""
        base = next((name.removesuffix(f" {one}") for one in self.suffixes if name.endswith(f" {one}")), name)
        room = MAX_NAME_UTF16 - 1 - max(map(utf16_length, self.suffixes))
        return tuple(f"{cut(base, room)} {one}" for one in self.suffixes)

    def free(self, original: FilterSet, sets: Sequence[FilterSet]) -> str:
        """Return the first of them that no set has."""
        taken = {self.shown(one) for one in sets}
        return next(name for name in self.of(self.shown(original)) if name not in taken)

    def unchanged(self, original: FilterSet, sets: Sequence[FilterSet]) -> FilterSet | None:
        """Return the newest copy that is still as its original is, where this is the one or the other."""
        same = [one for one in sets if one.rules == original.rules and self._are_related(one, original)]
        return max(same, key=lambda one: one.number) if len(same) > 1 else None

    def _are_related(self, one: FilterSet, other: FilterSet) -> bool:
        first, second = self.shown(one), self.shown(other)
        return one.number == other.number or first in self.of(second) or second in self.of(first)
