"""What may not be shown: keys travel in addresses as user, password, path and query."""

from __future__ import annotations

import re
from typing import Final

_IN_ADDRESS: Final = re.compile(r"(?<=//)[^\s/@]*@|\?[^\s'\"]*")
_PATH: Final = re.compile(r"(?<=://)([^\s'\"/?#]+)/[^\s'\"?#]+")
_WEB: Final = re.compile(r"(?i)\b(?:https?|wss?)://[^\s'\"]+")
_BOT_TOKEN: Final = re.compile(r"(?<=/bot)[^/\s'\"]+|(?<!\d)\d{5,}:[\w-]{20,}")


def without_keys(text: str) -> str:
    """Take user, password and query out of every address in a text, and of those on the web all of the path."""
    return _WEB.sub(lambda found: _PATH.sub(r"\1/…", found[0]), _IN_ADDRESS.sub("", text))


def without_bot_tokens(text: str) -> str:
    """Blank what looks like the token of a bot, wherever it is, and whatever stands in its place in an address."""
    return _BOT_TOKEN.sub("<token>", text)
