"""Payments as a merchant finds them, read with solana-py and by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Confirmed, Finalized
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.responses import GetTransactionResp

from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet import instructions, pay_url
from sandbox.payments.solana.wallet.pay_url import UnpayableUrlError
from tests.sandbox.payments.solana_kit import USDC, Rpc, lamports_received, reference, tokens_received


async def test_a_payment_is_found_by_its_reference_and_read_when_final(solana: SolanaSandbox, client: AsyncClient):
    merchant, payer, ours = solana.wallet(), solana.wallet(usdc=50), reference()
    paid = payer.pay(f"solana:{merchant.address}?amount=12.34&spl-token={USDC}&reference={ours}&memo=order-1")
    assert (await client.get_signatures_for_address(ours, commitment=Confirmed)).value == []
    solana.advance(2)
    [seen] = (await client.get_signatures_for_address(ours, commitment=Confirmed)).value
    assert (seen.signature, seen.err, seen.memo) == (paid, None, "[7] order-1")
    assert str(seen.confirmation_status) == "TransactionConfirmationStatus.Confirmed"
    assert (await client.get_signatures_for_address(ours, commitment=Finalized)).value == []
    read: dict[str, Any] = {"encoding": "jsonParsed", "max_supported_transaction_version": 0}
    assert (await client.get_transaction(paid, commitment=Finalized, **read)).value is None
    solana.finalize()
    found = (await client.get_transaction(paid, commitment=Finalized, **read)).value
    assert found is not None
    meta = found.transaction.meta
    assert meta is not None
    assert meta.err is None
    after = {each.owner: each.ui_token_amount.amount for each in meta.post_token_balances or []}
    assert after == {payer.address: "37660000", merchant.address: "12340000"}
    assert str(ours) in found.to_json()


@pytest.mark.parametrize("legacy", [True, False])
async def test_sol_with_a_memo_reads_as_documented(solana: SolanaSandbox, rpc: Rpc, *, legacy: bool):
    merchant, payer, ours = solana.wallet(), solana.wallet(), reference()
    paid = payer.pay(f"solana:{merchant.address}?amount=1.5&reference={ours}&memo=order-1", legacy=legacy)
    solana.finalize()
    found = await rpc.transaction(paid)
    assert lamports_received(found, merchant.address) == 1_500_000_000
    assert lamports_received(found, payer.address) == -1_500_005_000
    message = found["transaction"]["message"]
    memo, transfer = message["instructions"]
    assert (memo["program"], memo["parsed"]) == ("spl-memo", "order-1")
    info = {"source": str(payer.address), "destination": str(merchant.address), "lamports": 1_500_000_000}
    assert transfer["parsed"] == {"type": "transfer", "info": info}  # the reference is not shown here
    assert {
        "pubkey": str(ours),
        "signer": False,
        "writable": False,
        "source": "transaction",
    } in message["accountKeys"]
    assert found["version"] == ("legacy" if legacy else 0)
    assert ("addressTableLookups" in message) is not legacy
    assert found["meta"]["preTokenBalances"] == []
    parsed = GetTransactionResp.from_json(json.dumps({"jsonrpc": "2.0", "id": 1, "result": found}))
    assert isinstance(parsed, GetTransactionResp)
    assert parsed.value is not None


async def test_a_reference_makes_an_authority_look_like_a_multisig(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer, ours = solana.wallet(), solana.wallet(usdc=5), reference()
    solana.open_token_account(merchant.address)
    with_reference = payer.send_tokens(merchant.address, 1_000_000, references=[ours])
    without = payer.send_tokens(merchant.address, 1_000_000)
    source, destination = payer.token_account(), merchant.token_account()
    old = payer.send(instructions.token_transfer(source, destination, payer.address, 1_000_000))
    solana.finalize()
    parsed = [
        (await rpc.transaction(each))["transaction"]["message"]["instructions"][-1]["parsed"]
        for each in (with_reference, without, old)
    ]
    infos = [each["info"] for each in parsed]
    assert [each["type"] for each in parsed] == ["transferChecked", "transferChecked", "transfer"]
    assert (infos[2]["amount"], infos[2]["authority"]) == ("1000000", str(payer.address))
    assert tokens_received(await rpc.transaction(old), merchant.address) == 1_000_000
    assert infos[0]["multisigAuthority"] == str(payer.address)
    assert infos[0]["signers"] == [str(ours)]
    assert "authority" not in infos[0]
    assert infos[1]["authority"] == str(payer.address)
    assert infos[1]["tokenAmount"] == {"amount": "1000000", "decimals": 6, "uiAmount": 1.0, "uiAmountString": "1"}


async def test_a_new_associated_account_has_no_balance_before(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer = solana.wallet(), solana.wallet(usdc=5)
    first = payer.send_tokens(merchant.address, 5_000_000)
    solana.finalize()
    found = await rpc.transaction(first)
    assert [each["owner"] for each in found["meta"]["preTokenBalances"]] == [str(payer.address)]
    assert tokens_received(found, merchant.address) == 5_000_000
    emptied = next(each for each in found["meta"]["postTokenBalances"] if each["owner"] == str(payer.address))
    assert emptied["uiTokenAmount"] == {"amount": "0", "decimals": 6, "uiAmount": None, "uiAmountString": "0"}
    assert found["meta"]["innerInstructions"][0]["instructions"][-1]["parsed"]["type"] == "initializeAccount3"


async def test_the_merchants_wallet_does_not_list_what_its_token_account_receives(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer = solana.wallet(), solana.wallet(usdc=5)
    account = solana.open_token_account(merchant.address)
    _, transfer = payer.tokens(merchant.address, programs.USDC, 1_000_000)
    paid = payer.send(transfer)
    solana.finalize()
    assert str(paid) in await rpc.signatures(account)
    assert str(paid) not in await rpc.signatures(merchant.address)


async def test_lookup_tables_hide_keys_from_the_message_alone(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer, ours = solana.wallet(), solana.wallet(), reference()
    table = solana.faucet.create_lookup_table([ours, merchant.address])
    paid = payer.pay(f"solana:{merchant.address}?amount=0.25&reference={ours}", tables=[table])
    solana.finalize()
    assert await rpc.signatures(ours) == await rpc.signatures(merchant.address, limit=1) == [str(paid)]
    raw = await rpc.transaction(paid, encoding="json")
    assert str(merchant.address) not in raw["transaction"]["message"]["accountKeys"]
    assert raw["meta"]["loadedAddresses"] == {"writable": [str(merchant.address)], "readonly": [str(ours)]}
    keys = [*raw["transaction"]["message"]["accountKeys"], str(merchant.address), str(ours)]
    place = keys.index(str(merchant.address))
    assert raw["meta"]["postBalances"][place] - raw["meta"]["preBalances"][place] == 250_000_000
    merged = await rpc.transaction(paid)
    sources = {each["pubkey"]: each["source"] for each in merged["transaction"]["message"]["accountKeys"]}
    assert sources[str(merchant.address)] == sources[str(ours)] == "lookupTable"
    assert "loadedAddresses" not in merged["meta"]
    assert lamports_received(merged, merchant.address) == 250_000_000


async def test_a_failed_payment_is_listed_with_its_error_and_moves_nothing(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer, ours = solana.wallet(), solana.wallet(usdc=5), reference()
    solana.open_token_account(merchant.address)
    failed = payer.fail(merchant.address, mint=programs.USDC, references=[ours])
    solana.finalize()
    [listed] = await rpc("getSignaturesForAddress", str(ours))
    error = {"InstructionError": [1, {"Custom": 1}]}
    assert (listed["signature"], listed["err"]) == (str(failed), error)
    found = await rpc.transaction(failed)
    assert (found["meta"]["err"], found["meta"]["status"]) == (error, {"Err": error})
    assert tokens_received(found, merchant.address) == 0
    assert lamports_received(found, payer.address) == -found["meta"]["fee"] == -5_000


async def test_false_usdc_and_wrapped_sol_come_under_their_own_mint(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer, ours = solana.wallet(), solana.wallet(), reference()
    false_mint = solana.faucet.create_mint(6)
    solana.faucet.give_tokens(payer.address, false_mint, 10**9)
    payer.wrap(2 * 10**9)
    false = payer.send_tokens(merchant.address, 5_000_000, mint=false_mint, references=[ours])
    wrapped = payer.send_tokens(merchant.address, 10**9, mint=programs.WRAPPED_SOL, references=[ours])
    solana.finalize()
    assert await rpc.signatures(ours) == [str(wrapped), str(false)]
    for paid, mint, amount in ((false, false_mint, 5_000_000), (wrapped, programs.WRAPPED_SOL, 10**9)):
        found = await rpc.transaction(paid)
        assert tokens_received(found, merchant.address) == 0
        assert tokens_received(found, merchant.address, str(mint)) == amount
        assert str(merchant.address) in [each["owner"] for each in found["meta"]["postTokenBalances"]]


async def test_one_transaction_may_name_two_invoices_or_pay_one_twice(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer = solana.wallet(), solana.wallet()
    first, second = reference(), reference()
    both = payer.send_sol(merchant.address, 10**9, references=[first, second])
    twice = payer.send(payer.sol(merchant.address, 10**8, [first]), payer.sol(merchant.address, 10**8, [second]))
    solana.finalize()
    assert await rpc.signatures(first) == await rpc.signatures(second) == [str(twice), str(both)]
    assert lamports_received(await rpc.transaction(twice), merchant.address) == 2 * 10**8


async def test_what_goes_in_and_out_again_leaves_nothing(solana: SolanaSandbox, rpc: Rpc):
    merchant, payer = solana.wallet(), solana.wallet()
    back = instructions.sol_transfer(merchant.address, payer.address, 10**9)
    through = payer.send(payer.sol(merchant.address, 10**9), back, cosigners=[merchant.keypair])
    solana.finalize()
    assert lamports_received(await rpc.transaction(through), merchant.address) == 0


async def test_dust_to_an_account_that_does_not_exist_fails_for_rent(solana: SolanaSandbox, rpc: Rpc):
    paid = solana.wallet().send_sol(reference(), 1)
    solana.finalize()
    assert (await rpc.transaction(paid))["meta"]["err"] == {"InsufficientFundsForRent": {"account_index": 1}}


@pytest.mark.parametrize(
    "query",
    [
        "amount=1e3",
        "amount=-1",
        "amount=.5",
        "amount=1.",
        "amount=0.0000000001",
        f"amount=0.0000001&spl-token={USDC}",
        "amount=1&spl-token=nonsense",
        f"amount=1&spl-token={Pubkey.new_unique()}",
        "amount=1&reference=0OIl",
        "amount=1&amount=2",
        "",
    ],
)
async def test_a_wallet_refuses_what_the_standard_forbids(solana: SolanaSandbox, query: str):
    merchant, payer = solana.wallet(), solana.wallet(usdc=5)
    with pytest.raises(UnpayableUrlError):
        payer.pay(f"solana:{merchant.address}?{query}")


async def test_a_token_account_is_no_recipient(solana: SolanaSandbox):
    account = solana.open_token_account(solana.wallet().address)
    with pytest.raises(UnpayableUrlError, match="no wallet"):
        solana.wallet(usdc=5).pay(f"solana:{account}?amount=1&spl-token={USDC}")


@given(
    amount=st.decimals(min_value=0, max_value=10**9, places=9),
    label=st.text(max_size=20),
    references=st.lists(st.builds(lambda: Keypair().pubkey()), max_size=3),
)
def test_what_is_written_by_the_standard_is_read_again(amount: Decimal, label: str, references: list[Pubkey]):
    merchant = Keypair().pubkey()
    named = "".join(f"&reference={each}" for each in references)
    read = pay_url.read(f"solana:{merchant}?amount={amount:f}&label={quote(label, safe='')}{named}")
    assert (read.recipient, read.amount, read.mint) == (merchant, amount, None)
    assert read.references == tuple(references)
    assert read.label == label
    assert read.base_units(9) == int(amount * 10**9)
