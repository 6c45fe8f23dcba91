"""What several sources say of one token, put together; each figure keeps its origin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from domain.calls.events import Chain, Disagreement, Origin, PriceTick, Token

NO_FIGURES: Final = frozenset({"address", "chain", "origins", "disputed"})
FIGURES: Final = tuple(name for name in Token.__struct_fields__ if name not in NO_FIGURES)
"""Every field of a token that a source may or may not know."""


def missing(token: Token) -> list[str]:
    return [name for name in FIGURES if getattr(token, name) is None]


def known(token: Token) -> dict[str, Any]:
    return {name: value for name in FIGURES if (value := getattr(token, name)) is not None}


def completed(token: Token, *others: Token) -> Token:
    """Fill the gaps from others, earlier ones first; what `token` itself says stays as it is.

    Only figures of `others` that have an origin are taken.
    """
    changes: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    disputed: dict[str, Disagreement] = {}
    for name in missing(token):
        for other in others:
            value, origin = getattr(other, name), other.origins.get(name)
            if value is not None and origin is not None:
                changes[name], origins[name] = value, origin
                if name in other.disputed:
                    disputed[name] = other.disputed[name]
                break
    if not changes:
        return token
    return replace(token, **changes, origins=token.origins | origins, disputed=token.disputed | disputed)


def newest(address: str, tokens: Iterable[Token], chain: Chain = "solana") -> Token:
    """Take each figure from where its origin is the latest; at the same time, from the earlier of `tokens`."""
    figures: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    disputed: dict[str, Disagreement] = {}
    for token in tokens:
        for name, value in known(token).items():
            origin = token.origins.get(name)
            if origin is not None and (name not in origins or origins[name].at < origin.at):
                figures[name], origins[name] = value, origin
                disputed.pop(name, None)
                if name in token.disputed:
                    disputed[name] = token.disputed[name]
    return Token(address=address, chain=chain, **figures, origins=origins, disputed=disputed)


def attributed(token: Token, origin: Origin) -> Token:
    """Give every figure an origin: this one where it has none."""
    return replace(token, origins=dict.fromkeys(known(token), origin) | token.origins)


def of_tick(tick: PriceTick, source: str) -> Token:
    token = Token(address=tick.token_address, price_usd=tick.price_usd, market_cap_usd=tick.market_cap_usd)
    return attributed(token, Origin(source, tick.at))
