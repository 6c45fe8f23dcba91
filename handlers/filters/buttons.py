"""What a button sends back: one small frozen struct per button, packed into Telegram's 64 bytes.

`prefix:part:part`, each part percent-encoded where it must be. What comes back was written by anybody, so
`unpack` takes only what `pack` could have made and answers everything else as a stale button.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import ClassVar

from domain.buttons.data import CallbackData


def channel_tag(channel_id: str) -> str:
    """Stand in for a channel id, which may be longer than a button can carry."""
    return blake2s(channel_id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class ShowSettings(CallbackData, frozen=True, array_like=True):
    """All filter sets of the sender."""

    prefix: ClassVar[str] = "settings"


class ShowSet(CallbackData, frozen=True, array_like=True):
    """`number` is looked up among the sender's own sets, here and everywhere below."""

    prefix: ClassVar[str] = "set"
    number: int


class NewSet(CallbackData, frozen=True, array_like=True):
    """Ask what a new set begins with."""

    prefix: ClassVar[str] = "newset"


class AddSet(CallbackData, frozen=True, array_like=True):
    """Add an empty set."""

    prefix: ClassVar[str] = "addset"


class SetEnabled(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "enable"
    number: int
    enabled: bool


class RenameSet(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "rename"
    number: int


class CopySet(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "duplicate"
    number: int


class DeleteSet(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "delete"
    number: int


class ConfirmDelete(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "deleteyes"
    number: int


class ShowGroup(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "group"
    number: int
    group: str


class ShowField(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "field"
    number: int
    field_key: str


class ClearField(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "any"
    number: int
    field_key: str


class SetFlag(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "flag"
    number: int
    field_key: str
    value: bool


class SetValue(CallbackData, frozen=True, array_like=True):
    """Want or exclude a known value of a choice, or neither: whatever it was when it is tapped."""

    prefix: ClassVar[str] = "value"
    number: int
    field_key: str
    value: str
    becomes: str
    """`services.subscribers.set_changes.Standing`."""


class TakeValue(CallbackData, frozen=True, array_like=True):
    """Answer with a known value, instead of what was typed."""

    prefix: ClassVar[str] = "instead"
    number: int
    field_key: str
    tag: str
    """Of what was typed (`InputsService.hold`)."""
    value: str


class TakeReading(CallbackData, frozen=True, array_like=True):
    """Say how it was meant."""

    prefix: ClassVar[str] = "reading"
    number: int
    field_key: str
    tag: str
    """Of what was typed (`InputsService.hold`)."""
    place: int
    """Among its readings."""


class KeepTyped(CallbackData, frozen=True, array_like=True):
    """Keep a list, although it names what is not known."""

    prefix: ClassVar[str] = "keep"
    number: int
    field_key: str
    tag: str


class SetMissing(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "missing"
    number: int
    field_key: str
    missing: str
    """`domain.filters.registry.Missing`."""
    wait_minutes: int


class ShowChannels(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "channels"
    number: int
    page: int


class SetChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "channel"
    number: int
    page: int
    tag: str
    """`channel_tag` of the channel."""
    becomes: str
    """As of `SetValue`."""


class ClearChannels(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "allchannels"
    number: int


class ShowPresets(CallbackData, frozen=True, array_like=True):
    """Presets that a set can become."""

    prefix: ClassVar[str] = "presets"
    number: int


class ApplyPreset(CallbackData, frozen=True, array_like=True):
    """Add a set that follows the preset."""

    prefix: ClassVar[str] = "preset"
    preset_key: str


class UsePreset(CallbackData, frozen=True, array_like=True):
    """Let a set become the preset."""

    prefix: ClassVar[str] = "usepreset"
    number: int
    preset_key: str


class ShareSet(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "share"
    number: int


class CopyShared(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "copy"
    code: str


class ShowVersions(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "versions"
    number: int
    page: int


class ShowVersion(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "version"
    number: int
    revision: int


class RestoreVersion(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "restore"
    number: int
    revision: int


class TryFilter(CallbackData, frozen=True, array_like=True):
    """Choose over how many days a filter is tried (`handlers/backtest/`)."""

    prefix: ClassVar[str] = "bt"
    source: str
    """`set` or `preset`."""
    key: str
    """Number of the set, or key of the preset."""
