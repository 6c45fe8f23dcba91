"""What no log may hold: secrets, tokens of bots, keys of APIs, addresses of people's wallets, texts of messages.

A token's address is what the bot is about, so it stays in the fields that name one. Anything else that has the form of
an address on a chain is taken for somebody's wallet; its first four characters are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from structlog.typing import EventDict, WrappedLogger

from runtime.redaction import without_bot_tokens

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_CANDIDATE: Final = re.compile(
    rf"(?<![{_ALPHABET}])[{_ALPHABET}]{{26,44}}(?![{_ALPHABET}])|\b0x[0-9a-fA-F]{{40}}\b|\b(?:bc1|ltc1|addr1)[0-9a-z]{{20,100}}\b"
)
_SOLANA_BYTES: Final = 32
_BITCOIN_BYTES: Final = 25
"""Version, hash and checksum: also of Tron, Dogecoin, Litecoin."""

_SECRET_FIELDS: Final = re.compile(
    r"(?:^|_)(?:secret|password|passwd|authorization|cookie|api_?key|private_?key|credentials?)(?:$|_)", re.IGNORECASE
)
_TEXT_FIELDS: Final = frozenset({"text", "html", "caption", "message_text", "typed", "body", "update"})
_TOKEN_FIELDS: Final = frozenset(
    {
        "token",
        "token_address",
        "tokens",
        "mint",
        "pool",
        "pool_address",
        "call_id",
        "call_ids",
        "calls",
        "subject",
        "key",
    }
)
"""What these hold is a token, a pool, or what a call is called: no wallet of a person."""
_OWN_FIELDS: Final = frozenset({"level", "logger", "timestamp"})
_PLAIN_FIELDS: Final = frozenset({"signature", "charge", "arrival"})
"""Public numbers of transactions, without which no payment can be found again."""
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_PARAMETER: Final = re.compile(
    r"(?i)([\"']?\b(?:x-)?(?:api[-_]?key|access[-_]?token|auth[-_]?token|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+"
)
_WORTH_A_LOOK: Final = re.compile(
    rf"[{_ALPHABET}]{{26}}|\d{{5}}:|/bot|://|0x|bc1|ltc1|addr1|[Bb][Ee][Aa][Rr]|[Bb][Aa][Ss][Ii][Cc]|[Kk][Ee][Yy]"
    r"|[Tt][Oo][Kk][Ee][Nn]|[Ss][Ee][Cc][Rr]|[Pp][Aa][Ss][Ss]"
)
"""Most lines have nothing of the kind, and one search is cheaper than six."""
_LOGIN: Final = re.compile(r"(?<=://)[^\s/@]+@")
_WEB: Final = frozenset({"http", "https", "ws", "wss"})
_KEY_LIKE: Final = re.compile(r"(?=.*[0-9A-Z]).{8,}|.{20,}")
"""Part of a path or a query that is no plain word."""
_MIN_SECRET: Final = 6
"""Shorter ones would blank half of every line."""


class Redactor:
    """A processor. `secrets`: what the settings hold; `ours`: addresses that are public anyway."""

    def __init__(self, secrets: Iterable[str] = (), ours: Iterable[str] = ()) -> None:
        known = {one for secret in secrets for one in _forms(secret) if len(one) >= _MIN_SECRET}
        self._secrets = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None
        self._ours = frozenset(ours)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: self._field(name, value) for name, value in event.items()}

    def text(self, text: str, *, addresses: bool = True) -> str:
        """Take out of a text what may not be shown."""
        if len(text) < _MIN_SECRET:
            return text
        if self._secrets is not None:
            text = self._secrets.sub("<secret>", text)
        if not _WORTH_A_LOOK.search(text):
            return text
        text = without_bot_tokens(text)
        text = _BEARER.sub(r"\1 <secret>", text)
        text = _PARAMETER.sub(r"\1<secret>", text)
        text = _LOGIN.sub("<secret>@", text)
        return _CANDIDATE.sub(self._address, text) if addresses else text

    def _field(self, name: object, value: object) -> object:
        if not isinstance(name, str):
            return self._value(value, addresses=True)
        if name in _OWN_FIELDS:
            return value
        if _SECRET_FIELDS.search(name) and value not in (None, True, False):
            return "<secret>"
        if name in _TEXT_FIELDS and value:
            return f"<{len(str(value))} characters>"
        return self._value(value, addresses=name not in _TOKEN_FIELDS | _PLAIN_FIELDS)

    def _value(self, value: object, *, addresses: bool) -> object:
        match value:
            case str():
                return self.text(value, addresses=addresses)
            case bytes():
                return self.text(value.decode("utf-8", "replace"), addresses=addresses)
            case Mapping():
                items = cast("Mapping[object, object]", value).items()
                return {
                    self._name(k): self._field(k, v) if addresses else self._value(v, addresses=False) for k, v in items
                }
            case list() | tuple() | set() | frozenset():
                return [self._value(one, addresses=addresses) for one in cast("Iterable[object]", value)]
            case None | bool() | int() | float():
                return value
            case _:
                return self.text(str(value) if isinstance(value, BaseException) else repr(value), addresses=addresses)

    def _name(self, name: object) -> object:
        return self.text(name) if isinstance(name, str) else name

    def _address(self, found: re.Match[str]) -> str:
        text = found[0]
        if text in self._ours or not is_address(text):
            return text
        return f"<address {text[:4]}…>"


def is_address(text: str) -> bool:
    """Whether it has the form of an address: of Solana, of Ethereum and its like, or of Bitcoin and its like."""
    if text.startswith(("0x", "bc1", "ltc1", "addr1")):
        return True
    number = 0
    for character in text:
        number = number * 58 + _DIGITS[character]
    zeros = len(text) - len(text.lstrip("1"))
    return zeros + (number.bit_length() + 7) // 8 in (_SOLANA_BYTES, _BITCOIN_BYTES)


def _forms(secret: str) -> Iterable[str]:
    """A secret as it is, and what may be one in an address, quoted and not: the password; on the web keys as well."""
    if "://" not in secret:
        yield secret
        return
    try:
        parts = urlsplit(secret)
        password = parts.password
    except ValueError:
        return
    found = [password] if password else []
    if parts.scheme in _WEB:
        values = (value.partition("=")[2] for value in parts.query.split("&"))
        found += [one for one in (*parts.path.split("/"), *values) if _KEY_LIKE.fullmatch(one)]
    for one in found:
        yield one
        yield unquote(one)
