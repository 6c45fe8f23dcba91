"""What a button sends back: one small frozen struct per button, packed into Telegram's 64 bytes.

`prefix:part:part`, each part percent-encoded where it must be. What comes back was written by anybody, so
`unpack` takes only what `pack` could have made and answers everything else as a stale button.
"""

from __future__ import annotations

from typing import ClassVar, Self
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

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
