"""What a button sends back: one small frozen struct per button, packed into Telegram's 64 bytes.

`prefix:part:part`, each part percent-encoded where it must be. What comes back was written by anybody, so
`unpack` takes only what `pack` could have made and answers everything else as a stale button.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import ClassVar, Self
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from domain.calls.addresses import MAX_ADDRESS_LENGTH, call_tag
from runtime.errors import UserFacingError

MAX_BYTES = 64
_SAFE = "@/-._~"


class CallbackData(Struct, frozen=True, array_like=True):
    """A subclass names its own `prefix` and has fields of `int`, `str` and `bool` only."""

    prefix: ClassVar[str] = ""

    def pack(self) -> str:
        """Write the button's data. Raises `ValueError` where Telegram would refuse it."""
        parts = (_to_part(getattr(self, name)) for name in self.__struct_fields__)
        data = ":".join((self.prefix, *parts))
        if len(data.encode()) > MAX_BYTES:
            raise ValueError(f"callback data over {MAX_BYTES} bytes: {data!r}")
        return data

    @classmethod
    def unpack(cls, data: str) -> Self:
        """Read the button's data. Raises `UserFacingError("callback.stale")` for anything foreign."""
        prefix, *parts = data[: MAX_BYTES + 1].split(":")
        try:
            values = [unquote(part, errors="strict") for part in parts]
            unpacked = msgspec.convert(values, cls, strict=False)
            # "01", "+1" or "%41" would be read as well; only one spelling is ours.
            ours = prefix == cls.prefix and unpacked.pack() == data
        except ValueError as error:
            raise UserFacingError("callback.stale") from error
        if not ours:
            raise UserFacingError("callback.stale")
        return unpacked


def _to_part(value: int | str | bool) -> str:  # noqa: FBT001 - a button may carry a flag
    return str(int(value)) if isinstance(value, bool) else quote(str(value), safe=_SAFE)


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


class ToggleChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "channel"
    number: int
    page: int
    tag: str
    """`channel_tag` of the channel."""


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


class SetPaused(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "pause"
    paused: bool


class ShowWhy(CallbackData, frozen=True, array_like=True):
    """Make it with `of`: the id of a call may be longer than a button can carry."""

    prefix: ClassVar[str] = "why"
    address: str
    tag: str
    """`call_tag` of the call, told apart from the other calls of the same token."""

    @classmethod
    def of(cls, address: str, call_id: str) -> Self:
        return cls(address[:MAX_ADDRESS_LENGTH], call_tag(call_id))


class ShowNearMisses(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "misses"
    page: int


class ShowUsers(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "users"
    page: int


class RefreshHealth(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "health"


class AdminPresets(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpresets"


class AdminPreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpreset"
    preset_key: str


class TakeRules(CallbackData, frozen=True, array_like=True):
    """Give a preset the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "takerules"
    preset_key: str
    number: int


class NewPreset(CallbackData, frozen=True, array_like=True):
    """Ask for the name of a preset with the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "newpreset"
    number: int


class NamePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "namepreset"
    preset_key: str


class DescribePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "aboutpreset"
    preset_key: str


class RemovePreset(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "removepreset"
    preset_key: str


class ConfirmRemove(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "removeyes"
    preset_key: str
