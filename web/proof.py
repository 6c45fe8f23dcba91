"""Who knows a secret, told from who does not in a time that says nothing about it; kept is its digest alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest


def proof_of(secret: bytes) -> Callable[[str], bool]:
    """Return who tells whether the value of a header is `secret`."""
    expected = sha256(secret).digest()
    # Headers are bytes, which Starlette reads as Latin-1.
    return lambda given: compare_digest(sha256(given.encode("latin-1", "replace")).digest(), expected)
