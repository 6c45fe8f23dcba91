"""Adapters that know figures, each beside its stand-in; a token of which everything is known, and one that is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.calls.events import Token
from domain.prices.readings import TokenRef
from managers.http.api import APIRetryManager
from managers.http.request_budget import Limit
from managers.providers.birdeye import BirdeyeManager
from managers.providers.dexscreener_figures import DexScreenerFigures
from managers.providers.figures import FigureProvider
from managers.providers.geckoterminal_figures import GeckoTerminalFigures
from managers.providers.goplus import GoPlusEvmManager, GoPlusSolanaManager
from managers.providers.jupiter import JupiterManager
from managers.providers.jupiter_figures import JupiterFigures
from managers.providers.rugcheck import RugCheckManager
from sandbox.providers.birdeye import KEY, BirdeyeSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.goplus import GoPlusSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.rugcheck import RugCheckSandbox
from sandbox.providers.stand_in import StandIn
from tests.feed.support import address

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
_ENOUGH = Limit(60, 60.0)
"""One a second, all at once."""


@dataclass(frozen=True)
class Case:
    chain: str
    stand_in: Callable[..., StandIn]
    adapter: Callable[[APIRetryManager, str], FigureProvider]
    silent_about: frozenset[str] = frozenset()
    """What it may know and does not say of a token that is sound and not on a curve."""
    off_by: float = 1e-3
    top_ten_off_by: float = 1e-3
    """Percent of the supply."""


def _clock() -> datetime:
    return NOW


CASES: dict[str, Case] = {
    "dexscreener": Case(
        "solana",
        DexScreenerSandbox,
        lambda api, url: DexScreenerFigures(api, url, clock=_clock),
        silent_about=frozenset({"launchpad"}),
    ),
    "dexscreener on EVM": Case(
        "ethereum",
        DexScreenerSandbox,
        lambda api, url: DexScreenerFigures(api, url, clock=_clock),
        silent_about=frozenset({"launchpad"}),
    ),
    "geckoterminal": Case(
        "solana",
        GeckoTerminalSandbox,
        lambda api, url: GeckoTerminalFigures(api, url, clock=_clock),
        silent_about=frozenset({"market_cap_usd"}),
    ),
    "geckoterminal on EVM": Case(
        "base",
        GeckoTerminalSandbox,
        lambda api, url: GeckoTerminalFigures(api, url, clock=_clock),
        silent_about=frozenset({"market_cap_usd"}),
    ),
    "jupiter": Case(
        "solana",
        PriceSandbox,
        lambda api, url: JupiterFigures(JupiterManager(api, url, clock=_clock)),
        silent_about=frozenset({"risk_score"}),
    ),
    "rugcheck": Case("solana", RugCheckSandbox, lambda api, url: RugCheckManager(api, url, clock=_clock)),
    "goplus": Case(
        "solana",
        GoPlusSandbox,
        lambda api, url: GoPlusSolanaManager(api, url, clock=_clock),
        top_ten_off_by=1.0,
    ),
    "goplus on EVM": Case(
        "bsc",
        GoPlusSandbox,
        lambda api, url: GoPlusEvmManager(api, url, tokens_per_request=20, clock=_clock),
        silent_about=frozenset({"risk_score"}),
        top_ten_off_by=1.0,
    ),
    "birdeye": Case(
        "solana", BirdeyeSandbox, lambda api, url: BirdeyeManager(api, KEY, url, limit=_ENOUGH, clock=_clock)
    ),
    "birdeye on EVM": Case(
        "base",
        BirdeyeSandbox,
        lambda api, url: BirdeyeManager(api, KEY, url, limit=_ENOUGH, clock=_clock),
        silent_about=frozenset(
            {
                *("top10_percent", "developer_percent", "mint_revoked", "freeze_revoked", "metadata_immutable"),
                *("buy_tax_percent", "sell_tax_percent"),
            }
        ),
    ),
}


def ref(number: int, chain: str = "solana") -> TokenRef:
    return TokenRef(address(number) if chain == "solana" else f"0x{number:040x}", chain)


def whole(token: TokenRef) -> Token:
    """Everything is known of it; it is sound, and has left its launchpad."""
    figures: dict[str, Any] = {
        "name": "Whole",
        "symbol": "WHOLE",
        "price_usd": 0.0004321,
        "market_cap_usd": 432_100.0,
        "fdv_usd": 450_000.0,
        "liquidity_usd": 61_000.0,
        "volume_5m_usd": 2_500.5,
        "volume_1h_usd": 30_000.25,
        "volume_24h_usd": 210_000.0,
        "price_change_5m_percent": -1.5,
        "price_change_1h_percent": 12.25,
        "price_change_24h_percent": 340.0,
        "buys_1h": 310,
        "sells_1h": 205,
        "holders": 1_234,
        "created_at": datetime(2026, 11, 29, 6, 30, tzinfo=UTC),
        "top10_percent": 22.0,
        "developer_percent": 1.5,
        "lp_locked_percent": 100.0,
        "mint_revoked": True,
        "freeze_revoked": True,
        "metadata_immutable": True,
        "buy_tax_percent": 0.0,
        "sell_tax_percent": 0.0,
        "risk_score": 12.0,
        "launchpad": "pump.fun",
        "dex": "pumpswap",
        "website": "https://whole.example",
        "x_handle": "whole_token",
        "telegram": "whole_chat",
        "image_url": "https://example.org/whole.png",
    }
    return Token(address=token.address, chain=token.chain, **figures)  # pyright: ignore[reportArgumentType] - one of ours


def known_on(chain: str) -> Callable[[str], Token | None]:
    def figures(asked: str) -> Token | None:
        return whole(TokenRef(asked, chain))

    return figures
