"""What a key in Redis is made of.

Parts come from outside (a token address, a channel's name); `:` inside a part is quoted, so that no name of
one thing can be read as the name of another.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S
DAY_S: Final = 24 * HOUR_S


class RedisKey(Struct, frozen=True, kw_only=True):
    pattern: str
    """`{}` stands for a part."""
    kind: Literal["string", "hash", "set", "sorted set", "stream"]
    lives_s: int | None
    """Seconds until it expires; `None` is for ever."""
    meaning: str

    def of(self, *parts: str | int) -> str:
        """Return the key of one thing. As many parts as the pattern has, or `IndexError`."""
        return self.pattern.format(*map(_quoted, parts))

    def of_any(self) -> str:
        """Return the pattern that every such key matches, for SCAN."""
        return self.pattern.replace("{}", "*")

    def parts_of(self, name: str) -> list[str]:
        """Return what `of` was given."""
        named = zip(self.pattern.split(":"), name.split(":"), strict=True)
        return [part.replace("%3A", ":").replace("%25", "%") for place, part in named if place == "{}"]

    @property
    def expires_s(self) -> int:
        """The lifetime of a key that has one."""
        if self.lives_s is None:
            raise RuntimeError(f"{self.pattern} never expires")
        return self.lives_s


def _quoted(part: str | int) -> str:
    text = str(part)
    if "%" in text or ":" in text:
        return text.replace("%", "%25").replace(":", "%3A")
    return text
