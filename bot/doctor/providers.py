"""Whether everybody answers who is asked about tokens, as the doctor says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from bot.doctor.surroundings import Check, UnhealthyError
from domain.prices.readings import TokenRef
from managers.http.answers import DeniedError, TooManyError
from managers.providers.figures import FigureProvider
from runtime.errors import BotError
from runtime.reasons import in_short
from services.providers.price_source import PriceProvider

KNOWN_TO_ALL: Final = (
    TokenRef("So11111111111111111111111111111111111111112", "solana"),
    TokenRef("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "ethereum"),
)
"""Wrapped SOL and wrapped ether."""
_AT: Final[Mapping[str, str]] = {
    "jupiter": "PRICE_API_URL",
    "dexscreener": "DEXSCREENER_URL",
    "geckoterminal": "GECKOTERMINAL_URL",
    "rugcheck": "RUGCHECK_URL",
    "goplus": "GOPLUS_URL",
    "birdeye": "BIRDEYE_URL",
}
_KEYS: Final[Mapping[str, str]] = {"birdeye": "BIRDEYE_API_KEY"}


def provider_checks(figures: Iterable[FigureProvider], prices: Iterable[PriceProvider]) -> dict[str, Check]:
    """Ask each once, by its name: for figures, or else for a price."""
    found: dict[str, Check] = {one.name: partial(_priced, one) for one in prices}
    asked = {one.name: one for one in reversed([*figures])}
    return found | {name: partial(_told, one) for name, one in asked.items()}


async def _told(provider: FigureProvider) -> str:
    token = _token_for(provider)
    try:
        found = await provider.figures([token])
    except BotError as error:
        raise _unhealthy(provider.name, error) from error
    return "answers" if found else f"answers, but does not know {token.address}: is {_AT.get(provider.name)} right?"


async def _priced(provider: PriceProvider) -> str:
    token = _token_for(provider)
    try:
        found = await provider.read([token])
    except BotError as error:
        raise _unhealthy(provider.name, error) from error
    return "answers" if found else f"answers, but has no price of {token.address}: is {_AT.get(provider.name)} right?"


def _token_for(provider: FigureProvider | PriceProvider) -> TokenRef:
    return next((token for token in KNOWN_TO_ALL if provider.covers(token)), KNOWN_TO_ALL[0])


def _unhealthy(name: str, error: BotError) -> UnhealthyError:
    at, key = _AT.get(name, "its address"), _KEYS.get(name)
    if isinstance(error, DeniedError):
        return UnhealthyError(f"{name} does not let us in ({in_short(error)}): check {key or at}.")
    if isinstance(error, TooManyError):
        return UnhealthyError(f"{name} is asked too often ({in_short(error)}), perhaps by a bot that runs: try later.")
    said = f"{name} gives no answer of use ({in_short(error)})"
    return UnhealthyError(f"{said}: check the network, and {at} if it is set.")
