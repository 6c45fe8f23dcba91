"""What a transaction brought us, read from answers as nodes give them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payments.amounts import SOL, USDC
from domain.payments.solana_transfers import (
    TOKEN_PROGRAM,
    WRAPPED_SOL,
    Incoming,
    Receiver,
    UnreadableTransactionError,
    incoming,
)

WALLET, USDC_ACCOUNT, WSOL_ACCOUNT = "our-wallet", "our-usdc", "our-wsol"
MINT, REFERENCE, PAYER = "usdc-mint", "reference", "payer"
TOKEN_2022 = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
US = Receiver(wallet=WALLET, usdc_mint=MINT, token_accounts=frozenset({USDC_ACCOUNT, WSOL_ACCOUNT}))


def held(index: int, amount: int, *, owner: str | None = WALLET, mint: str = MINT, program: str = TOKEN_PROGRAM) -> Any:
    shown = {"amount": str(amount), "decimals": 6, "uiAmount": amount / 1e6, "uiAmountString": str(amount / 1e6)}
    balance = {"accountIndex": index, "mint": mint, "owner": owner, "programId": program, "uiTokenAmount": shown}
    return {name: value for name, value in balance.items() if value is not None}


def answer(
    lamports: dict[str, tuple[int, int]],
    *,
    before: list[Any] | None = None,
    after: list[Any] | None = None,
    err: Any = None,
    loaded: dict[str, list[str]] | None = None,
    parsed: bool = True,
) -> dict[str, Any]:
    """`lamports`: per account what it had and has, in the order of the transaction."""
    in_tables = {key for keys in (loaded or {}).values() for key in keys}
    names = [name for name in lamports if parsed or name not in in_tables]
    keys = [{"pubkey": name, "signer": False, "writable": True, "source": "transaction"} for name in names]
    meta: dict[str, Any] = {
        "err": err,
        "fee": 5000,
        "preBalances": [had for had, _ in lamports.values()],
        "postBalances": [has for _, has in lamports.values()],
        "preTokenBalances": before or [],
        "postTokenBalances": after or [],
        "innerInstructions": [],
        "logMessages": [],
    }
    if loaded is not None:
        meta["loadedAddresses"] = loaded
    return {
        "slot": 376_000_000,
        "blockTime": 1_763_600_000,
        "version": 0,
        "meta": meta,
        "transaction": {
            "signatures": ["signature"],
            "message": {"accountKeys": keys if parsed else names, "instructions": [], "recentBlockhash": "hash"},
        },
    }


def read(document: dict[str, Any]) -> list[Incoming]:
    return incoming(msgspec.json.encode(document), US)


def brought(document: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one.asset.code, one.units) for one in read(document)]


SOL_PAID = {PAYER: (5_000_000_000, 3_499_995_000), WALLET: (0, 1_500_000_000), REFERENCE: (0, 0)}
USDC_PAID = {PAYER: (9, 9), USDC_ACCOUNT: (2_039_280, 2_039_280), REFERENCE: (0, 0)}


def test_sol() -> None:
    (one,) = read(answer(SOL_PAID))
    assert (one.asset, one.units, one.mint, one.slot) == (SOL, 1_500_000_000, "SOL", 376_000_000)
    assert one.key == "solana:signature:SOL"
    assert one.accounts == {PAYER, WALLET, REFERENCE}
    assert one.at is not None
    assert one.at.isoformat() == "2025-11-20T00:53:20+00:00"


def test_usdc() -> None:
    (one,) = read(answer(USDC_PAID, before=[held(1, 100)], after=[held(1, 12_340_100)]))
    assert (one.asset, one.units, one.key) == (USDC, 12_340_000, f"solana:signature:{MINT}")
    assert REFERENCE in one.accounts


def test_an_account_made_in_the_same_transaction_had_nothing() -> None:
    assert brought(answer(USDC_PAID, after=[held(1, 12_340_000)])) == [("USDC", 12_340_000)]


def test_wrapped_sol_is_sol_in_an_account() -> None:
    accounts = {PAYER: (9, 9), WSOL_ACCOUNT: (2_039_280, 502_039_280)}
    assert brought(answer(accounts, after=[held(1, 500_000_000, mint=WRAPPED_SOL)])) == [("SOL", 500_000_000)]


def test_several_balances_each_count() -> None:
    accounts = {PAYER: (9, 9), WALLET: (0, 70), USDC_ACCOUNT: (1, 1)}
    document = answer(accounts, after=[held(2, 5)])
    assert brought(document) == [("SOL", 70), ("USDC", 5)]
    assert len({one.key for one in read(document)}) == 2


def test_a_node_that_names_no_owner_is_read_by_the_account() -> None:
    assert brought(answer(USDC_PAID, after=[held(1, 7, owner=None)])) == [("USDC", 7)]
    assert brought(answer(USDC_PAID, after=[held(0, 7, owner=None)])) == []


@pytest.mark.parametrize("parsed", [True, False])
def test_accounts_of_lookup_tables(*, parsed: bool) -> None:
    """In `json` they stand apart: first the writable, then the readonly ones."""
    loaded = {"writable": [WALLET], "readonly": [REFERENCE]}
    (one,) = read(answer(SOL_PAID, loaded=loaded, parsed=parsed))
    assert one.units == 1_500_000_000
    assert REFERENCE in one.accounts


@pytest.mark.parametrize(
    "document",
    [
        answer(SOL_PAID, err={"InstructionError": [0, {"Custom": 1}]}),
        answer({PAYER: (9, 4), REFERENCE: (0, 0)}),
        answer({PAYER: (9, 4), WALLET: (7, 7), REFERENCE: (0, 0)}),
        answer({WALLET: (9_000_000, 8_995_000), PAYER: (1, 1)}),
        answer(USDC_PAID, before=[held(1, 50)], after=[held(1, 40)]),
        answer(USDC_PAID, after=[held(1, 12_340_000, mint="usdc-mint-of-somebody-else")]),
        answer(USDC_PAID, after=[held(1, 12_340_000, owner="somebody-else")]),
        answer(USDC_PAID, after=[held(1, 12_340_000, program=TOKEN_2022)]),
        answer(USDC_PAID, before=[held(1, 40)], after=[held(1, 40)]),
    ],
    ids=[
        "failed",
        "without us",
        "names us and sends nothing",
        "ours going out",
        "our tokens going out",
        "another mint",
        "another owner",
        "a mint that takes fees",
        "there and back",
    ],
)
def test_nothing_came(document: dict[str, Any]) -> None:
    assert read(document) == []


SWAPPED = answer({PAYER: (9, 4), WALLET: (10**9, 9), USDC_ACCOUNT: (1, 1)}, after=[held(2, 12_340_000)])
WRAPPED = answer(
    {PAYER: (9, 4), WALLET: (10**9, 9), WSOL_ACCOUNT: (1, 10**9)}, after=[held(2, 10**9, mint=WRAPPED_SOL)]
)


@pytest.mark.parametrize("document", [SWAPPED, WRAPPED], ids=["a swap", "SOL that is wrapped"])
def test_what_our_own_wallet_signed_is_no_payment(document: dict[str, Any]) -> None:
    message: dict[str, Any] = document["transaction"]["message"]
    assert len(read(document)) == 1, "somebody else may do the same for us"
    by_account = [key | {"signer": key["pubkey"] in (PAYER, WALLET)} for key in message["accountKeys"]]
    by_number = {"accountKeys": [key["pubkey"] for key in by_account], "header": {"numRequiredSignatures": 2}}
    for said in ({"accountKeys": by_account}, by_number):
        assert read(document | {"transaction": document["transaction"] | {"message": message | said}}) == []
    fewer = by_number | {"header": {"numRequiredSignatures": 1}}
    assert len(read(document | {"transaction": document["transaction"] | {"message": message | fewer}})) == 1


def without(path: str) -> dict[str, Any]:
    document = answer(SOL_PAID, after=[held(1, 1)])
    *parents, last = path.split(".")
    inner: Any = document
    for name in parents:
        inner = inner[int(name)] if name.isdecimal() else inner[name]
    del inner[last]
    return document


UNREADABLE: list[dict[str, Any]] = [
    {"slot": 1},
    without("meta"),
    without("meta.err"),
    without("meta.postBalances"),
    without("transaction.message.accountKeys"),
    without("meta.postTokenBalances.0.uiTokenAmount"),
    answer(SOL_PAID) | {"transaction": {"signatures": [], "message": {"accountKeys": [PAYER, WALLET, REFERENCE]}}},
    answer(SOL_PAID, loaded={"writable": [WALLET], "readonly": ["another"]}, parsed=False),
    answer(USDC_PAID, after=[held(99, 1, owner=None)]),
    answer(USDC_PAID, after=[held(1, 1) | {"uiTokenAmount": {"amount": "1.5"}}]),
    *(answer(SOL_PAID) | {"blockTime": seconds} for seconds in (-1, 10**12, 10**18, 10**30)),
    *(answer(SOL_PAID) | {"slot": slot} for slot in (-1, 2**63, 10**30)),
]


@pytest.mark.parametrize("document", UNREADABLE)
def test_another_shape_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(UnreadableTransactionError):
        read(document)


@given(st.binary(max_size=300))
def test_noise_is_no_answer(noise: bytes) -> None:
    with pytest.raises(UnreadableTransactionError):
        incoming(noise, US)
