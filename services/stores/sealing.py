"""What Redis holds of people may be sealed there: encrypted, so that who reads Redis or its file reads nothing of them.

A sealed document is JSON, `{"sealed": token, "key": fingerprint, …}`: a script sees beside the token what it needs, and
anybody sees by which key it was sealed. The first key seals, all of them open. Without keys documents are stored as
they are. A document of ours never begins with `sealed`; what a person typed is wrapped before it is sealed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from msgspec import Struct

from runtime.errors import FatalError

PLAIN: Final = "plain"
"""In place of the first key: what is written is not sealed any more, what is sealed is opened yet."""

_HEAD: Final = b'{"sealed":"'
_FINGERPRINT_BYTES: Final = 4
_DIGEST_BYTES: Final = 16


class UnknownKeyError(FatalError):
    """Something is sealed by a key that is not there. It stays as it is."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"Redis holds what was encrypted with another key (fingerprint {fingerprint}): DATA_KEY has to name it, "
            "after the one that is to be used from now on. Nothing was changed."
        )
        self.fingerprint = fingerprint


class _Sealed(Struct, frozen=True, omit_defaults=True):
    sealed: str
    key: str
    revision: int | None = None
    created_at: str | None = None
    digest: str | None = None
    """The same document, sealed twice, is not the same bytes; this is, under one key."""


class Sealer:
    def __init__(self, keys: Sequence[str] = ()) -> None:
        """`keys`: as `Fernet.generate_key` makes them, or `PLAIN` as the first one."""
        known = [key for key in keys if key != PLAIN]
        self._by_fingerprint = {fingerprint_of(key): Fernet(key) for key in known}
        self._first = known[0] if keys and keys[0] != PLAIN else None
        self.writes: Final = fingerprint_of(self._first) if self._first else PLAIN
        """By what it seals now: a fingerprint, or `PLAIN`."""
        self.has_keys: Final = bool(known)

    @property
    def fingerprints(self) -> dict[str, bool]:
        """Return the keys that it has, as a script wants to know them."""
        return dict.fromkeys(self._by_fingerprint, True)

    def seal(self, document: bytes, *, revision: int | None = None, created_at: str | None = None) -> bytes:
        """Return what is to be stored. A script reads `revision`, `created_at` and `digest`."""
        if self._first is None:
            return document
        token = self._by_fingerprint[self.writes].encrypt(document).decode()
        digest = None if revision is None else self.digest(document)
        return msgspec.json.encode(_Sealed(token, self.writes, revision, created_at, digest))

    def open(self, stored: bytes) -> bytes:
        """Return the document, which may never have been sealed.

        `UnknownKeyError` when its key is not there; `msgspec.DecodeError` when it was sealed and is damaged.
        """
        if not stored.startswith(_HEAD):
            return stored
        sealed = msgspec.json.decode(stored, type=_Sealed)
        key = self._by_fingerprint.get(sealed.key)
        if key is None:
            raise UnknownKeyError(sealed.key)
        try:
            return key.decrypt(sealed.sealed)
        except InvalidToken as error:
            raise msgspec.DecodeError("a sealed document is damaged") from error

    def is_current(self, stored: bytes) -> bool:
        """Tell whether it is stored as `seal` would store it now. `msgspec.DecodeError` when it is damaged."""
        if not stored.startswith(_HEAD):
            return self.writes == PLAIN
        return msgspec.json.decode(stored, type=_Sealed).key == self.writes

    def digest(self, document: bytes) -> str | None:
        """Return what a sealed document is known by; `None` where it is known by itself."""
        if self._first is None:
            return None
        key = base64.urlsafe_b64decode(self._first)
        return hashlib.blake2b(document, digest_size=_DIGEST_BYTES, key=key, person=b"same document").hexdigest()


def fingerprint_of(key: str) -> str:
    """Name a key without giving anything of it away."""
    return hashlib.sha256(b"fingerprint of " + key.encode()).digest()[:_FINGERPRINT_BYTES].hex()
