"""What may not be shown: keys travel in addresses as user, password and query, and a bot's token in their path."""

from __future__ import annotations

import re
from typing import Final

_IN_ADDRESS: Final = re.compile(r"(?<=//)[^\s/@]*@|\?[^\s'\"]*")
_BOT_TOKEN: Final = re.compile(r"(?<=/bot)[^/\s'\"]+|(?<!\d)\d{5,}:[\w-]{20,}")


def without_keys(text: str) -> str:
    """Take user, password and query out of an address, or out of every address in a text."""
    return _IN_ADDRESS.sub("", text)


def without_bot_tokens(text: str) -> str:
    """Blank what looks like the token of a bot, wherever it is, and whatever stands in its place in an address."""
    return _BOT_TOKEN.sub("<token>", text)
