"""The node's strictness: parameters, commitments, codes and words as documented."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import TxOpts
from solders.hash import Hash
from solders.keypair import Keypair
from solders.rpc.errors import (
    MinContextSlotNotReachedMessage,
    SendTransactionPreflightFailureMessage,
    UnsupportedTransactionVersionMessage,
)
from solders.rpc.responses import GetSignaturesForAddressResp
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from sandbox.payments.solana import base58, programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet import instructions
from tests.sandbox.payments.solana_kit import PARSED, USDC, RefusedError, Rpc, reference

SOMEBODY = "HqHqFxi5PsyTZDTPNzQGFPzY7Hb3Hxr2FyCbX8yhSE8R"
SOME_SIGNATURE = "58TqmUjBhhV7tfMtBNbM2PhP5RYnj1nUrG8nnjTUixcMBgpqX4puWuJcYbXALSgbvSSgjX1EmZC8xor6mgA8XvTo"

REFUSALS: list[tuple[str, list[Any], int, str]] = [
    ("getSignaturesForAddress", [], -32602, "`params` should have at least 1 argument(s)"),
    ("getSignaturesForAddress", [SOMEBODY, {}, 3], -32602, "Expected from 1 to 2 parameters"),
    ("getSignaturesForAddress", ["abc"], -32602, "Invalid param: WrongSize"),
    ("getSignaturesForAddress", ["0" * 44], -32602, "Invalid param: Invalid"),
    ("getSignaturesForAddress", [7], -32602, "invalid type: integer `7`, expected a string"),
    ("getSignaturesForAddress", [SOMEBODY, {"limit": 1001}], -32602, "Invalid limit; max 1000"),
    ("getSignaturesForAddress", [SOMEBODY, {"limit": 0}], -32602, "Invalid limit; max 1000"),
    ("getSignaturesForAddress", [SOMEBODY, {"limit": "9"}], -32602, 'invalid type: string "9"'),
    ("getSignaturesForAddress", [SOMEBODY, {"before": "abc"}], -32602, "Invalid param: WrongSize"),
    ("getSignaturesForAddress", [SOMEBODY, {"commitment": "processed"}], -32602, "below `confirmed`"),
    ("getSignaturesForAddress", [SOMEBODY, {"commitment": "final"}], -32602, "unknown variant `final`"),
    ("getSignaturesForAddress", [SOMEBODY, "finalized"], -32602, "expected a configuration object"),
    ("getTransaction", ["abc"], -32602, "Invalid param: WrongSize"),
    ("getTransaction", [SOME_SIGNATURE, {"commitment": "processed"}], -32602, "below `confirmed`"),
    ("getTransaction", [SOME_SIGNATURE, {"encoding": "xml"}], -32602, "unknown variant `xml`"),
    ("getSignatureStatuses", [[SOME_SIGNATURE] * 257], -32602, "Too many inputs provided; max 256"),
    ("getSignatureStatuses", [SOME_SIGNATURE], -32602, "expected a sequence"),
    ("getMultipleAccounts", [[SOMEBODY] * 101], -32602, "Too many inputs provided; max 100"),
    ("getTokenAccountBalance", [SOMEBODY], -32602, "Invalid param: could not find account"),
    ("getTokenAccountBalance", [USDC], -32602, "Invalid param: not a Token account"),
    ("getTokenAccountsByOwner", [SOMEBODY, {"mint": SOMEBODY}], -32602, "could not find mint"),
    ("getTokenAccountsByOwner", [SOMEBODY, {"programId": SOMEBODY}], -32602, "unrecognized Token program id"),
    ("getAccountInfo", [str(programs.ASSOCIATED_TOKEN)], -32600, "should be less than 128 bytes"),
    ("getSlot", [{"minContextSlot": 2**60}], -32016, "Minimum context slot has not been reached"),
    ("getBalances", [SOMEBODY], -32601, "Method not found"),
    ("sendTransaction", ["!!"], -32602, "invalid base58 encoding"),
    ("sendTransaction", ["!!", {"encoding": "base64"}], -32602, "invalid base64 encoding"),
    ("sendTransaction", ["abc"], -32602, "failed to deserialize"),
    ("sendTransaction", ["A" * 1700], -32602, "too large"),
    ("sendTransaction", ["abc", {"encoding": "json"}], -32602, "unsupported encoding"),
]


@pytest.mark.parametrize(("method", "params", "code", "words"), REFUSALS)
async def test_wrong_calls_are_refused_as_documented(rpc: Rpc, method: str, params: list[Any], code: int, words: str):
    with pytest.raises(RefusedError) as refused:
        await rpc(method, *params)
    assert refused.value.code == code
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"jsonrpc": "1.0", "id": 1, "method": "getSlot"}, -32600),
        ({"jsonrpc": "2.0", "id": 1}, -32600),
        ([], -32600),
        (7, -32600),
        ("getSlot", -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "getSlot", "params": {"commitment": "confirmed"}}, -32602),
    ],
)
async def test_what_is_no_request_is_refused_within_200(rpc: Rpc, body: Any, code: int):
    status, answer, _ = await rpc.post(body)
    assert (status, answer["error"]["code"]) == (200, code)


async def test_http_is_as_strict_as_the_original(solana: SolanaSandbox, session: aiohttp.ClientSession):
    async with session.post(solana.url, data=b"{") as response:
        assert response.status == 415
    headers = {"Content-Type": "application/json"}
    async with session.post(solana.url, data=b"{", headers=headers) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (200, -32700)
    async with session.post(solana.url, data=b" " * 60_000, headers=headers) as response:
        assert response.status == 413
    async with session.get(solana.url) as response:
        assert response.status == 405
    async with session.get(f"{solana.url}/health") as response:
        assert await response.text() == "ok"


async def test_a_batch_is_answered_in_its_order_without_its_notifications(rpc: Rpc):
    calls = [
        {"jsonrpc": "2.0", "id": "a", "method": "getHealth"},
        {"jsonrpc": "2.0", "method": "getHealth"},
        {"jsonrpc": "2.0", "id": None, "method": "nonsense"},
        5,
    ]
    _, answers, _ = await rpc.post(calls)
    assert answers[0] == {"jsonrpc": "2.0", "id": "a", "result": "ok"}
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32601, -32600]


async def test_a_v0_transaction_needs_a_client_that_knows_it(solana: SolanaSandbox, rpc: Rpc, client: AsyncClient):
    paid = solana.wallet().send_sol(reference(), 10**7)
    solana.finalize()
    with pytest.raises(RefusedError, match=r"Transaction version \(0\) is not supported") as refused:
        await rpc("getTransaction", str(paid), {"encoding": "jsonParsed"})
    assert refused.value.code == -32015
    with pytest.raises(RPCException) as raised:  # solana-py's defaults are wrong for payments
        await client.get_transaction(paid)
    assert isinstance(raised.value.args[0], UnsupportedTransactionVersionMessage)
    legacy = solana.wallet()
    sent = legacy.send(legacy.sol(reference(), 10**7), legacy=True)
    solana.finalize()
    assert "version" not in await rpc("getTransaction", str(sent))
    assert (await rpc("getTransaction", str(sent), PARSED))["version"] == "legacy"


@pytest.mark.parametrize("encoding", ["base64", "base58", "binary", "json"])
async def test_every_encoding_carries_the_same_transaction(
    solana: SolanaSandbox, client: AsyncClient, rpc: Rpc, encoding: str
):
    paid = solana.wallet().send_sol(reference(), 10**7, memo="hello")
    solana.finalize()
    given = (await rpc.transaction(paid, encoding=encoding))["transaction"]
    read: dict[str, Any] = {"encoding": encoding, "max_supported_transaction_version": 0}
    if encoding != "binary":
        assert (await client.get_transaction(paid, **read)).value is not None
    if encoding == "json":
        assert given["signatures"] == [str(paid)]
        data = given["message"]["instructions"][0]["data"]
        assert base58.decode(data) == b"hello"
        return
    text = given if isinstance(given, str) else given[0]
    wire = base64.b64decode(text) if encoding == "base64" else base58.decode(text)
    assert VersionedTransaction.from_bytes(wire).signatures == [paid]


@given(st.binary(max_size=80))
def test_base58_is_the_one_of_the_reference_library(data: bytes):
    assert base58.decode(base58.encode(data)) == data
    if len(data) == 32:
        assert base58.encode(data) == str(Hash(data))


async def test_pages_go_from_new_to_old_and_end(solana: SolanaSandbox, rpc: Rpc, client: AsyncClient):
    merchant, payer = solana.wallet(), solana.wallet()
    ours = reference()
    sent: list[str] = []
    for _ in range(7):
        sent += map(str, payer.flood(merchant.address, 3, references=[ours]))
        solana.advance()
    solana.finalize()
    newest_first = sent[::-1]
    assert await rpc.signatures(ours) == newest_first
    pages: list[str] = []
    before: dict[str, str] = {}
    while page := await rpc.signatures(ours, limit=4, **before):
        pages += page
        before = {"before": page[-1]}
    assert pages == newest_first
    assert await rpc.signatures(ours, until=newest_first[5]) == newest_first[:5]
    assert await rpc.signatures(ours, before=newest_first[2], until=newest_first[5]) == newest_first[3:5]
    assert await rpc.signatures(ours, until=SOME_SIGNATURE) == newest_first
    assert await rpc.signatures(ours, before=SOME_SIGNATURE) == []
    by_client = await client.get_signatures_for_address(ours, limit=4, before=Signature.from_string(sent[-1]))
    assert [str(each.signature) for each in by_client.value] == newest_first[1:5]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
async def test_any_paging_gives_each_transaction_once(session: aiohttp.ClientSession, data: st.DataObject):
    async with SolanaSandbox() as solana:
        rpc, payer, ours = Rpc(solana.url, session), solana.wallet(), reference()
        merchant = solana.wallet()
        for size in data.draw(st.lists(st.integers(0, 4), max_size=8)):
            payer.flood(merchant.address, size, references=[ours])
            solana.advance()
        solana.finalize()
        everything, pages = await rpc.signatures(ours), list[str]()
        before: dict[str, str] = {}
        while page := await rpc.signatures(ours, limit=data.draw(st.integers(1, 5)), **before):
            pages += page
            before = {"before": page[-1]}
        assert pages == everything
        assert len(set(pages)) == len(pages)


async def test_stages_come_one_after_the_other(solana: SolanaSandbox, rpc: Rpc, client: AsyncClient):
    payer, to = solana.wallet(), solana.wallet().address
    paid = payer.send_sol(to, 10**9)

    async def stage() -> tuple[str, int | None]:
        [status] = (await rpc("getSignatureStatuses", [str(paid)]))["value"]
        return status["confirmationStatus"], status["confirmations"]

    assert await stage() == ("processed", 0)
    assert (await client.get_balance(to, Processed)).value == 11 * 10**9
    assert (await client.get_balance(to, Confirmed)).value == 0
    solana.advance(2)
    assert await stage() == ("confirmed", 2)
    assert (await client.get_balance(to, Confirmed)).value == 11 * 10**9
    assert (await client.get_balance(to, Finalized)).value == 0
    solana.advance(29)
    assert await stage() == ("confirmed", 31)
    solana.advance()
    assert await stage() == ("finalized", None)
    assert (await client.get_balance(to, Finalized)).value == 11 * 10**9
    solana.advance(151)
    assert (await client.get_signature_statuses([paid])).value == [None]
    found = await client.get_signature_statuses([paid, Signature.default()], search_transaction_history=True)
    assert found.value[0] is not None
    assert found.value[1] is None


async def test_slots_heights_and_blockhashes(solana: SolanaSandbox, client: AsyncClient, rpc: Rpc):
    slot, height = await rpc("getSlot"), await rpc("getBlockHeight")
    assert height < slot
    assert await rpc("getSlot", {"commitment": "processed"}) == slot + 32
    solana.cluster.skip(3)
    solana.finalize()
    assert (await rpc("getSlot"), await rpc("getBlockHeight")) == (slot + 36, height + 33)
    latest = (await client.get_latest_blockhash(Confirmed)).value

    async def is_valid(commitment: str) -> bool:
        return (await rpc("isBlockhashValid", str(latest.blockhash), {"commitment": commitment}))["value"]

    assert await is_valid("confirmed")
    assert not await is_valid("finalized")
    solana.advance(148)
    assert await is_valid("processed")
    solana.advance()
    assert not await is_valid("processed")
    assert (await client.get_genesis_hash()).value == solana.cluster.genesis_hash
    assert (await client.get_version()).value.solana_core == "3.1.8"
    assert (await client.get_minimum_balance_for_rent_exemption(165)).value == 2_039_280


async def test_accounts_as_clients_read_them(solana: SolanaSandbox, client: AsyncClient, rpc: Rpc):
    owner = solana.wallet(usdc=12.5)
    account = owner.token_account()
    balance = (await client.get_token_account_balance(account)).value
    assert (balance.amount, balance.decimals, balance.ui_amount_string) == ("12500000", 6, "12.5")
    [held] = (await rpc("getTokenAccountsByOwner", str(owner.address), {"mint": USDC}, {"encoding": "jsonParsed"}))[
        "value"
    ]
    info = held["account"]["data"]["parsed"]["info"]
    assert (held["pubkey"], info["owner"], info["tokenAmount"]["amount"]) == (
        str(account),
        str(owner.address),
        "12500000",
    )
    assert (info["isNative"], info["state"], info["mint"]) == (False, "initialized", USDC)
    mint, nobody = (
        await rpc(
            "getMultipleAccounts", [USDC, str(reference())], {"encoding": "jsonParsed", "commitment": "confirmed"}
        )
    )["value"]
    assert (mint["data"]["parsed"]["type"], nobody) == ("mint", None)
    assert (await client.get_account_info(owner.address, Processed)).value is not None
    empty = solana.open_token_account(reference())
    assert (await rpc("getTokenAccountBalance", str(empty)))["value"]["uiAmount"] == 0.0


async def test_sending_through_a_node(solana: SolanaSandbox, client: AsyncClient):
    payer, to = solana.wallet(), reference()
    solana.finalize()
    blockhash = (await client.get_latest_blockhash()).value.blockhash
    give = instructions.sol_transfer(payer.address, to, 10**8)
    transaction = instructions.compile_transaction(payer.keypair, [give], blockhash)
    sent = (await client.send_transaction(transaction)).value
    with pytest.raises(RPCException, match="already been processed"):
        await client.send_transaction(transaction)
    solana.finalize()
    assert (await client.get_balance(to)).value == 10**8
    assert (await client.get_signature_statuses([sent])).value[0] is not None


async def test_preflight_tells_what_would_go_wrong(solana: SolanaSandbox, client: AsyncClient):
    payer = solana.wallet()
    solana.finalize()
    final = (await client.get_latest_blockhash(Finalized)).value.blockhash
    too_much = [instructions.sol_transfer(payer.address, reference(), 10**18)]
    with pytest.raises(RPCException) as raised:
        await client.send_transaction(instructions.compile_transaction(payer.keypair, too_much, final))
    failure = raised.value.args[0]
    assert isinstance(failure, SendTransactionPreflightFailureMessage)
    assert failure.message == "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1"
    assert any("insufficient lamports" in line for line in failure.data.logs or [])
    newest = (await client.get_latest_blockhash(Confirmed)).value.blockhash
    good = [instructions.sol_transfer(payer.address, reference(), 10**8)]
    with pytest.raises(RPCException, match="Blockhash not found"):  # preflight looks at what is final
        await client.send_transaction(instructions.compile_transaction(payer.keypair, good, newest))
    confirmed = TxOpts(preflight_commitment=Confirmed)
    assert (
        await client.send_transaction(instructions.compile_transaction(payer.keypair, good, newest), confirmed)
    ).value
    unsigned = instructions.compile_transaction(payer.keypair, good, final)
    unsigned.signatures = [Keypair().sign_message(b"another")]
    with pytest.raises(RPCException, match="SignatureVerificationFailure"):
        await client.send_transaction(unsigned)


async def test_without_preflight_a_bad_transaction_is_accepted_and_never_lands(
    solana: SolanaSandbox, client: AsyncClient
):
    payer = solana.wallet()
    give = [instructions.sol_transfer(payer.address, reference(), 10**8)]
    expired = instructions.compile_transaction(payer.keypair, give, Hash.new_unique())
    sent = (await client.send_transaction(expired, TxOpts(skip_preflight=True))).value
    solana.finalize()
    assert (await client.get_signature_statuses([sent])).value == [None]


async def test_simulation_changes_nothing(solana: SolanaSandbox, client: AsyncClient):
    payer = solana.wallet()
    solana.finalize()
    give = [instructions.sol_transfer(payer.address, reference(), 10**8)]
    blockhash = (await client.get_latest_blockhash()).value.blockhash
    transaction = instructions.compile_transaction(payer.keypair, give, blockhash)
    result = (await client.simulate_transaction(transaction, sig_verify=True)).value
    assert (result.err, result.units_consumed) == (None, 150)
    assert payer.lamports == 10**10


async def test_airdrops_are_transactions(solana: SolanaSandbox, client: AsyncClient):
    to = reference()
    given = (await client.request_airdrop(to, 10**9)).value
    solana.finalize()
    [listed] = (await client.get_signatures_for_address(to)).value
    assert listed.signature == given
    assert (await client.get_balance(to)).value == 10**9


async def test_the_reference_library_parses_errors_and_lists(solana: SolanaSandbox, rpc: Rpc):
    body = {"jsonrpc": "2.0", "id": 1, "method": "getSignaturesForAddress"}
    _, answer, _ = await rpc.post(body | {"params": [SOMEBODY, {"minContextSlot": 2**60}]})
    parsed = GetSignaturesForAddressResp.from_json(json.dumps(answer))
    assert isinstance(parsed, MinContextSlotNotReachedMessage)
    assert parsed.data.context_slot == solana.cluster.slot - 32
