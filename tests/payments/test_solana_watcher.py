"""Nothing that arrives is unseen: pages, forks, late lists, nodes that fail or lie, kills at every point."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.payments.amounts import SOL, USDC
from managers.payments.solana_rpc import NoServerError
from managers.redis.client import RedisUnavailableError
from managers.storage.postgres import PostgresManager
from sandbox.payments.solana.faults import Fault
from sandbox.payments.solana.node import RpcNode
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from services.payments import keys as payment_keys
from services.payments.solana_watcher import FLOOD, MAX_TRIES, QUIET_SLOTS
from tests.faults.proxy import FaultProxy
from tests.payments.ledger_kit import Clock, Stores, stores_on
from tests.payments.solana_kit import Shop, shop_on, units


@pytest.fixture
def payer(solana: SolanaSandbox) -> Wallet:
    return solana.wallet(sol=1_000, usdc=1_000)


@pytest.fixture
async def second(solana: SolanaSandbox) -> RpcNode:
    return await solana.add_node()


@pytest.fixture
async def careful(stores: Stores, solana: SolanaSandbox, second: RpcNode, address: Pubkey) -> AsyncIterator[Shop]:
    """Has two servers."""
    assert second.url
    async with shop_on(stores, solana, address, servers=2) as shop:
        yield shop


def asked_for(shop: Shop, method: str) -> Callable[[], int]:
    """Count questions from now on."""
    asked = 0

    def count(name: str) -> None:
        nonlocal asked
        asked += name == method

    shop.solana.faults.after_call = count
    return lambda: asked


async def cursor_slot(shop: Shop) -> int | None:
    cursor = await shop.stores.ledger.cursor(f"solana:{str(shop.solana.cluster.genesis_hash)[:8]}:{shop.address}")
    return cursor.slot if cursor else None


async def test_each_transaction_is_asked_for_once_per_stage(shop: Shop, payer: Wallet) -> None:
    asked = asked_for(shop, "getTransaction")
    for amount in (100_000_000, 200_000_000):
        payer.send_sol(shop.address, amount)
    payer.fail(shop.address)
    shop.solana.advance(2)
    for _ in range(3):
        await shop.watcher.poll()
    assert asked() == 2
    for _ in range(3):
        await shop.final()
    assert asked() == 4


async def test_the_cursor_follows_what_is_old_enough(
    shop: Shop, payer: Wallet, postgres_manager: PostgresManager
) -> None:
    payer.send_sol(shop.address, 100_000_000)
    first_slot = shop.solana.cluster.slot
    await shop.final()
    assert await cursor_slot(shop) is None
    await shop.old()
    assert await cursor_slot(shop) == first_slot
    payer.send_sol(shop.address, 100_000_000)
    second_slot = shop.solana.cluster.slot
    await shop.final()
    assert await cursor_slot(shop) == first_slot
    await shop.old()
    assert await cursor_slot(shop) == second_slot
    await shop.stores.journal.drain_all()
    rows = await postgres_manager.fetch("SELECT slot FROM payment_cursors")
    assert [row["slot"] for row in rows] == [second_slot]


async def test_what_a_node_lists_late_is_found_all_the_same(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice()
    signature = payer.pay(asked.url)
    shop.solana.advance(5)
    payer.send_sol(shop.address, 100_000_000)

    def without_the_first(method: str, result: Any) -> Any:
        if method != "getSignaturesForAddress":
            return result
        return [one for one in result if one["signature"] != str(signature)]

    shop.solana.faults.rewrite = without_the_first
    await shop.final()
    shop.solana.advance(100)
    await shop.watcher.poll()
    assert not await shop.credited(asked)
    shop.solana.faults.rewrite = None
    await shop.watcher.poll()
    assert await shop.credited(asked)


async def test_after_days_without_the_bot_everything_is_found_over_many_pages(
    shop: Shop, stores: Stores, solana: SolanaSandbox, payer: Wallet
) -> None:
    payer.send_sol(shop.address, 100_000_000)
    await shop.final()
    await shop.old()
    asked = await shop.invoice()
    payer.pay(asked.url)
    for number in range(70):
        payer.send_sol(shop.address, 10_000_000 + number)
        solana.advance()
    solana.faults.shuffles_listing = solana.faults.duplicates_listing = True
    async with shop_on(stores, solana, shop.address, page=2) as restarted:
        await restarted.final()
        assert await restarted.credited(asked)
        assert len(await restarted.unmatched()) == 71
        await restarted.old()
        assert await cursor_slot(restarted) == solana.cluster.slot - 150 - 40 - 32 - 1


async def test_what_lands_between_two_pages_is_not_passed(
    stores: Stores, solana: SolanaSandbox, address: Pubkey, payer: Wallet
) -> None:
    async with shop_on(stores, solana, address, page=3) as shop:
        asked = await shop.invoice()
        for number in range(8):
            payer.send_sol(address, 10_000_000 + number)
            solana.advance()
        late: list[Signature] = []

        def land(method: str) -> None:
            if method == "getSignaturesForAddress" and not late:
                late.append(payer.pay(asked.url))
                solana.advance(3)

        solana.faults.after_call = land
        await shop.final()
        await shop.final()
        assert await shop.credited(asked)
        assert len(await shop.unmatched()) == 8


@pytest.mark.parametrize("is_error", [False, True])
async def test_a_page_that_goes_on_from_what_was_forked_away_is_no_end(
    stores: Stores,
    solana: SolanaSandbox,
    address: Pubkey,
    payer: Wallet,
    is_error: bool,  # noqa: FBT001 - a parameter
) -> None:
    solana.faults.unknown_cursor_is_error = is_error
    async with shop_on(stores, solana, address, page=1) as shop:
        payer.send_sol(address, 100_000_000)
        await shop.final()
        await shop.old()
        before = await cursor_slot(shop)
        asked = await shop.invoice()
        payer.pay(asked.url)
        solana.advance(40)
        doomed = payer.send_sol(address, 300_000_000)
        solana.advance(2)

        def fork(method: str) -> None:
            if method == "getSignaturesForAddress":
                solana.faults.after_call = None
                solana.cluster.fork_away(doomed)

        solana.faults.after_call = fork
        if is_error:
            with pytest.raises(NoServerError):
                await shop.watcher.poll()
            shop.clock.pass_(seconds=5)
        else:
            await shop.watcher.poll()
            assert shop.watcher.incomplete == 1
        assert await cursor_slot(shop) == before
        await shop.final()
        assert await shop.credited(asked)


async def test_a_confirmed_payment_that_is_forked_away_vanishes_without_harm(shop: Shop, payer: Wallet) -> None:
    payer.send_sol(shop.address, 100_000_000)
    await shop.final()
    asked = await shop.invoice()
    lost = payer.pay(asked.url)
    shop.solana.advance(2)
    await shop.watcher.poll()
    assert await shop.state(asked) == "confirming"
    shop.solana.cluster.fork_away(lost)
    shop.solana.finalize()
    payer.send_sol(shop.address, 200_000_000)
    await shop.final()
    assert shop.watcher.forked == 1
    shop.clock.pass_(minutes=6)
    assert await shop.state(asked) == "open"
    payer.pay(asked.url)
    await shop.final()
    assert await shop.state(asked) == "paid"
    assert len(await shop.stores.ledger.entitlements(asked.invoice.user_id)) == 1


async def test_an_unreadable_transaction_costs_itself_and_goes_to_the_admins_in_the_end(
    shop: Shop, payer: Wallet
) -> None:
    payer.send_sol(shop.address, 100_000_000)
    await shop.final()
    await shop.old()
    before = await cursor_slot(shop)
    bad = payer.send_sol(shop.address, 300_000_000)
    shop.solana.advance()
    asked = await shop.invoice()
    payer.pay(asked.url)

    def garbled(method: str, result: Any) -> Any:
        is_bad = method == "getTransaction" and result and result["transaction"]["signatures"][0] == str(bad)
        return {**result, "meta": {"err": None}} if is_bad else result

    shop.solana.faults.rewrite = garbled
    await shop.final()
    assert await shop.credited(asked), "its neighbour goes on"
    for _ in range(MAX_TRIES - 2):
        shop.clock.pass_(seconds=61)
        await shop.watcher.poll()
    shop.solana.advance(400)
    await shop.watcher.poll()
    assert (await cursor_slot(shop), shop.watcher.unreadable) == (before, 0), "the cursor waits for it"
    shop.clock.pass_(seconds=61)
    await shop.watcher.poll()
    assert shop.watcher.unreadable == 1
    [_, given_up] = sorted(await shop.stores.ledger.unmatched(), key=lambda record: record.note)
    assert given_up.arrival.key == f"solana:{bad}:unreadable"
    assert given_up.note.startswith("unreadable")
    assert (await cursor_slot(shop) or 0) > (before or 0)


async def test_a_transaction_that_comes_late_is_waited_for(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice()
    payer.pay(asked.url)
    shop.solana.faults.late_transactions = 3
    questions = asked_for(shop, "getTransaction")
    for _ in range(6):
        await shop.final()
    assert questions() == 1, "not more often than it helps"
    for _ in range(5):
        shop.clock.pass_(seconds=5)
        await shop.watcher.poll()
    assert await shop.credited(asked)
    assert questions() == 4


async def test_nothing_is_credited_on_one_servers_word(careful: Shop, second: RpcNode, payer: Wallet) -> None:
    asked = await careful.invoice()
    payer.pay(asked.url)
    second.faults.always = Fault.DROP
    await careful.final()
    assert not await careful.credited(asked)
    for _ in range(20):
        careful.clock.pass_(minutes=5)
        await careful.watcher.poll()
    assert not await careful.credited(asked), "it waits, however long"
    assert (careful.watcher.waiting, careful.watcher.unreadable) == (1, 0)
    second.faults.always = None
    second.faults.lag_slots = 100
    careful.clock.pass_(seconds=61)
    await careful.watcher.poll()
    assert not await careful.credited(asked)
    second.faults.lag_slots = 0
    careful.clock.pass_(seconds=61)
    await careful.watcher.poll()
    assert await careful.credited(asked)
    assert careful.watcher.waiting == 0


async def test_a_server_that_lies_credits_nobody(careful: Shop, solana: SolanaSandbox, payer: Wallet) -> None:
    asked = await careful.invoice()
    payer.send_sol(careful.address, 20_000_000, references=[Pubkey.from_string(asked.invoice.reference)])

    def more(method: str, result: Any) -> Any:
        if method != "getTransaction" or result is None:
            return result
        keys = [one["pubkey"] for one in result["transaction"]["message"]["accountKeys"]]
        balances = list(result["meta"]["postBalances"])
        balances[keys.index(str(careful.address))] += 10**12
        return {**result, "meta": {**result["meta"], "postBalances": balances}}

    solana.faults.rewrite = more
    await careful.final()
    assert not await careful.credited(asked)
    assert careful.receipts.contradictions == 1
    solana.faults.rewrite = None
    careful.clock.pass_(seconds=2)
    await careful.watcher.poll()
    assert await careful.state(asked) == "underpaid"


async def test_another_transaction_than_was_asked_for_is_none(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice()
    real = payer.pay(asked.url)
    await shop.final()
    answers = await shop.rpc.transactions(str(real), "finalized")
    other = payer.send_sol(shop.address, 1_000_000)

    def swapped(method: str, result: Any) -> Any:
        return json.loads(answers[0] or b"") if method == "getTransaction" else result

    shop.solana.faults.rewrite = swapped
    await shop.final()
    assert (await shop.claims.claim(1, str(other))).verdict == "admin"
    assert len((await shop.file(asked)).arrivals) == 1


async def test_redis_goes_between_reading_and_writing_and_a_new_process_goes_on(
    redis_url: str,
    postgres_manager: PostgresManager,
    clock: Clock,
    solana: SolanaSandbox,
    address: Pubkey,
    payer: Wallet,
) -> None:
    async with FaultProxy(redis_url) as proxy:
        async with (
            stores_on(proxy.redis_url, postgres_manager, clock) as stores,
            shop_on(stores, solana, address) as shop,
        ):
            asked = [await shop.invoice(), await shop.invoice("usdc"), await shop.invoice()]
            for one in asked:
                payer.pay(one.url)
            solana.finalize()
            solana.faults.after_call = lambda method: _cut(proxy) if method == "getTransaction" else None
            with pytest.raises(RedisUnavailableError):
                await shop.watcher.poll()
            solana.faults.after_call = None
        await proxy.repair()
        async with (
            stores_on(proxy.redis_url, postgres_manager, clock) as stores,
            shop_on(stores, solana, address) as shop,
        ):
            proxy.lose_reply_to(b"EVALSHA")
            with pytest.raises(RedisUnavailableError):
                await shop.watcher.poll()
            await shop.watcher.poll()
            assert [await shop.credited(one) for one in asked] == [True] * 3
            for one in asked:
                assert [told.kind for told in await shop.told(one)] == ["receipt"]
                assert len(await stores.ledger.entitlements(one.invoice.user_id)) == 1


def _cut(proxy: FaultProxy) -> None:
    proxy.lose_reply_to(b"MGET")


async def test_under_a_flood_of_dust_references_are_asked_first(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice()
    payer.send_sol(shop.address, 10_000_000)
    for _ in payer.flood_over_slots(shop.address, FLOOD + 50, per_slot=100):
        pass
    signature = payer.pay(asked.url)
    order: list[str] = []

    def note(method: str, result: Any) -> Any:
        if method == "getTransaction":
            order.append(result["transaction"]["signatures"][0])
        return result

    shop.solana.faults.rewrite = note
    await shop.final()
    assert order[0] == str(signature)
    assert await shop.credited(asked)
    assert shop.receipts.dust == FLOOD + 50


async def test_the_reference_is_asked_on_demand(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice("usdc")
    payer.pay(asked.url)
    shop.solana.finalize()
    file = await shop.watcher.check(asked.invoice.id)
    assert file is not None
    assert file.is_credited
    assert await shop.watcher.check("nobody's") is None


async def test_usdc_and_sol_for_many_are_told_apart(shop: Shop, payer: Wallet) -> None:
    asked = [await shop.invoice(coin) for coin in ("sol", "usdc") for _ in range(10)]
    for number, one in enumerate(asked):
        if one.invoice.method == "sol":
            payer.send_sol(shop.address, units(one.invoice.amount, SOL))
        else:
            payer.send_tokens(shop.address, units(one.invoice.amount, USDC))
        if number % 3 == 0:
            shop.solana.advance()
            await shop.watcher.poll()
    await shop.final()
    assert [await shop.state(one) for one in asked] == ["paid"] * 20
    assert await shop.unmatched() == []


async def test_the_watch_goes_on_after_every_failure(shop: Shop, payer: Wallet) -> None:
    asked = await shop.invoice()
    payer.pay(asked.url)
    shop.solana.finalize()
    shop.solana.faults.fail_next(Fault.ERROR_5XX)
    watching = asyncio.create_task(shop.watcher.run())
    try:
        async with asyncio.timeout(20):
            while shop.watcher.polled_at is None or not await shop.credited(asked):
                shop.clock.now += timedelta(seconds=1)
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert sum(counts.failures for counts in shop.rpc.counts.values()) == 1


async def test_an_invoice_that_cannot_be_read_costs_itself_and_its_payment_goes_to_the_admins(
    shop: Shop, payer: Wallet
) -> None:
    asked = [await shop.invoice() for _ in range(3)]
    name, redis = payment_keys.INVOICE.of(asked[1].invoice.id), shop.stores.redis
    await redis.set(name, b"{")
    others = {asked[0].invoice.id, asked[2].invoice.id}
    assert {one.id for one in await shop.stores.ledger.open_invoices()} == others
    for one in asked:
        payer.pay(one.url)
    await shop.final()
    assert [await shop.credited(one) for one in (asked[0], asked[2])] == [True, True]
    assert await shop.watcher.check_all() == []
    for _ in range(MAX_TRIES):
        shop.clock.pass_(seconds=60)
        await shop.watcher.poll()
    assert await shop.unmatched() == [("?", "0")]
    assert await redis.get(name) == b"{"


async def quiet_since_a_payment(shop: Shop, payer: Wallet) -> int:
    """Somebody paid long ago, and nothing has come since; return the slot of that."""
    payer.send_sol(shop.address, 100_000_000)
    paid_at = shop.solana.cluster.slot
    await shop.final()
    await shop.old()
    return paid_at


async def test_where_nothing_comes_for_days_a_server_may_forget_what_was_read(shop: Shop, payer: Wallet) -> None:
    paid_at = await quiet_since_a_payment(shop, payer)
    shop.solana.cluster.skip(3 * QUIET_SLOTS)
    await shop.old()
    reached = await cursor_slot(shop) or 0
    assert paid_at < reached <= shop.solana.cluster.slot - QUIET_SLOTS
    shop.solana.faults.pruned_before_slot = reached - 100
    for _ in range(2):
        await shop.old()
        assert shop.watcher.polled_at == shop.clock.now, "there is nothing that it has not read"
    asked = await shop.invoice()
    payer.pay(asked.url)
    await shop.final()
    assert await shop.credited(asked)
    assert shop.watcher.polled_at == shop.clock.now
    assert shop.watcher.incomplete == 0


async def test_what_was_pruned_unread_is_never_taken_for_read(shop: Shop, payer: Wallet) -> None:
    paid_at = await quiet_since_a_payment(shop, payer)
    complete_at = shop.watcher.polled_at
    shop.solana.advance(100)
    shop.solana.faults.pruned_before_slot = paid_at + 50
    shop.clock.pass_(seconds=60)
    await shop.watcher.poll()
    assert shop.watcher.polled_at == complete_at
    assert await cursor_slot(shop) == paid_at


async def test_a_list_without_what_the_server_has_itself_is_not_believed(shop: Shop, payer: Wallet) -> None:
    paid_at = await quiet_since_a_payment(shop, payer)
    complete_at = shop.watcher.polled_at
    shop.solana.faults.rewrite = lambda method, result: [] if method == "getSignaturesForAddress" else result
    shop.clock.pass_(seconds=60)
    await shop.watcher.poll()
    assert shop.watcher.polled_at == complete_at
    assert await cursor_slot(shop) == paid_at


async def test_on_a_chain_that_began_anew_nothing_waits_for_the_old_one(
    shop: Shop, stores: Stores, payer: Wallet
) -> None:
    await quiet_since_a_payment(shop, payer)
    async with SolanaSandbox(clock=stores.clock.timestamp) as anew, shop_on(stores, anew, shop.address) as restarted:
        for _ in range(2):
            await restarted.old()
            assert restarted.watcher.polled_at == stores.clock.now
        assert restarted.watcher.incomplete == 0
