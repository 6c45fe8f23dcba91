"""Where crypto is paid, and the connections to it. A way that is not configured has none."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from managers.payments.solana_rpc import SolanaRpcManager
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.jupiter import JupiterManager
from services.payments.rates import SolPrices


@dataclass(frozen=True, kw_only=True, slots=True)
class SolanaAccess:
    wallet: str
    usdc_mint: str
    rpc_urls: tuple[str, ...]
    """The preferred one first."""
    dexscreener_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NowPaymentsAccess:
    url: str
    api_key: str
    ipn_secret: str = ""
    email: str = ""
    password: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolanaConnection:
    access: SolanaAccess
    rpc: SolanaRpcManager
    prices: tuple[SolPrices, SolPrices]
    """Independent of each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NowPaymentsConnection:
    access: NowPaymentsAccess
    manager: NowPaymentsManager


async def connect_solana(
    access: SolanaAccess, api: APIRetryManager, price_api_url: str, stack: AsyncExitStack
) -> SolanaConnection:
    return SolanaConnection(
        access=access,
        rpc=await stack.enter_async_context(SolanaRpcManager(access.rpc_urls)),
        prices=(JupiterManager(api, price_api_url), DexScreenerManager(api, access.dexscreener_url)),
    )


def connect_nowpayments(access: NowPaymentsAccess, api: APIRetryManager) -> NowPaymentsConnection:
    manager = NowPaymentsManager(
        api, api_key=access.api_key, base_url=access.url, email=access.email, password=access.password
    )
    return NowPaymentsConnection(access=access, manager=manager)
