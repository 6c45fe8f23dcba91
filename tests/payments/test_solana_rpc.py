"""Several RPC servers: the next is asked where one fails, and nobody but a server's own word is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from solders.keypair import Keypair

from domain.payments.solana_transfers import Receiver, incoming
from managers.payments.solana_rpc import NoServerError, SolanaRpcManager, UnsupportedTransactionError
from sandbox.payments.solana.errors import RpcError
from sandbox.payments.solana.faults import Fault
from sandbox.payments.solana.node import RpcNode
from sandbox.payments.solana.server import SolanaSandbox


class Monotonic:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def solana() -> AsyncIterator[SolanaSandbox]:
    async with SolanaSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def other(solana: SolanaSandbox) -> RpcNode:
    return await solana.add_node()


@pytest.fixture
def time() -> Monotonic:
    return Monotonic()


@pytest.fixture
async def rpc(solana: SolanaSandbox, other: RpcNode, time: Monotonic) -> AsyncIterator[SolanaRpcManager]:
    async with SolanaRpcManager([solana.url, other.url], requests_per_s=1_000, clock=time) as manager:
        yield manager


def failures(rpc: SolanaRpcManager) -> list[int]:
    return [counts.failures for counts in rpc.counts.values()]


@pytest.mark.parametrize("fault", [one for one in Fault if one is not Fault.DROP_AFTER])
async def test_the_next_server_is_asked_where_one_fails(
    solana: SolanaSandbox, rpc: SolanaRpcManager, time: Monotonic, fault: Fault
) -> None:
    solana.faults.fail_next(fault)
    genesis = await rpc.genesis_hash()
    assert genesis == str(solana.cluster.genesis_hash)
    assert failures(rpc) == [1, 0]
    assert rpc.problem is None
    assert await rpc.genesis_hash() == genesis
    assert [counts.requests for counts in rpc.counts.values()] == [1, 2], "the first rests"
    time.now_s += 1.1
    await rpc.genesis_hash()
    assert [counts.requests for counts in rpc.counts.values()] == [2, 2], "the first is well again"


async def test_a_server_rests_for_as_long_as_it_says_and_longer_each_time(
    solana: SolanaSandbox, rpc: SolanaRpcManager, time: Monotonic
) -> None:
    solana.faults.retry_after_s = 7
    solana.faults.fail_next(Fault.RATE_LIMIT, 2)
    await rpc.slot()
    time.now_s += 6.9
    await rpc.genesis_hash()
    assert failures(rpc) == [1, 0]
    time.now_s += 0.2
    await rpc.genesis_hash()
    assert failures(rpc) == [2, 0]
    time.now_s += 13.9
    await rpc.genesis_hash()
    assert failures(rpc) == [2, 0]
    time.now_s += 0.2
    await rpc.genesis_hash()
    assert rpc.problem is None


async def test_where_none_answers_that_is_said(solana: SolanaSandbox, other: RpcNode, rpc: SolanaRpcManager) -> None:
    solana.faults.always = Fault.HTML_200
    other.faults.always = Fault.FORBIDDEN
    with pytest.raises(NoServerError):
        await rpc.slot()
    assert rpc.problem is not None
    with pytest.raises(NoServerError):
        await rpc.slot()
    assert failures(rpc) == [1, 1], "those that rest are not asked"
    assert [counts.foreign_answers for counts in rpc.counts.values()] == [1, 0]


async def test_a_server_that_is_far_behind_rests(solana: SolanaSandbox, other: RpcNode, rpc: SolanaRpcManager) -> None:
    solana.advance(400)
    solana.faults.lag_slots = 149
    await rpc.slot()
    assert failures(rpc) == [0, 0]
    solana.faults.lag_slots = 200
    assert await rpc.slot() == solana.cluster.slot - 32
    assert failures(rpc) == [1, 0]
    other.faults.lag_slots = 200
    assert await rpc.slot() == solana.cluster.slot - 232, "there is nobody to say that it is behind"


async def test_signatures_come_in_pages_with_what_is_known_of_them(
    solana: SolanaSandbox, rpc: SolanaRpcManager
) -> None:
    shop, payer = Keypair().pubkey(), solana.wallet()
    sent = [str(payer.send_sol(shop, 1_000_000 + n)) for n in range(3)]
    solana.finalize()
    sent.append(str(payer.fail(shop)))
    solana.advance(2)
    first = await rpc.signatures(str(shop), limit=2)
    assert [(one.signature, one.failed, one.is_final) for one in first] == [
        (sent[3], True, False),
        (sent[2], False, True),
    ]
    assert all(one.at is not None for one in first)
    assert [one.signature for one in await rpc.signatures(str(shop), before=sent[2])] == [sent[1], sent[0]]


async def test_a_transaction_is_told_by_as_many_servers_as_are_asked(
    solana: SolanaSandbox, other: RpcNode, rpc: SolanaRpcManager
) -> None:
    shop, payer = Keypair().pubkey(), solana.wallet()
    signature = str(payer.send_sol(shop, 5_000_000))
    solana.advance(2)
    assert await rpc.transactions(signature, "finalized", servers=2) == [None, None]
    solana.finalize()
    other.faults.lag_slots = 40
    answers = await rpc.transactions(signature, "finalized", servers=2)
    assert [answer is None for answer in answers] == [False, True]
    receiver = Receiver(wallet=str(shop), usdc_mint="", token_accounts=frozenset())
    [came] = incoming(answers[0] or b"", receiver)
    assert (came.units, came.signature) == (5_000_000, signature)
    other.faults.fail_next(Fault.DROP)
    with pytest.raises(NoServerError):
        await rpc.transactions(signature, "finalized", servers=2)
    with pytest.raises(NoServerError):
        await rpc.transactions(signature, "finalized", servers=2)
    assert [answer is None for answer in await rpc.transactions(signature, "finalized")] == [False]


async def test_a_form_that_we_cannot_read_is_not_the_servers_fault(
    solana: SolanaSandbox, rpc: SolanaRpcManager
) -> None:
    shop, payer = Keypair().pubkey(), solana.wallet()
    signature = str(payer.send_sol(shop, 5_000_000))
    solana.finalize()

    def with_new_members(_method: str, result: Any) -> Any:
        return {**result, "version": 7, "meta": {**result["meta"], "status": {"Pending": {"of": 3}}}}

    solana.faults.rewrite = with_new_members
    (answer,) = await rpc.transactions(signature, "finalized")
    assert answer is not None
    assert len(incoming(answer, Receiver(wallet=str(shop), usdc_mint="", token_accounts=frozenset()))) == 1
    assert failures(rpc) == [0, 0]


def test_there_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="no server"):
        SolanaRpcManager([])


async def test_a_version_that_is_too_new_costs_itself(solana: SolanaSandbox, rpc: SolanaRpcManager) -> None:
    signature = str(solana.wallet().send_sol(Keypair().pubkey(), 5_000_000))
    solana.finalize()

    def refuse(_method: str, _result: Any) -> Any:
        raise RpcError(-32015, "Transaction version (1) is not supported by the requesting client.")

    solana.faults.rewrite = refuse
    with pytest.raises(UnsupportedTransactionError):
        await rpc.transactions(signature, "finalized")
    assert failures(rpc) == [0, 0]
