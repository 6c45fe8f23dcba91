"""What nodes and forks do to a watcher, on demand."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import pytest
from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solders.signature import Signature

from sandbox.payments.solana import programs
from sandbox.payments.solana.faults import Fault
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet import instructions
from tests.sandbox.payments.solana_kit import RefusedError, Rpc, lamports_received, reference

CONFIRMED = {"commitment": "confirmed"}


async def test_a_storm_says_when_to_come_again(solana: SolanaSandbox, rpc: Rpc, client: AsyncClient):
    solana.faults.always, solana.faults.retry_after_s = Fault.RATE_LIMIT, 7
    status, body, headers = await rpc.post({"jsonrpc": "2.0", "id": 4, "method": "getSlot"})
    assert (status, headers["Retry-After"], body["error"]["code"], body["id"]) == (429, "7", 429, 4)
    with pytest.raises(SolanaRpcException):
        await client.get_slot()
    solana.faults.always = None
    assert (await client.get_slot()).value > 0
    assert solana.nodes[0].requests["getSlot"] >= 3


async def test_the_limit_of_requests_counts(session: aiohttp.ClientSession):
    async with SolanaSandbox(requests_per_10s=3) as solana:
        rpc = Rpc(solana.url, session)
        statuses = [(await rpc.post({"jsonrpc": "2.0", "id": 1, "method": "getSlot"}))[0] for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        solana.nodes[0].requests_per_10s, solana.nodes[0].requests_per_10s_of_a_method = 100, 4
        asked = ("getSlot", "getSlot", "getHealth")
        statuses = [(await rpc.post({"jsonrpc": "2.0", "id": 1, "method": each}))[0] for each in asked]
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(("fault", "status"), [(Fault.ERROR_5XX, 502), (Fault.FORBIDDEN, 403), (Fault.HTML_200, 200)])
async def test_pages_instead_of_answers(
    solana: SolanaSandbox, session: aiohttp.ClientSession, fault: Fault, status: int
):
    solana.faults.fail_next(fault)
    body = {"jsonrpc": "2.0", "id": 1, "method": "getSlot"}
    async with session.post(solana.url, json=body) as response:
        assert (response.status, response.content_type) == (status, "text/html")
        assert (await response.text()).startswith("<html>")
    async with session.post(solana.url, json=body) as response:
        assert "result" in await response.json()


async def test_answers_that_break_off(solana: SolanaSandbox, session: aiohttp.ClientSession, rpc: Rpc):
    body = {"jsonrpc": "2.0", "id": 1, "method": "requestAirdrop", "params": [str(reference()), 10**9]}
    landed = len(solana.cluster.ledger)
    for fault, done in ((Fault.DROP, 0), (Fault.DROP_AFTER, 1)):
        solana.faults.fail_next(fault)
        with pytest.raises(aiohttp.ClientError):
            await session.post(solana.url, json=body)
        assert len(solana.cluster.ledger) == landed + done
    solana.faults.fail_next(Fault.HALF_BODY)
    async with session.post(solana.url, json=body) as response:
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            await response.json()
    solana.faults.fail_next(Fault.INTERNAL_ERROR)
    with pytest.raises(RefusedError) as refused:
        await rpc("getSlot")
    assert refused.value.code == -32603


async def test_faults_can_meet_one_method_alone(solana: SolanaSandbox, rpc: Rpc):
    solana.faults.only_methods, solana.faults.always = frozenset({"getTransaction"}), Fault.RATE_LIMIT
    assert await rpc("getSlot") > 0
    body = {"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [str(Signature.default())]}
    assert (await rpc.post(body))[0] == 429


async def test_a_node_that_lags_knows_less(solana: SolanaSandbox, session: aiohttp.ClientSession, rpc: Rpc):
    late = Rpc((await solana.add_node(lag_slots=10)).url, session)
    payer, to, ours = solana.wallet(), solana.wallet().address, reference()
    old = payer.send_sol(to, 10**8, references=[ours])
    solana.advance(12)
    new = payer.send_sol(to, 10**8, references=[ours])
    solana.advance(2)
    assert await rpc.signatures(ours, **CONFIRMED) == [str(new), str(old)]
    assert await late.signatures(ours, **CONFIRMED) == [str(old)]
    assert await late.signatures(ours, before=str(new), **CONFIRMED) == []  # it does not know where to begin
    assert await late.signatures(ours, until=str(new), **CONFIRMED) == [str(old)]
    assert await late.transaction(new, **CONFIRMED) is None
    with pytest.raises(RefusedError, match="Minimum context slot") as refused:
        await late.signatures(ours, minContextSlot=await rpc("getSlot", CONFIRMED), **CONFIRMED)
    assert refused.value.data == {"contextSlot": await late("getSlot", CONFIRMED)}
    solana.nodes[1].faults.lag_slots = 200
    with pytest.raises(RefusedError, match="behind by 200 slots") as refused:
        await late("getHealth")
    assert (refused.value.code, refused.value.data) == (-32005, {"numSlotsBehind": 200})


async def test_a_newer_node_refuses_a_cursor_that_it_does_not_know(solana: SolanaSandbox, rpc: Rpc):
    solana.faults.unknown_cursor_is_error = True
    with pytest.raises(RefusedError) as refused:
        await rpc.signatures(reference(), before=str(Signature.default()))
    assert refused.value.code == -32020


async def test_pruned_history_is_silent(solana: SolanaSandbox, rpc: Rpc):
    payer, ours = solana.wallet(), reference()
    old = payer.send_sol(solana.wallet().address, 10**8, references=[ours])
    solana.finalize()
    new = payer.send_sol(solana.wallet().address, 10**8, references=[ours])
    solana.finalize()
    solana.faults.pruned_before_slot = solana.cluster.slot - 32
    assert await rpc.signatures(ours) == [str(new)]
    assert await rpc.transaction(old) is None
    assert await rpc("getFirstAvailableBlock") == solana.faults.pruned_before_slot
    solana.faults.keeps_history = False
    with pytest.raises(RefusedError) as refused:
        await rpc.transaction(new)
    assert refused.value.code == -32011


async def test_a_listed_transaction_may_be_missing_for_a_while(solana: SolanaSandbox, rpc: Rpc):
    ours = reference()
    paid = solana.wallet().send_sol(solana.wallet().address, 10**8, references=[ours])
    solana.finalize()
    solana.faults.late_transactions = 2
    assert await rpc.signatures(ours) == [str(paid)]
    found = [await rpc.transaction(paid) for _ in range(3)]
    assert [each is None for each in found] == [True, True, False]


async def test_a_confirmed_payment_can_disappear_with_all_that_followed_from_it(solana: SolanaSandbox, rpc: Rpc):
    payer, merchant, other = solana.wallet(sol=2), solana.wallet(), solana.wallet()
    ours, theirs = reference(), reference()
    heir = solana.wallet(sol=0)
    lost = payer.send_sol(heir.address, 10**9, references=[ours])
    spent = heir.send_sol(merchant.address, 5 * 10**8, references=[ours])
    kept = other.send_sol(merchant.address, 10**8, references=[theirs])
    solana.advance(3)
    assert await rpc.signatures(ours, **CONFIRMED) == [str(spent), str(lost)]
    solana.cluster.fork_away(lost)
    assert await rpc.signatures(ours, **CONFIRMED) == []
    assert await rpc.transaction(lost, **CONFIRMED) is None
    assert (await rpc("getSignatureStatuses", [str(lost)], {"searchTransactionHistory": True}))["value"] == [None]
    assert (payer.lamports, heir.lamports, merchant.lamports) == (2 * 10**9, 0, 10_100_000_000)
    assert await rpc.signatures(theirs, **CONFIRMED) == [str(kept)]
    assert lamports_received(await rpc.transaction(kept, **CONFIRMED), merchant.address) == 10**8
    solana.finalize()
    with pytest.raises(ValueError, match="not final"):
        solana.cluster.fork_away(kept)


async def test_a_forked_transaction_may_land_again_later(solana: SolanaSandbox, rpc: Rpc):
    payer, merchant, ours = solana.wallet(), solana.wallet(), reference()
    lost = payer.send_sol(merchant.address, 10**8, references=[ours])
    entry = solana.cluster.ledger.find(lost, solana.cluster.slot)
    assert entry is not None
    solana.advance(2)
    solana.cluster.fork_away(lost)
    assert solana.cluster.submit(entry.transaction) == lost
    solana.finalize()
    [listed] = await rpc("getSignaturesForAddress", str(ours))
    assert (listed["signature"], listed["slot"]) == (str(lost), entry.slot + 2)


async def test_token_balances_go_back_with_the_fork(solana: SolanaSandbox, rpc: Rpc):
    payer, merchant = solana.wallet(usdc=9), solana.wallet()
    lost = payer.send_tokens(merchant.address, 9_000_000)
    assert merchant.balance() == 9_000_000
    solana.cluster.fork_away(lost)
    assert (payer.balance(), merchant.balance()) == (9_000_000, 0)
    wanted = {"mint": str(programs.USDC)}
    held = await rpc("getTokenAccountsByOwner", str(merchant.address), wanted, {"commitment": "processed"})
    assert held["value"] == []


async def test_listings_may_come_twice_and_in_any_order(solana: SolanaSandbox, rpc: Rpc):
    ours = reference()
    sent = solana.wallet().flood(solana.wallet().address, 6, references=[ours])
    solana.finalize()
    solana.faults.duplicates_listing = solana.faults.shuffles_listing = True
    listed = await rpc.signatures(ours)
    assert sorted(listed) == sorted([str(each) for each in sent] * 2)
    assert listed != sorted(listed, key=[str(each) for each in sent][::-1].index)


async def test_payments_arrive_between_two_pages(solana: SolanaSandbox, rpc: Rpc):
    payer, merchant, ours = solana.wallet(), solana.wallet(), reference()
    first = [str(each) for each in payer.flood(merchant.address, 6, references=[ours])]
    solana.finalize()

    def somebody_pays(method: str) -> None:
        solana.faults.after_call = None
        payer.flood(merchant.address, 2, references=[ours])
        solana.finalize()

    solana.faults.after_call = somebody_pays
    page = await rpc.signatures(ours, limit=3)
    rest = await rpc.signatures(ours, limit=3, before=page[-1])
    assert page + rest == first[::-1]
    assert len(await rpc.signatures(ours, until=page[0])) == 2


async def test_a_flood_of_dust_is_listed_to_its_end(solana: SolanaSandbox, rpc: Rpc):
    thief, merchant, ours = solana.wallet(), solana.wallet(), reference()
    paid = solana.wallet().send_sol(merchant.address, 10**9, references=[ours])
    dust = [
        each
        for slot in thief.flood_over_slots(merchant.address, 2_500, per_slot=500, references=[ours])
        for each in slot
    ]
    solana.finalize()
    found: list[str] = []
    before: dict[str, str] = {}
    while page := await rpc.signatures(ours, **before):
        found += page
        before = {"before": page[-1]}
    assert found == [*map(str, dust[::-1]), str(paid)]
    assert lamports_received(await rpc.transaction(dust[0]), merchant.address) == 1


async def test_a_node_may_leave_out_and_lie(solana: SolanaSandbox, rpc: Rpc):
    paid = solana.wallet(usdc=5).send_tokens(solana.wallet().address, 1_000_000, references=[ours := reference()])
    solana.finalize()
    solana.faults.without_block_times = solana.faults.bare_token_balances = True
    assert (await rpc("getSignaturesForAddress", str(ours)))[0]["blockTime"] is None
    found = await rpc.transaction(paid)
    assert found["blockTime"] is None
    assert set(found["meta"]["postTokenBalances"][0]) == {"accountIndex", "mint", "uiTokenAmount"}

    def lie(method: str, result: Any) -> Any:
        return result | {"meta": result["meta"] | {"err": "AccountNotFound"}} if method == "getTransaction" else result

    solana.faults.rewrite = lie
    assert (await rpc.transaction(paid))["meta"]["err"] == "AccountNotFound"


async def test_a_sent_transaction_may_be_lost(solana: SolanaSandbox, rpc: Rpc):
    payer, ours = solana.wallet(), reference()
    solana.finalize()
    pay = instructions.sol_transfer(payer.address, solana.wallet().address, 10**8, [ours])
    wire = bytes(
        instructions.compile_transaction(
            payer.keypair, [pay], solana.cluster.block_at(solana.cluster.slot - 32).blockhash
        )
    )
    solana.faults.loses_sends = 1
    for landed in (0, 1):
        await rpc("sendTransaction", base64.b64encode(wire).decode(), {"encoding": "base64"})
        assert len(await rpc.signatures(ours, **CONFIRMED)) == 0
        solana.advance(2)
        assert len(await rpc.signatures(ours, **CONFIRMED)) == landed
