"""Several sources about one token: whom to believe, figure by figure, and where they do not agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from domain.calls.events import Chain, Disagreement, Origin, Token
from domain.calls.figures import FIGURES

AGREE_RATIO: Final = 1.5
"""Amounts of money and numbers of things may differ by so much: sources look at different pools and moments."""
AGREE_POINTS: Final = 10.0
"""Shares in percent may."""

_OUTVOTED_BY: Final = 2
_MARKET: Final = ("dexscreener", "geckoterminal", "jupiter", "birdeye")
_SECURITY: Final = ("rugcheck", "goplus", "jupiter", "birdeye", "geckoterminal")
_ORDER: Final[dict[str, tuple[str, ...]]] = {
    "holders": ("jupiter", "rugcheck", "goplus", "birdeye", "geckoterminal"),
    "created_at": ("jupiter", "dexscreener", "geckoterminal"),
    "developer_percent": ("rugcheck", "jupiter", "goplus"),
    "buy_tax_percent": ("goplus", "rugcheck", "birdeye"),
    "sell_tax_percent": ("goplus", "rugcheck", "birdeye"),
    **dict.fromkeys(
        (
            "top10_percent",
            "snipers_percent",
            "lp_locked_percent",
            "mint_revoked",
            "freeze_revoked",
            "metadata_immutable",
            "risk_score",
        ),
        _SECURITY,
    ),
}
_FROM_PRICE: Final = frozenset({"market_cap_usd", "fdv_usd"})
_COMPARED: Final = frozenset({"price_usd", "market_cap_usd", "liquidity_usd", "holders"})
_COMPARED_SHARES: Final = frozenset({"top10_percent", "lp_locked_percent", "buy_tax_percent", "sell_tax_percent"})
_COMPARED_FLAGS: Final = frozenset({"mint_revoked", "freeze_revoked", "metadata_immutable"})


def believed(address: str, chain: Chain, said: Mapping[str, Token]) -> Token:
    """Put together what sources said, by their names. Every figure keeps its origin."""
    figures: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    disputed: dict[str, Disagreement] = {}
    doubted = _doubted_about_price(said)
    for name in FIGURES:
        stated = _stated(name, said)
        if name in _FROM_PRICE:
            stated.sort(key=lambda one: one[0] in doubted)  # whose price is wrong, has these wrong as well
        if not stated:
            continue
        source, value = _most_believable(name, stated)
        figures[name], origins[name] = value, said[source].origins[name]
        other = next(((by, also) for by, also in stated if not _agree(name, value, also)), None)
        if other is not None:
            disputed[name] = Disagreement(source=other[0], value=float(other[1]))
    return Token(address=address, chain=chain, **figures, origins=origins, disputed=disputed)


def _stated(name: str, said: Mapping[str, Token]) -> list[tuple[str, Any]]:
    """Who says something of a figure, and what, whoever is believed most first."""
    values = ((source, getattr(said[source], name)) for source in _in_order(name, said))
    return [(source, value) for source, value in values if value is not None]


def _doubted_about_price(said: Mapping[str, Token]) -> frozenset[str]:
    """Return whose price is another one than two or more others agree on."""
    stated = _stated("price_usd", said)
    if not stated:
        return frozenset()
    _, price = _most_believable("price_usd", stated)
    agreeing = [source for source, value in stated if _agree("price_usd", price, value)]
    return frozenset(source for source, _ in stated if source not in agreeing) if len(agreeing) > 1 else frozenset()


def _most_believable(name: str, stated: Sequence[tuple[str, Any]]) -> tuple[str, Any]:
    """The first, unless nobody agrees with it about an amount and two others agree with each other.

    Of risk scores the worst: who found nothing has not looked at everything.
    """
    if name == "risk_score":
        return max(stated, key=lambda one: one[1])
    if name not in _COMPARED or len(stated) < _OUTVOTED_BY + 1:
        return stated[0]
    for one in stated:
        agreeing = sum(_agree(name, one[1], value) for _, value in stated) - 1
        if agreeing:
            return one
    return stated[0]


def sources_of(name: str) -> tuple[str, ...]:
    """Return who is believed about a figure, the first most."""
    return _ORDER.get(name, _MARKET)


def _in_order(name: str, said: Mapping[str, Token]) -> list[str]:
    order = sources_of(name)
    return sorted(said, key=lambda source: (order.index(source) if source in order else len(order), source))


def _agree(name: str, one: Any, other: Any) -> bool:
    if name in _COMPARED:
        low, high = sorted((float(one), float(other)))
        return low == high or (low > 0 and high / low <= AGREE_RATIO)
    if name in _COMPARED_SHARES:
        return math.isclose(one, other, abs_tol=AGREE_POINTS)
    return name not in _COMPARED_FLAGS or one == other
