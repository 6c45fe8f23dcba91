"""Subscriptions, heard with solana-py and by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from solana.rpc.commitment import Confirmed, Finalized
from solana.rpc.websocket_api import SolanaWsClient
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.rpc.responses import AccountNotification, LogsNotification, SignatureNotification
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from sandbox.payments.solana.server import SolanaSandbox
from tests.sandbox.payments.solana_kit import reference


async def ask(socket: ClientConnection, method: str, *params: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))
    return await hear(socket)


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())


async def test_solana_py_hears_a_payment(solana: SolanaSandbox):
    merchant, payer = solana.wallet(), solana.wallet()
    solana.finalize()
    async with SolanaWsClient(solana.ws_url) as socket:
        await socket.logs_subscribe(filter_=RpcTransactionLogsFilterMentions(merchant.address), commitment=Confirmed)
        account = await socket.account_subscribe(pubkey=merchant.address, commitment=Finalized, encoding="base64")
        paid = payer.send_sol(merchant.address, 10**9)
        await socket.signature_subscribe(signature=paid, commitment=Confirmed)
        solana.advance(2)
        told = [await socket.recv() for _ in range(2)]
        logs = next(each for each in told if isinstance(each, LogsNotification))
        assert logs.result.value.signature == paid
        done = next(each for each in told if isinstance(each, SignatureNotification))
        assert done.result.value.err is None
        solana.finalize()
        changed = await socket.recv()
        assert isinstance(changed, AccountNotification)
        assert changed.result.value.lamports == 11 * 10**9
        await socket.unsubscribe(account)


async def test_a_signature_is_told_once_and_then_forgotten(solana: SolanaSandbox):
    async with connect(solana.ws_url) as socket:
        failed = solana.wallet().fail(solana.wallet().address)
        config = {"commitment": "confirmed", "enableReceivedNotification": True}
        number = (await ask(socket, "signatureSubscribe", str(failed), config))["result"]
        assert (await hear(socket))["params"]["result"]["value"] == "receivedSignature"
        solana.advance(2)
        told = await hear(socket)
        assert told["method"] == "signatureNotification"
        assert told["params"]["subscription"] == number
        assert told["params"]["result"]["value"] == {"err": {"InstructionError": [0, {"Custom": 1}]}}
        solana.finalize()
        answer = await ask(socket, "signatureUnsubscribe", number)
        assert answer["error"] == {"code": -32602, "message": "Invalid subscription id."}


async def test_processed_logs_come_within_the_slot(solana: SolanaSandbox):
    payer, to = solana.wallet(), solana.wallet().address
    async with connect(solana.ws_url) as socket:
        await ask(socket, "logsSubscribe", "all", {"commitment": "processed"})
        for _ in range(2):
            paid = payer.send_sol(to, 10**8)
            assert (await hear(socket))["params"]["result"]["value"]["signature"] == str(paid)


async def test_slots_and_roots(solana: SolanaSandbox):
    async with connect(solana.ws_url) as socket:
        await ask(socket, "slotSubscribe")
        solana.advance(2)
        told = [(await hear(socket))["params"]["result"] for _ in range(2)]
        now = solana.cluster.slot
        assert told == [{"parent": each - 1, "root": now - 32, "slot": each} for each in (now - 1, now)]
        await ask(socket, "rootSubscribe")
        solana.advance()
        heard = [await hear(socket) for _ in range(2)]
        assert now - 31 in [each["params"]["result"] for each in heard]


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("signatureSubscribe", ["abc"], -32602),
        ("accountSubscribe", [], -32602),
        ("logsSubscribe", [{"mentions": [str(reference()), str(reference())]}], -32602),
        ("logsSubscribe", ["some"], -32602),
        ("accountUnsubscribe", [99_999_999], -32602),
        ("blockSubscribe", ["all"], -32601),
    ],
)
async def test_wrong_subscriptions_are_refused(solana: SolanaSandbox, method: str, params: list[Any], code: int):
    async with connect(solana.ws_url) as socket:
        assert (await ask(socket, method, *params))["error"]["code"] == code


async def test_sockets_fall_silent_or_break(solana: SolanaSandbox):
    payer, to = solana.wallet(), solana.wallet().address
    async with connect(solana.ws_url) as socket:
        await ask(socket, "logsSubscribe", "all", {"commitment": "confirmed"})
        solana.faults.silent_subscriptions = True
        paid = payer.send_sol(to, 10**8)
        solana.advance(2)
        await (await socket.ping())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.05)
        solana.faults.silent_subscriptions = False
        solana.advance()
        heard = [(await hear(socket))["params"]["result"]["value"]["signature"] for _ in range(3)]
        assert str(paid) in heard
        solana.nodes[0].drop_sockets()
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_slots_pass_by_themselves_when_wanted():
    async with SolanaSandbox(slot_s=0.001) as solana, connect(solana.ws_url) as socket:
        paid = solana.wallet().send_sol(solana.wallet().address, 10**8)
        await ask(socket, "signatureSubscribe", str(paid), {"commitment": "finalized"})
        assert (await hear(socket))["method"] == "signatureNotification"
