"""What the sandbox counts of what it sees, and the wallets that its people have."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.telegram.wallets.hook import WalletPayment
from sandbox.world.payments import open_chain
from sandbox.world.wallets import CoinWallet, SolanaWallet
from sandbox.world.world import MARKET_BEGINS_ANEW, Wants, World, copied_addresses, open_world
from tests.sandbox.payments.nowpayments_kit import Client

MINT = "4Nd1mYvW7c5Yq6Jb8hVwq3mUuM8pDk3yqT8oXv1s2aBc"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


def message(*copied: str, **more: Any) -> dict[str, Any]:
    row = [{"text": "Copy", "copy_text": {"text": text}} for text in copied]
    return {
        "chat": {"id": 7},
        "reply_markup": {"inline_keyboard": [row, [{"text": "x", "url": "https://x.org"}]]},
    } | more


def test_alerts_are_counted_and_payments_and_answers_are_not():
    world = World()
    world.saw_message(message(MINT))
    world.saw_message(message(MINT, edit_date=1))
    world.saw_message(message(MINT, "0.236390001"))
    world.saw_message(message("rmPBE2t811vwU5HXiBGsUt1cCmLQkysHXm", "17", "318359387"))
    world.saw_message({"chat": {"id": 7}})
    answer = message(MINT)
    answer["reply_markup"]["inline_keyboard"].append([{"text": "Refresh", "callback_data": f"token:{MINT}"}])
    world.saw_message(answer)
    assert world.alerts == {(7, MINT): 1}
    assert (world.panel()["alerts"], world.sent_twice) == (1, 0)
    world.saw_message(message(MINT))
    assert world.sent_twice == 1
    assert copied_addresses(message(MINT, USDC)) == [MINT, USDC]


async def test_who_tells_figures_is_started_with_prices_and_birdeye_only_when_asked_for(tmp_path: Path):
    nothing = {"telegram": False, "feed": False, "redis": False, "postgres": False}
    for birdeye in (False, True):
        wants = Wants(prices=True, birdeye=birdeye, **nothing)
        async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=0) as world:
            assert world.rugcheck
            assert world.goplus
            assert world.rugcheck.url != world.goplus.url
            assert (world.birdeye is not None) is birdeye
            assert world.dexscreener
            assert world.dexscreener.pools is world.pools
    async with open_world(Wants(prices=False, **nothing), data_dir=tmp_path, port=0, calls_per_s=0) as world:
        assert (world.rugcheck, world.goplus, world.birdeye) == (None, None, None)


async def test_the_wallet_knows_the_shop_and_what_was_said(tmp_path: Path):
    async with open_chain(tmp_path, slot_s=None) as paid:
        wallet = SolanaWallet(paid.wallet, paid.merchant)
        assert wallet.recognise([MINT], "0.5 SOL") is None
        cases = {
            ("7.5", "We see 0.5 USDC; send 7.5 USDC more"): ("7.5", "USDC"),
            ("0.2", "Send exactly 0.2 SOL on Solana"): ("0.2", "SOL"),
            ("0.2", "Bitte sende das"): ("0.2", "SOL"),
        }
        for (amount, said), expected in cases.items():
            found = wallet.recognise([amount, paid.merchant], said)
            assert found
            assert (found.amount, found.coin) == expected
        told = wallet.recognise([paid.merchant], "Send 39 USDC")
        assert told
        assert (told.amount, told.coin) == ("39", "USDC")


@pytest.mark.parametrize("url", ["solana:{}", "{}", "solana:{}?label=Bot"])
async def test_whoever_pays_says_how_much_where_nobody_else_does(tmp_path: Path, url: str):
    async with open_chain(tmp_path, slot_s=None) as paid:
        wallet = SolanaWallet(paid.wallet, paid.merchant)
        found = wallet.read(url.format(paid.merchant))
        assert found
        assert (found.amount, found.coin) == ("", "SOL")
        assert "SOL" in found.coins
        payment = WalletPayment(wallet=found.wallet, url=found.url, way="pay", amount="0.5", coin="SOL")
        sent = wallet.pay(payment)
        assert [(each.id, each.what, each.status) for each in wallet.sent()] == [(sent, "0.5 SOL", "processed")]
        paid.chain.finalize()
        assert wallet.sent()[0].is_final
        for amount in ("", "-1", "1e9", "0.1234567891", "99999999999999"):
            with pytest.raises(ValueError):  # noqa: PT011 -- in the wallet's own words
                wallet.pay(WalletPayment(wallet=found.wallet, url=found.url, way="pay", amount=amount, coin="SOL"))
        with pytest.raises(ValueError, match="no such act"):
            wallet.pay(WalletPayment(wallet=found.wallet, url=found.url, way="steal", amount="1", coin="SOL"))


async def test_coins_are_paid_to_what_the_processor_has_given_out():
    async with NowPaymentsSandbox() as processor:
        wallet = CoinWallet(processor)
        assert wallet.read(MINT) is None
        with pytest.raises(ValueError, match="does not know"):
            wallet.pay(WalletPayment(wallet=wallet.name, url="payment:1", way="full"))


async def test_what_was_given_out_is_payable_in_the_next_run(tmp_path: Path):
    wants = Wants(telegram=True, feed=False, prices=False, redis=False, postgres=False, solana=True, nowpayments=True)
    order = {"price_amount": 39, "price_currency": "usd", "pay_currency": "xrp"}
    async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=1, demo=False) as world:
        assert world.solana
        assert world.nowpayments
        merchant, genesis = world.solana.merchant, world.solana.chain.cluster.genesis_hash
        async with aiohttp.ClientSession() as session:
            _, made = await Client(world.nowpayments, session).post("/payment", **order)
    async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=1, demo=False) as world:
        assert world.solana
        assert world.telegram
        assert world.solana.merchant == merchant
        assert world.solana.chain.cluster.genesis_hash != genesis
        solana, coins = world.telegram.wallets
        assert solana.recognise(["0.2", merchant], "0.2 SOL")
        found = coins.recognise([made["pay_address"]], "")
        assert found
        coins.pay(WalletPayment(wallet=found.wallet, url=found.url, way="full"))
        assert [each.status for each in coins.sent()] == ["confirming"]


async def test_channels_go_on_behind_what_they_posted_in_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader keeps the numbers that it has read: who begins anew looks like another channel of that name."""
    nothing = {"telegram": False, "feed": False, "redis": False, "postgres": False, "prices": False}
    began, numbers = time.time(), list[set[int]]()
    for later_s in (0, 60):
        monkeypatch.setattr("sandbox.world.world.time.time", lambda later_s=later_s: began + later_s)
        wants = Wants(channels=True, **nothing)
        async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=500) as world:
            assert world.channels
            await world.channels.has_called.wait()
            pages = world.channels.pages
            numbers.append({number for name in world.channels.names for number in pages.channel(name).posts})
    earlier, later = numbers
    assert max(earlier) < min(later)


async def test_a_later_run_says_that_the_market_begins_anew(tmp_path: Path):
    wants = Wants(telegram=True, feed=True, prices=False, redis=False, postgres=False)
    said: list[list[str]] = []
    for _ in range(2):
        said.append([])
        async with open_world(wants, data_dir=tmp_path, port=0, calls_per_s=0, say=said[-1].append):
            pass
    assert said == [[], [MARKET_BEGINS_ANEW]]
