"""Lua scripts: each a file beside the only code that runs it.

What is a key is in KEYS. Everything else comes as one packed argument; `cmsgpack.unpack(ARGV[1])` gives back its names.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec

from managers.redis.connections import Argument

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True)
class Script:
    """A Lua source, run by its digest."""

    source: str
    name: str = field(default="", compare=False)
    """For logs."""

    @classmethod
    def beside(cls, caller: str, file: str, *, after: str = "") -> Self:
        """Load a file that lies beside `caller` (`__file__`); `after` is source that comes before it."""
        return cls(after + source_beside(caller, file), name=file.removesuffix(".lua"))

    @cached_property
    def digest(self) -> str:
        return hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    @cached_property
    def own_codes(self) -> frozenset[str]:
        """The words at the head of the errors that it answers itself."""
        return frozenset(re.findall(r"error_reply\(['\"](\w+)", self.source))


def source_beside(caller: str, file: str) -> str:
    return Path(caller).with_name(file).read_text(encoding="utf-8")


def packed(**fields: object) -> list[Argument]:
    """Return the arguments of a script: one, with these fields.

    Numbers are doubles in Lua: what may be 2**53 or more goes as a string. `None` is nil, so it has no place in a list.
    A Struct or a dict is a table with names. Bytes have to be `raw`: what Redis unpacks with knows no others.
    """
    return [_encode(fields)]


def raw(data: bytes) -> msgspec.Raw:
    """Return bytes, valid UTF-8 or not, as a string of Lua."""
    size = len(data)
    if size < 1 << 5:
        head = (0xA0 | size).to_bytes(1, "big")
    elif size < 1 << 8:
        head = b"\xd9" + size.to_bytes(1, "big")
    elif size < 1 << 16:
        head = b"\xda" + size.to_bytes(2, "big")
    else:
        head = b"\xdb" + size.to_bytes(4, "big")
    return msgspec.Raw(head + data)
