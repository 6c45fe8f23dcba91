"""Base58, as Bitcoin and Solana write bytes."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {sign: value for value, sign in enumerate(_ALPHABET)}
_BASE = len(_ALPHABET)


def encode(data: bytes) -> str:
    number = int.from_bytes(data)
    signs: list[str] = []
    while number:
        number, value = divmod(number, _BASE)
        signs.append(_ALPHABET[value])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _ALPHABET[0] * zeros + "".join(reversed(signs))


def decode(text: str) -> bytes:
    """Raise ValueError for a sign that is not of the alphabet."""
    number = 0
    for sign in text:
        if sign not in _VALUES:
            raise ValueError(f"{sign!r} is no base58")
        number = number * _BASE + _VALUES[sign]
    zeros = len(text) - len(text.lstrip(_ALPHABET[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
