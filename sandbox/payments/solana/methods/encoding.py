"""Transactions and accounts in the encodings of an RPC node."""

from __future__ import annotations

import base64
from typing import Any

from solders.account import Account
from solders.instruction import CompiledInstruction
from solders.message import MessageV0
from solders.pubkey import Pubkey

from sandbox.payments.solana import base58, tokens
from sandbox.payments.solana.errors import RpcError, invalid_params, unsupported_version
from sandbox.payments.solana.execution import Entry, Inner
from sandbox.payments.solana.methods.parsing import parsed
from sandbox.payments.solana.params import is_object
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import View

TRANSACTION_ENCODINGS = ("binary", "base64", "base58", "json", "jsonParsed")
ACCOUNT_ENCODINGS = ("binary", "base58", "base64", "jsonParsed", "base64+zstd")
_TOP_LEVEL = 1
"""The height of the stack at the instructions of the transaction itself."""
_BASE58_ACCOUNT_MAX_BYTES = 128


def transaction(view: View, entry: Entry, encoding: str, max_version: int | None) -> JsonObject:
    """Write the result of getTransaction."""
    if max_version is None and not entry.is_legacy:
        raise unsupported_version(0)
    body: JsonObject = {
        "slot": entry.slot,
        "transaction": _transaction(view, entry, encoding),
        "meta": _meta(view, entry, encoding),
        "blockTime": None if view.faults.without_block_times else entry.block_time,
    }
    if max_version is not None:
        body["version"] = "legacy" if entry.is_legacy else 0
    return body


def _transaction(view: View, entry: Entry, encoding: str) -> Any:
    raw = bytes(entry.transaction)
    match encoding:
        case "base64":
            return [base64.b64encode(raw).decode(), "base64"]
        case "base58":
            return [base58.encode(raw), "base58"]
        case "binary":
            return base58.encode(raw)
        case _:
            signatures = [str(each) for each in entry.transaction.signatures]
            message = _parsed_message(view, entry) if encoding == "jsonParsed" else _raw_message(entry)
            return {"signatures": signatures, "message": message}


def _raw_message(entry: Entry) -> JsonObject:
    message = entry.transaction.message
    header = message.header
    body: JsonObject = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [_raw_instruction(each, _TOP_LEVEL) for each in message.instructions],
    }
    return body | _lookups(entry)


def _parsed_message(view: View, entry: Entry) -> JsonObject:
    message = entry.transaction.message
    static = len(message.account_keys)
    keys = [
        {
            "pubkey": str(key),
            "writable": _is_writable(entry, index),
            "signer": index < message.header.num_required_signatures,
            "source": "transaction" if index < static else "lookupTable",
        }
        for index, key in enumerate(entry.keys)
    ]
    body: JsonObject = {
        "accountKeys": keys,
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [_parsed_instruction(view, entry, each, _TOP_LEVEL) for each in message.instructions],
    }
    return body | _lookups(entry)


def _lookups(entry: Entry) -> JsonObject:
    message = entry.transaction.message
    if not isinstance(message, MessageV0):
        return {}
    lookups = [
        {
            "accountKey": str(lookup.account_key),
            "writableIndexes": list(lookup.writable_indexes),
            "readonlyIndexes": list(lookup.readonly_indexes),
        }
        for lookup in message.address_table_lookups
    ]
    return {"addressTableLookups": lookups}


def _is_writable(entry: Entry, index: int) -> bool:
    """Programs that are called are written by nobody, wherever the message puts them."""
    message = entry.transaction.message
    static, header = len(message.account_keys), message.header
    if any(instruction.program_id_index == index for instruction in message.instructions):
        return False
    if index >= static:
        return index < static + len(entry.loaded.writable)
    if index < header.num_required_signatures:
        return index < header.num_required_signatures - header.num_readonly_signed_accounts
    return index < static - header.num_readonly_unsigned_accounts


def _raw_instruction(instruction: CompiledInstruction, stack_height: int | None) -> JsonObject:
    return {
        "programIdIndex": instruction.program_id_index,
        "accounts": list(instruction.accounts),
        "data": base58.encode(instruction.data),
        "stackHeight": stack_height,
    }


def _parsed_instruction(
    view: View, entry: Entry, instruction: CompiledInstruction, stack_height: int | None
) -> JsonObject:
    def decimals(mint: str) -> int:
        return view.decimals(Pubkey.from_string(mint), entry.slot)

    return parsed(instruction, entry.keys, stack_height, decimals)


def _meta(view: View, entry: Entry, encoding: str) -> JsonObject:
    outcome = entry.outcome

    def inner(each: Inner) -> JsonObject:
        if encoding == "jsonParsed":
            return _parsed_instruction(view, entry, each.instruction, each.stack_height)
        return _raw_instruction(each.instruction, each.stack_height)

    body: JsonObject = {
        "err": outcome.err,
        "status": {"Ok": None} if outcome.err is None else {"Err": outcome.err},
        "fee": outcome.fee,
        "preBalances": entry.pre_balances,
        "postBalances": entry.post_balances,
        "innerInstructions": [
            {"index": index, "instructions": [inner(each) for each in given]}
            for index, given in outcome.inner_instructions.items()
        ],
        "logMessages": outcome.logs,
        "preTokenBalances": _token_balances(view, entry.pre_token_balances),
        "postTokenBalances": _token_balances(view, entry.post_token_balances),
        "rewards": [],
        "computeUnitsConsumed": outcome.compute_units,
    }
    if outcome.return_data is not None:
        body["returnData"] = outcome.return_data
    if encoding != "jsonParsed":
        loaded = entry.loaded
        body["loadedAddresses"] = {
            "writable": [str(key) for key in loaded.writable],
            "readonly": [str(key) for key in loaded.readonly],
        }
    return body


def _token_balances(view: View, balances: list[JsonObject]) -> list[JsonObject]:
    if not view.faults.bare_token_balances:
        return balances
    return [{name: value for name, value in each.items() if name not in {"owner", "programId"}} for each in balances]


def account(view: View, slot: int, held: Account, encoding: str, data_slice: Any = None) -> JsonObject:
    """Write an account. `jsonParsed` falls back to base64 where there is no parser."""
    return {
        "lamports": held.lamports,
        "data": _account_data(view, slot, held, encoding, data_slice),
        "owner": str(held.owner),
        "executable": held.executable,
        "rentEpoch": held.rent_epoch,
        "space": len(held.data),
    }


def _account_data(view: View, slot: int, held: Account, encoding: str, data_slice: Any) -> Any:
    data = held.data
    if encoding == "jsonParsed":
        found = _parsed_account(view, slot, held)
        return found or [base64.b64encode(data).decode(), "base64"]
    if is_object(data_slice):
        data = data[data_slice["offset"] : data_slice["offset"] + data_slice["length"]]
    if encoding == "base64":
        return [base64.b64encode(data).decode(), "base64"]
    if encoding == "base64+zstd":
        raise invalid_params("the sandbox does not compress accounts: ask for base64")
    if len(data) > _BASE58_ACCOUNT_MAX_BYTES:
        raise RpcError(
            -32600,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        )
    return base58.encode(data) if encoding == "binary" else [base58.encode(data), "base58"]


def _parsed_account(view: View, slot: int, held: Account) -> JsonObject | None:
    token_account = tokens.read_token_account(held)
    if token_account is not None:
        return tokens.parsed_account(held, token_account, view.decimals(token_account.mint, slot))
    mint = tokens.read_mint(held)
    return tokens.parsed_mint(held, mint) if mint is not None else None
