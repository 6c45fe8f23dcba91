"""Transactions as people name them: by a signature, or by the link of an explorer."""

from __future__ import annotations

import re
from typing import Final

_BASE58: Final = "[1-9A-HJ-NP-Za-km-z]{64,88}"
"""As long as 64 bytes can be."""
_SIGNATURE: Final = re.compile(_BASE58)
_LINK: Final = re.compile(
    rf"(?<![\w.-])(?:https?://)?(?:www\.)?(?:solscan\.io|explorer\.solana\.com|solana\.fm)/tx/({_BASE58})(?!\w)"
)


def signature_in(text: str) -> str | None:
    """Return the signature that a text is, or that a link in it holds."""
    text = text.strip()
    if _SIGNATURE.fullmatch(text):
        return text
    link = _LINK.search(text)
    return link[1] if link else None
