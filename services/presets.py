"""Starting points that a subscriber can take and change."""

from __future__ import annotations

from collections.abc import Iterable

from domain.errors import UserFacingError
from domain.presets import Preset


class PresetsService:
    def __init__(self, presets: Iterable[Preset]) -> None:
        self._presets = {preset.key: preset for preset in presets}

    def all(self) -> tuple[Preset, ...]:
        return tuple(self._presets.values())

    def find(self, key: str) -> Preset:
        """Return the preset or raise `UserFacingError("preset.unknown")`: the key comes from outside."""
        try:
            return self._presets[key]
        except KeyError:
            raise UserFacingError("preset.unknown", typed=key) from None
