"""What `doctor` says of each way of paying, against the stand-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from bot.doctor.payments import NowPaymentsParts, SolanaParts, UnpayableError, payment_checks
from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from managers.payments.solana_rpc import SolanaRpcManager
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from tests.payments.solana_kit import Price, new_address


async def says(part: str, *, solana: SolanaParts | None = None, nowpayments: NowPaymentsParts | None = None) -> str:
    """Return the finding; one that is bad begins with `!`."""
    try:
        return await payment_checks(takes_stars=False, solana=solana, nowpayments=nowpayments)[part]()
    except UnpayableError as error:
        return f"!{error}"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def solana(stack: AsyncExitStack) -> SolanaSandbox:
    return await stack.enter_async_context(SolanaSandbox())


async def parts(stack: AsyncExitStack, *chains: SolanaSandbox, wallet: str, other: str = "100") -> SolanaParts:
    rpc = await stack.enter_async_context(SolanaRpcManager([chain.url for chain in chains]))
    return SolanaParts(rpc=rpc, wallet=wallet, usdc_mint=str(programs.USDC), prices=(Price(), Price(other)))


async def test_of_the_chain_and_the_wallet(stack: AsyncExitStack, solana: SolanaSandbox) -> None:
    nobody = await parts(stack, solana, wallet=str(new_address()))
    assert "!The chain does not know the wallet" in await says("Solana", solana=nobody)
    merchant = solana.wallet(sol=1)
    bare = await parts(stack, solana, wallet=str(merchant.address))
    said = await says("Solana", solana=bare)
    assert said.startswith("1 server(s) on one chain, the wallet is there; it has no account for USDC yet")
    assert "two servers or more" in said
    solana.open_token_account(merchant.address)
    assert "no account" not in await says("Solana", solana=bare)


async def test_of_servers_on_different_chains_and_silent_ones(stack: AsyncExitStack, solana: SolanaSandbox) -> None:
    async with SolanaSandbox() as other:
        both = await parts(stack, solana, other, wallet=str(solana.wallet(sol=1).address))
        assert "!The servers of SOLANA_RPC_URLS are on different chains" in await says("Solana", solana=both)
    assert "!No answer from 127.0.0.1" in await says("Solana", solana=both)


async def test_of_the_price(stack: AsyncExitStack, solana: SolanaSandbox) -> None:
    wallet = str(solana.wallet(sol=1).address)
    assert await says("SOL price for invoices", solana=await parts(stack, solana, wallet=wallet)) == (
        "100.00 USD, both sources agree"
    )
    differing = await parts(stack, solana, wallet=wallet, other="110")
    assert "!No price of SOL that both sources agree on within 2% (the sources say 100 and 110)" in await says(
        "SOL price for invoices", solana=differing
    )


@pytest.fixture
async def processor(stack: AsyncExitStack) -> NowPaymentsSandbox:
    return await stack.enter_async_context(NowPaymentsSandbox())


async def shop(
    stack: AsyncExitStack,
    processor: NowPaymentsSandbox,
    *,
    key: str | None = None,
    password: str = "",
    has_ipn_secret: bool = True,
    is_reached: bool = True,
) -> NowPaymentsParts:
    session = await stack.enter_async_context(aiohttp.ClientSession())
    manager = NowPaymentsManager(
        APIRetryManager(session),
        api_key=key or processor.api_key,
        base_url=processor.url,
        email="merchant@example.com",
        password=password,
    )
    return NowPaymentsParts(manager=manager, has_ipn_secret=has_ipn_secret, is_reached=is_reached)


async def test_of_the_processor(stack: AsyncExitStack, processor: NowPaymentsSandbox) -> None:
    well = await shop(stack, processor, password="sandbox")
    assert await says("NOWPayments", nowpayments=well) == (
        "11 coins; payments are told at once, and compared every night"
    )
    alone = await shop(stack, processor, has_ipn_secret=False, is_reached=False)
    assert "found by asking, and not compared" in await says("NOWPayments", nowpayments=alone)


async def test_of_a_processor_that_refuses(stack: AsyncExitStack, processor: NowPaymentsSandbox) -> None:
    assert "check NOWPAYMENTS_API_KEY" in await says("NOWPayments", nowpayments=await shop(stack, processor, key="no"))
    wrong = await shop(stack, processor, password="wrong")
    assert "check NOWPAYMENTS_EMAIL and NOWPAYMENTS_PASSWORD" in await says("NOWPayments", nowpayments=wrong)
    for secret, reached, lacking in ((True, False, "set PUBLIC_URL"), (False, True, "set NOWPAYMENTS_IPN_SECRET")):
        half = await shop(stack, processor, has_ipn_secret=secret, is_reached=reached)
        assert lacking in await says("NOWPayments", nowpayments=half)
    processor.desk.coins.clear()
    assert "no coin switched on" in await says("NOWPayments", nowpayments=await shop(stack, processor))


async def test_what_telegram_allows_is_said(stack: AsyncExitStack, processor: NowPaymentsSandbox) -> None:
    assert "Nobody can pay" in await says("paying")
    assert await says("Stars") == "off (PAY_WITH_STARS)"
    crypto = await says("paying", nowpayments=await shop(stack, processor))
    assert "Stars only: taking crypto beside is your own decision" in crypto
