"""What a post states of the token it calls: symbol and figures at the entry. Nobody vouches for them."""

from __future__ import annotations

import math
import re
from typing import Final

from msgspec import Struct

_UNITS: Final = {
    **dict.fromkeys(("k", "к", "тыс", "thousand"), 1e3),
    **dict.fromkeys(("m", "м", "mil", "mln", "mm", "million", "млн"), 1e6),
    **dict.fromkeys(("b", "bn", "billion", "млрд"), 1e9),
    "万": 1e4,
    "亿": 1e8,
}
_UNIT: Final = r"(?:thousand|million|billion|mln|mil|mm|bn|тыс|млн|млрд|[kmbкм](?![^\W_])|[万亿])"
AMOUNT: Final = (
    rf"(?:usd ?|\$ ?)?(?P<number>\d{{1,3}}(?:[,. ]\d{{3}}){{1,4}}(?![\d.,]*\d)"
    rf"|\d{{1,12}}(?:[.,]\d{{1,12}})?) ?(?P<unit>{_UNIT})?"
)
_RANGE_END: Final = rf"(?: ?[-–—] ?\$?\d{{1,6}}(?:[.,]\d{{1,3}})? ?(?P<end_unit>{_UNIT}))?"
_SEPARATOR: Final = (
    r"[^\w$\n]{0,6}(?:(?:is|at(?: call| entry| launch| signal| alert)?|of|now|around|about|sits?|currently|near"
    r"|в|по|около|de|en|是)[^\w$\n]{1,3}){0,2}"
)
_CAP_WORD: Final = (
    r"(?:market ?caps?|mcaps?|m\.?c\.?|mktcap|fdv|cap|м(?:аркет)?[ .]?кап(?:а)?|кап(?:а|итализация|ой)?|市值|m/c)"
)
_CAP: Final = re.compile(
    rf"(?<![^\W_]){_CAP_WORD}(?![^\W_\d]){_SEPARATOR}{AMOUNT}{_RANGE_END}(?!\s?[%x])", re.IGNORECASE
)
_CAP_BEHIND: Final = re.compile(
    rf"(?<![\w.,$]){AMOUNT}{_RANGE_END} ?(?:de |of |in )?(?:usd )?{_CAP_WORD}(?![^\W_])", re.IGNORECASE
)
_ENTRY: Final = re.compile(
    rf"(?<![^\W_])(?:entry(?: (?:zone|price|mc|mcap|point))?|entered|called|buy(?:ing)?|bought|aped|ape|in|sniped"
    rf"|entrada|вход|@)"
    rf"(?:[^\w$\n]{{1,4}}(?:in|it|at|around|near|below|under|about|en|на"
    rf"|по)){{0,2}}[^\w$\n]{{0,4}}{AMOUNT}{_RANGE_END}(?!\s?[%x]|\s?sol\b|\s?eth\b)",
    re.IGNORECASE,
)
_AT: Final = re.compile(rf"(?<![^\W_])at {AMOUNT}{_RANGE_END}(?!\s?[%x]|\s?sol\b|\s?eth\b|[:.]\d)", re.IGNORECASE)
_LIQUIDITY: Final = re.compile(
    rf"(?<![^\W_])(?:liq(?:uidity)?|lp|ликв(?:идность)?|liquidez|流动性|池子){_SEPARATOR}{AMOUNT}(?!\s?[%x]|\s?sol\b)",
    re.IGNORECASE,
)
_PRICE: Final = re.compile(
    r"(?<![^\W_])(?:price|usd|цена|precio|价格)[^\w$\n]{0,6}\$? ?"
    r"(?P<price>0[.,]0?(?:[₀-₉]{1,2}\d{1,9}|\(\d{1,2}\)\d{1,9}|\{\d{1,2}\}\d{1,9}|\d{1,18})"
    r"|\d{1,9}(?:[.,]\d{1,9})?)(?!\s?[%xkm\d])",
    re.IGNORECASE,
)
_ZEROS: Final = re.compile(r"0[.,]0?(?:([₀-₉]{1,2})|[({](\d{1,2})[)}])(\d{1,9})")
_SUBSCRIPTS: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOL: Final = re.compile(
    r"(?<![\w$])\$(?P<dollar>[^\W\d_]\w{0,14})(?![\w$])"
    r"|(?<![^\W_])(?:ticker|symbol|тикер|代币)[ \t]{0,2}[:：=-][ \t]{0,3}\$?(?P<label>[^\W_]\w{0,14})"
    r"|(?<![^\W_])(?P<pair>[A-Z][A-Z0-9]{1,9})/W?(?:SOL|ETH|BNB|USDC)(?![^\W_])"
    r"|(?<=\|)[ \t]{0,2}(?P<bar>[A-Z][A-Z0-9]{1,9})[ \t]{0,3}$",
    re.IGNORECASE | re.MULTILINE,
)
_COINS: Final = frozenset({"SOL", "ETH", "BTC", "BNB", "USD", "USDC", "USDT", "WSOL", "WETH", "MATIC", "AVAX"})
_FUTURE: Final = re.compile(
    r"(?:target|tp|goal|aim|sl|stop|ath|all time high|high|from|potential|next|until|till|to|till|exit|цель|hit"
    r"|hits|reach|break|breaks|if|over|above|until|by)\W{0,4}$",
    re.IGNORECASE,
)
_MAX_USD: Final = 1e12
_SMALLEST_CAP: Final = 1_000.0


