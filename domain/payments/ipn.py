"""The signature under a notification of NOWPayments (an IPN), over its body with keys sorted at every depth.

HMAC-SHA512 in hex over compact JSON, as their documentation computes it in JavaScript. Other languages spell numbers
differently, so a number is taken as it was written, and as JavaScript would write it; an array as such, and as the
object by index that their sorting makes of it. What is compared is always the whole body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, cast

MAX_BODY_BYTES: Final = 32_768
MAX_DEPTH: Final = 12

_DIGITS_BEFORE_POINT: Final = 21
_ZEROS_BEHIND_POINT: Final = 5
"""With more of them JavaScript writes an exponent."""


class _Literal(str):
    """A number as it stands in the body."""

    __slots__ = ()


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether somebody who has the secret signed this body. An empty secret signs nothing."""
    if not secret or not signature or len(body) > MAX_BODY_BYTES:
        return False
    try:
        document = json.loads(body, parse_int=_Literal, parse_float=_Literal, parse_constant=_refuse)
        spellings = list(_spellings(cast("object", document))) if isinstance(document, dict) else []
    except (ValueError, RecursionError, UnicodeDecodeError):
        return False
    given = signature.strip().lower().encode("utf-8", "replace")
    # All of them are compared, so that the time tells nothing.
    matches = [hmac.compare_digest(_digest(spelling, secret), given) for spelling in spellings]
    return any(matches)


def _spellings(document: object) -> Iterator[str]:
    for number in (str, _as_javascript):
        for arrays_by_index in (False, True):
            yield _spelt(document, number, arrays_by_index=arrays_by_index)


def _digest(text: str, secret: str) -> bytes:
    signed = hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha512)
    return signed.hexdigest().encode()


def _spelt(value: object, number: Callable[[str], str], *, arrays_by_index: bool, depth: int = 0) -> str:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")

    def inner(part: object) -> str:
        return _spelt(part, number, arrays_by_index=arrays_by_index, depth=depth + 1)

    if isinstance(value, _Literal):
        return number(value)
    if isinstance(value, list):
        parts = [inner(part) for part in cast("list[object]", value)]
        if not arrays_by_index:
            return "[" + ",".join(parts) + "]"
        return "{" + ",".join(f'"{index}":{part}' for index, part in enumerate(parts)) + "}"
    if isinstance(value, dict):
        fields = sorted(cast("dict[str, object]", value).items(), key=lambda field: field[0])
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{inner(part)}" for key, part in fields) + "}"
    return json.dumps(value, ensure_ascii=False)


def _as_javascript(literal: str) -> str:
    """Return a number as ECMAScript's Number::toString spells it (ECMA-262, 6.1.6.1.20)."""
    number = float(literal)
    if not math.isfinite(number):
        return "null"
    if number == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    return ("-" if sign else "") + _with_point(text, point)


def _with_point(text: str, point: int) -> str:
    """Place the decimal point behind the `point`-th digit."""
    if point > _DIGITS_BEFORE_POINT or point < -_ZEROS_BEHIND_POINT:
        fraction = f".{text[1:]}" if text[1:] else ""
        return f"{text[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    if point <= 0:
        return f"0.{'0' * -point}{text}"
    return text + "0" * (point - len(text)) if point >= len(text) else f"{text[:point]}.{text[point:]}"


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
