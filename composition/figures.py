"""Who may be asked about tokens, by where they are."""

from __future__ import annotations

from composition.addresses import Addresses
from managers.http.api import APIRetryManager
from managers.providers.birdeye import BirdeyeManager
from managers.providers.dexscreener_figures import DexScreenerFigures
from managers.providers.dexscreener_lookup import DexScreenerLookup
from managers.providers.figures import FigureProvider
from managers.providers.geckoterminal_figures import GeckoTerminalFigures
from managers.providers.geckoterminal_lookup import GeckoTerminalLookup
from managers.providers.goplus import GoPlusEvmManager, GoPlusSolanaManager
from managers.providers.jupiter import JupiterManager
from managers.providers.jupiter_figures import JupiterFigures
from managers.providers.lookup import TokenLookup
from managers.providers.rugcheck import RugCheckManager


def figure_providers(at: Addresses, api: APIRetryManager, jupiter: JupiterManager | None) -> list[FigureProvider]:
    """Return who has an address; nobody for a feed that knows its tokens."""
    if at.source == "native":
        return []
    found: list[FigureProvider] = []
    if at.dexscreener_url:
        found.append(DexScreenerFigures(api, at.dexscreener_url))
    if at.geckoterminal_url:
        found.append(GeckoTerminalFigures(api, at.geckoterminal_url))
    if jupiter is not None:
        found.append(JupiterFigures(jupiter))
    if at.rugcheck_url:
        found.append(RugCheckManager(api, at.rugcheck_url))
    if at.goplus_url:
        found += [GoPlusSolanaManager(api, at.goplus_url), GoPlusEvmManager(api, at.goplus_url)]
    if at.birdeye_key:
        found.append(BirdeyeManager(api, at.birdeye_key, at.birdeye_url))
    return found


def lookups(at: Addresses, api: APIRetryManager) -> list[TokenLookup]:
    """Return who knows pools, and where a token is traded."""
    found: list[TokenLookup] = []
    if at.dexscreener_url:
        found.append(DexScreenerLookup(api, at.dexscreener_url))
    if at.geckoterminal_url:
        found.append(GeckoTerminalLookup(api, at.geckoterminal_url))
    return found
