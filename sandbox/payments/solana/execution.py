"""One transaction carried out by the SVM, with everything that a node tells of it afterwards."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from solders.account import Account
from solders.instruction import CompiledInstruction
from solders.litesvm import LiteSVM
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from sandbox.payments.solana import programs, tokens
from sandbox.payments.solana.accounts import Accounts, Moment
from sandbox.payments.solana.tokens import JsonObject

_TABLE_HEADER_BYTES = 56


class RefusedTransactionError(Exception):
    """The transaction does not land: nothing is charged and no ledger names it."""

    def __init__(self, err: Any, outcome: Outcome | None = None) -> None:
        super().__init__(json.dumps(err))
        self.err = err
        """As JSON-RPC writes a TransactionError."""
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What the lookup tables of a v0 transaction stand for."""

    writable: tuple[Pubkey, ...] = ()
    readonly: tuple[Pubkey, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    """An instruction that a program gave."""

    instruction: CompiledInstruction
    stack_height: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    err: Any
    """None when it succeeded, else as JSON-RPC writes a TransactionError."""
    logs: list[str]
    fee: int
    compute_units: int
    inner_instructions: dict[int, list[Inner]]
    """By the index of the instruction that led to them."""
    return_data: JsonObject | None
    post_accounts: dict[Pubkey, Account] = field(default_factory=dict[Pubkey, Account])
    """Of a simulation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A transaction in the ledger; it may have failed."""

    transaction: VersionedTransaction
    moment: Moment
    block_time: int
    loaded: Loaded
    keys: tuple[Pubkey, ...]
    """Those of the message, then the loaded ones: writable first."""
    outcome: Outcome
    pre_balances: list[int]
    post_balances: list[int]
    pre_token_balances: list[JsonObject]
    post_token_balances: list[JsonObject]
    memo: str | None

    @property
    def signature(self) -> Signature:
        return self.transaction.signatures[0]

    @property
    def slot(self) -> int:
        return self.moment.slot

    @property
    def is_legacy(self) -> bool:
        return isinstance(self.transaction.message, Message)


def execute(
    svm: LiteSVM, accounts: Accounts, transaction: VersionedTransaction, moment: Moment, block_time: int
) -> Entry:
    """Carry it out and note each account that it changed. `RefusedTransactionError` when it does not land."""
    loaded = load(accounts, transaction)
    keys = (*transaction.message.account_keys, *loaded.writable, *loaded.readonly)
    before = [svm.get_account(key) for key in keys]
    outcome = outcome_of(svm.send_transaction(transaction))
    after = [svm.get_account(key) for key in keys]
    if outcome.err is not None and before[0] == after[0]:
        raise RefusedTransactionError(outcome.err, outcome)
    for key, old, new in zip(keys, before, after, strict=True):
        accounts.record(key, old, new, moment)
    return Entry(
        transaction=transaction,
        moment=moment,
        block_time=block_time,
        loaded=loaded,
        keys=keys,
        outcome=outcome,
        pre_balances=[account.lamports if account else 0 for account in before],
        post_balances=[account.lamports if account else 0 for account in after],
        pre_token_balances=_token_balances(svm, before),
        post_token_balances=_token_balances(svm, after),
        memo=_memo(transaction, keys),
    )


def load(accounts: Accounts, transaction: VersionedTransaction) -> Loaded:
    message = transaction.message
    if not isinstance(message, MessageV0):
        return Loaded()
    writable: list[Pubkey] = []
    readonly: list[Pubkey] = []
    for lookup in message.address_table_lookups:
        table = accounts.newest(lookup.account_key)
        if table is None:
            raise RefusedTransactionError("AddressLookupTableNotFound")
        if table.owner != programs.LOOKUP_TABLE:
            raise RefusedTransactionError("InvalidAddressLookupTableOwner")
        try:
            writable += [_looked_up(table.data, index) for index in lookup.writable_indexes]
            readonly += [_looked_up(table.data, index) for index in lookup.readonly_indexes]
        except IndexError:
            raise RefusedTransactionError("InvalidAddressLookupTableIndex") from None
    return Loaded(writable=tuple(writable), readonly=tuple(readonly))


def lookup_table(addresses: Sequence[Pubkey], authority: Pubkey) -> bytes:
    """Write the data of a table that was extended long ago, so that it can be used at once."""
    active = (1).to_bytes(4, "little") + (2**64 - 1).to_bytes(8, "little") + bytes(8) + bytes(1)
    header = active + b"\x01" + bytes(authority) + bytes(2)
    return header + b"".join(bytes(address) for address in addresses)


def _looked_up(table: bytes, index: int) -> Pubkey:
    start = _TABLE_HEADER_BYTES + index * Pubkey.LENGTH
    if start >= len(table):
        raise IndexError(index)
    return Pubkey(table[start : start + Pubkey.LENGTH])


def outcome_of(
    result: TransactionMetadata | FailedTransactionMetadata, post_accounts: dict[Pubkey, Account] | None = None
) -> Outcome:
    failed = isinstance(result, FailedTransactionMetadata)
    meta = result.meta() if failed else result
    returned = meta.return_data()
    return Outcome(
        err=json.loads(result.to_json())["err"] if failed else None,
        logs=meta.logs(),
        fee=meta.fee(),
        compute_units=meta.compute_units_consumed(),
        inner_instructions={
            index: [Inner(instruction=each.instruction(), stack_height=each.stack_height()) for each in inner]
            for index, inner in enumerate(meta.inner_instructions())
            if inner
        },
        return_data={
            "programId": str(returned.program_id),
            "data": [base64.b64encode(returned.data).decode(), "base64"],
        }
        if returned.data
        else None,
        post_accounts=post_accounts or {},
    )


def nothing_done(err: Any) -> Outcome:
    """Write the outcome of what was refused before any program ran."""
    return Outcome(err=err, logs=[], fee=0, compute_units=0, inner_instructions={}, return_data=None)


def _token_balances(svm: LiteSVM, held: Sequence[Account | None]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for index, account in enumerate(held):
        token_account = tokens.read_token_account(account) if account else None
        if account is None or token_account is None:
            continue
        mint_account = svm.get_account(token_account.mint)
        mint = tokens.read_mint(mint_account) if mint_account else None
        if mint is not None:
            found.append(tokens.token_balance(index, account, token_account, mint.decimals))
    return found


def _memo(transaction: VersionedTransaction, keys: Sequence[Pubkey]) -> str | None:
    """Write the memos as a listing does: "[5] hello", several joined."""
    memos = [
        instruction.data
        for instruction in transaction.message.instructions
        if keys[instruction.program_id_index] in programs.MEMO_PROGRAMS
    ]
    shown = (f"[{len(memo)}] {memo.decode(errors='replace')}" for memo in memos)
    return "; ".join(shown) if memos else None
