"""What `doctor` asks of each way of paying."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from msgspec import Struct

from bot.doctor.surroundings import Check
from domain.payments.amounts import SOL
from managers.payments.nowpayments import NowPaymentsManager
from managers.payments.solana_rpc import SolanaRpcManager
from runtime.clock import now
from runtime.counted import counted
from runtime.errors import BotError
from runtime.reasons import in_short
from services.payments.invoicing import token_account
from services.payments.rates import MAX_DIFFERENCE, Rates, SolPrices

_STARS_ONLY = "Telegram allows digital goods to be sold for Stars only"


class UnpayableError(BotError):
    """What is wrong and how to mend it, in one sentence."""


class SolanaParts(Struct, frozen=True, kw_only=True):
    rpc: SolanaRpcManager
    wallet: str
    usdc_mint: str
    prices: tuple[SolPrices, SolPrices]


class NowPaymentsParts(Struct, frozen=True, kw_only=True):
    manager: NowPaymentsManager
    has_ipn_secret: bool
    is_reached: bool
    """From outside: notifications can come."""


def payment_checks(
    *, takes_stars: bool, solana: SolanaParts | None, nowpayments: NowPaymentsParts | None
) -> dict[str, Check]:
    checks: dict[str, Check] = {"Stars": partial(_stars, takes_stars)}
    if solana:
        checks["Solana"] = partial(_solana, solana)
        checks["SOL price for invoices"] = partial(_sol_price, solana)
    if nowpayments:
        checks["NOWPayments"] = partial(_nowpayments, nowpayments)
    checks["paying"] = partial(_paying, takes_stars=takes_stars, takes_crypto=bool(solana or nowpayments))
    return checks


async def _stars(takes_stars: bool) -> str:  # noqa: FBT001 - a setting
    return "on: plans are sold for Telegram Stars" if takes_stars else "off (PAY_WITH_STARS)"


async def _paying(*, takes_stars: bool, takes_crypto: bool) -> str:
    if takes_crypto:
        return f"{_STARS_ONLY}: taking crypto beside is your own decision (PAY_WITH_CRYPTO)."
    if not takes_stars:
        return "Nobody can pay. That is well as long as config/plans.toml sells nothing; else set PAY_WITH_STARS."
    return f"{_STARS_ONLY}, and that is how they are sold here."


async def _solana(parts: SolanaParts) -> str:
    answers = await parts.rpc.genesis_hashes()
    silent = [host for host, genesis in answers if genesis is None]
    if silent:
        raise UnpayableError(f"No answer from {', '.join(silent)}: check SOLANA_RPC_URLS.")
    if len({genesis for _, genesis in answers}) > 1:
        named = ", ".join(f"{host}: {(genesis or '')[:8]}" for host, genesis in answers)
        raise UnpayableError(f"The servers of SOLANA_RPC_URLS are on different chains ({named}).")
    if not await parts.rpc.exists(parts.wallet):
        raise UnpayableError(
            f"The chain does not know the wallet {parts.wallet}: check SOLANA_WALLET, and send a little SOL to it."
        )
    said = [f"{len(answers)} server(s) on one chain, the wallet is there"]
    if not await parts.rpc.exists(token_account(parts.wallet, parts.usdc_mint)):
        said.append(
            "it has no account for USDC yet: most wallets open it with the first payment, some refuse to pay; "
            "send a little USDC to it first"
        )
    if len(answers) == 1:
        said.append("name two servers or more, so that they confirm each other (SOLANA_RPC_URLS)")
    return "; ".join(said)


async def _sol_price(parts: SolanaParts) -> str:
    one, other = parts.prices
    rates = Rates(one=one, other=other, clock=now)
    price = await rates.of(SOL.code)
    if price is None:
        raise UnpayableError(
            f"No price of SOL that both sources agree on within {MAX_DIFFERENCE:.0%} ({rates.problem}): SOL is not "
            "sold until they do; check PRICE_API_URL and DEXSCREENER_URL."
        )
    return f"{price:.2f} USD, both sources agree"


async def _nowpayments(parts: NowPaymentsParts) -> str:
    manager = parts.manager
    try:
        coins = await manager.coins()
    except BotError as error:
        raise UnpayableError(
            f"NOWPayments does not list its coins ({in_short(error)}): check NOWPAYMENTS_API_KEY."
        ) from error
    if not coins:
        raise UnpayableError("The account at NOWPayments has no coin switched on: choose some in its settings.")
    if parts.has_ipn_secret != parts.is_reached:
        lacking = "PUBLIC_URL" if parts.has_ipn_secret else "NOWPAYMENTS_IPN_SECRET"
        raise UnpayableError(f"Notifications of NOWPayments need NOWPAYMENTS_IPN_SECRET and PUBLIC_URL: set {lacking}.")
    told = "told at once" if parts.has_ipn_secret else "found by asking"
    listed = "compared every night" if await _can_list(manager) else "not compared (NOWPAYMENTS_EMAIL)"
    return f"{counted(len(coins), 'coin')}; payments are {told}, and {listed}"


async def _can_list(manager: NowPaymentsManager) -> bool:
    if not manager.can_list:
        return False
    try:
        async for _ in manager.payments(since=now() - timedelta(minutes=1)):
            break
    except BotError as error:
        raise UnpayableError(
            f"NOWPayments does not list payments ({in_short(error)}): check NOWPAYMENTS_EMAIL and NOWPAYMENTS_PASSWORD."
        ) from error
    return True
