"""Documents about filter sets that belong to no single subscriber: shared sets, and an admin's presets."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from domain.filters.presets import Preset
from domain.filters.registry import Rule


class SharedSet(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A snapshot of a filter set under a code that nobody can guess."""

    code: str
    creator_id: int
    creator_name: str
    """Attacker-controlled display name, as it was then."""
    name: str
    """Attacker-controlled name of the set, or the key of a preset."""
    rules: dict[str, Rule] = {}
    shared_at: datetime


class PresetChange(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an admin made of one preset."""

    key: str
    preset: Preset | None = None
    """`None`: removed."""
    revision: int
    """Grows by one at every change of this key; a store keeps the higher one."""
    changed_at: datetime
    changed_by: int
    """Telegram user id."""
