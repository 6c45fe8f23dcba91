"""How filters and presets are called, wherever somebody reads their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from domain.filters.presets import Preset
from domain.filters.registry import FilterSet
from domain.subscribers.subscriber import Subscriber
from texts.renderer import Texts


class Names:
    def __init__(self, texts: Texts, preset: Callable[[str], Preset | None] = lambda _key: None) -> None:
        """`preset`: finds a preset by its key, as it is now."""
        self.texts = texts
        self._preset = preset

    def of_set(self, filter_set: FilterSet, language: str) -> str:
        return self.shown(filter_set.name, filter_set.number, language)

    def of_passed(self, subscriber: Subscriber, numbers: Iterable[int]) -> tuple[str, ...]:
        """Name those of these sets that they still have."""
        found = map(subscriber.filter_set, numbers)
        return tuple(self.of_set(filter_set, subscriber.language) for filter_set in found if filter_set)

    def shown(self, name: str, number: int, language: str) -> str:
        """Name a set by what somebody chose, by the preset whose key it has, or by its number."""
        return self.of_preset(name, language) or self.texts.plain("value.set", language, number=number)

    def of_preset(self, key: str, language: str) -> str:
        """Name a preset by what an admin called it, or by the label of its key; whatever is no key stays as it is."""
        preset = self._preset(key) if key else None
        if preset is not None and preset.name:
            return preset.name
        is_known = preset is not None or f"preset.{key}" in self.texts
        return self.texts.label("preset", key, language) if key and is_known else key
