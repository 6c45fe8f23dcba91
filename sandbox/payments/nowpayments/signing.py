"""The signature of an IPN, and JSON as JavaScript writes it.

`hex(HMAC_SHA512(secret, JSON.stringify(sortObject(body))))`: keys sorted at every depth, arrays turned into objects
with their indexes as keys, no spaces, text as UTF-8, slashes bare, numbers in JavaScript's shortest form.
"""

from __future__ import annotations

import hmac
import json
import math
from typing import Any, TypeGuard

JsonObject = dict[str, Any]

_EXPONENT_FROM, _EXPONENT_BELOW = 21, -6
"""Beyond these powers of ten JavaScript writes an exponent."""


def signature(body: JsonObject, secret: str, *, digest: str = "sha512") -> str:
    return sign_text(stringify(sort_object(body)), secret, digest=digest)


def sign_text(text: str, secret: str, *, digest: str = "sha512") -> str:
    return hmac.new(secret.encode(), text.encode(), digest).hexdigest()


def sort_object(value: Any) -> Any:
    """Sort as the documented function does, which takes an array for an object."""
    if is_list(value):
        return {str(index): sort_object(each) for index, each in enumerate(value)}
    if is_object(value):
        return {name: sort_object(value[name]) for name in sorted(value)}
    return value


def top_level_keys_only(body: JsonObject) -> JsonObject:
    """Do what `JSON.stringify(body, Object.keys(body).sort())` does: names that are not at the top are lost below."""
    names = sorted(body)

    def kept(value: Any) -> Any:
        if is_object(value):
            return {name: kept(value[name]) for name in names if name in value}
        return [kept(each) for each in value] if is_list(value) else value

    return kept(body)


def stringify(value: Any) -> str:
    """Write JSON as JavaScript's JSON.stringify does."""
    if is_object(value):
        return "{" + ",".join(f"{_text(name)}:{stringify(each)}" for name, each in value.items()) + "}"
    if is_list(value):
        return "[" + ",".join(stringify(each) for each in value) + "]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return number(value)


def number(value: float) -> str:
    """Write a number as JavaScript does: 10, 0.000083, 1e-7, 1e+21."""
    double = float(value)
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"
    sign = "-" if double < 0 else ""
    mantissa, _, exponent = f"{abs(double)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Write significant digits with the decimal point after the first `point` of them."""
    if len(digits) <= point <= _EXPONENT_FROM:
        return digits.ljust(point, "0")
    if 0 < point <= _EXPONENT_FROM:
        return f"{digits[:point]}.{digits[point:]}"
    if _EXPONENT_BELOW < point <= 0:
        return f"0.{'0' * -point}{digits}"
    power = point - 1
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"


def _text(value: str) -> str:
    written = json.dumps(value, ensure_ascii=False)
    return "".join(f"\\u{ord(sign):04x}" if "\ud800" <= sign <= "\udfff" else sign for sign in written)


def is_object(value: Any) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