class Stated(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the channel says; `None` where it says nothing that can be read."""

    symbol: str | None = None
    """Attacker-controlled text; identifies nothing."""
    market_cap_usd: float | None = None
    """At the entry; of a range the lower end. Fully diluted where the channel takes that for it."""
    price_usd: float | None = None
    liquidity_usd: float | None = None


def stated_in(words: str) -> Stated:
    return Stated(
        symbol=_symbol(words),
        market_cap_usd=_cap(words),
        price_usd=_price(words),
        liquidity_usd=_first(_LIQUIDITY, words),
    )


def symbols_of(words: str) -> list[str]:
    """The symbols that a text names with a `$`, in capitals, in order."""
    found = (match["dollar"] for match in _SYMBOL.finditer(words))
    return [symbol.upper() for symbol in dict.fromkeys(found) if symbol and symbol.upper() not in _COINS]


def usd(number: str, unit: str | None) -> float | None:
    """What is written, in dollars, as `AMOUNT` finds it; one without end or sense is none."""
    text = number.replace(" ", ",")
    parts = re.split("[.,]", text)
    if len(parts) > 2 or (len(parts) == 2 and len(parts[1]) == 3 and not unit):  # noqa: PLR2004 - thousands
        text = "".join(parts)
    value = float(text.replace(",", ".")) * _UNITS.get((unit or "").lower(), 1.0)
    return value if math.isfinite(value) and 0 < value <= _MAX_USD else None


def _amount(found: re.Match[str]) -> float | None:
    return usd(found["number"], found["unit"] or found.groupdict().get("end_unit"))


def _cap(words: str) -> float | None:
    for pattern in (_CAP, _CAP_BEHIND):
        if (value := _first(pattern, words, at_least=_SMALLEST_CAP)) is not None:
            return value
    for pattern in (_ENTRY, _AT):
        for found in pattern.finditer(words):
            value = _amount(found)
            said = found["unit"] or found.groupdict().get("end_unit")
            if value and value >= _SMALLEST_CAP and (said or "," in found["number"]) and not _is_future(words, found):
                return value
    return None


def _first(pattern: re.Pattern[str], words: str, at_least: float = 0.0) -> float | None:
    for found in pattern.finditer(words):
        value = _amount(found)
        if value is not None and value >= at_least and not _is_future(words, found):
            return value
    return None


def _is_future(words: str, found: re.Match[str]) -> bool:
    return bool(_FUTURE.search(words[max(0, found.start() - 16) : found.start()]))


def _price(words: str) -> float | None:
    for found in _PRICE.finditer(words):
        text = _ZEROS.sub(_written_out, found["price"]).replace(",", ".")
        value = float(text)
        if 0 < value < _SMALLEST_CAP and "." in text:
            return value
    return None


def _written_out(found: re.Match[str]) -> str:
    zeros = int((found[1] or found[2]).translate(_SUBSCRIPTS))
    return "0." + "0" * min(zeros, 30) + found[3]


def _symbol(words: str) -> str | None:
    dollars = symbols_of(words)
    if dollars:
        return dollars[0]
    for match in _SYMBOL.finditer(words):
        found = (match["label"] or match["pair"] or match["bar"] or "").upper()
        if found and found not in _COINS:
            return found
    return None
