"""Transactions that clients send, or only try."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from solders.pubkey import Pubkey
from solders.transaction import SanitizeError, VersionedTransaction

from sandbox.payments.solana import base58
from sandbox.payments.solana.cluster import BLOCKHASH_LIFETIME, Commitment
from sandbox.payments.solana.errors import (
    INTERNAL_ERROR,
    PREFLIGHT_FAILURE,
    SIGNATURE_VERIFICATION_FAILURE,
    RpcError,
    describe,
    invalid_params,
    min_context_slot_not_reached,
)
from sandbox.payments.solana.execution import Outcome, RefusedTransactionError, nothing_done
from sandbox.payments.solana.methods import encoding as written
from sandbox.payments.solana.methods.state import require_healthy
from sandbox.payments.solana.params import Config, Params, described, is_list, is_object, pubkey
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import View, with_context

_PACKET_BYTES = 1_232
_BASE58_MAX, _BASE64_MAX = 1_683, 1_644
_TYPE = "solana_transaction::versioned::VersionedTransaction"
_ENCODINGS = ("base58", "base64")


def send_transaction(view: View, raw: Any) -> str:
    params = Params(raw, least=1, most=2)
    config = params.config(1)
    transaction = _decode(params.text(0), config, default="base58")
    given = str(transaction.signatures[0])
    if not config.flag("skipPreflight"):
        _verify(transaction)
        require_healthy(view)
        outcome = _preflight(view, transaction, config)
        if outcome.err is not None:
            message = f"Transaction simulation failed: {describe(outcome.err)}"
            raise RpcError(PREFLIGHT_FAILURE, message, _simulated(outcome))
    if view.faults.loses_this_send():
        return given
    try:
        view.cluster.submit(transaction)
    except RefusedTransactionError:
        return given  # as with the original, whoever skipped the preflight is not told
    return given


def simulate_transaction(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    config = params.config(1)
    transaction = _decode(params.text(0), config, default="base58")
    verify, replace = config.flag("sigVerify"), config.flag("replaceRecentBlockhash")
    if verify and replace:
        raise invalid_params("sigVerify may not be used with replaceRecentBlockhash")
    view.context_slot(config)
    if verify:
        _verify(transaction)
    outcome = view.cluster.simulate(transaction, verify=verify, fresh=replace)
    body = _simulated(outcome)
    slot = view.slot(config.commitment())
    block = view.cluster.block_at(slot)
    if replace:
        body["replacementBlockhash"] = {
            "blockhash": str(block.blockhash),
            "lastValidBlockHeight": block.height + BLOCKHASH_LIFETIME,
        }
    wanted = config.get("accounts")
    if is_object(wanted):
        body["accounts"] = _post_accounts(view, slot, outcome, Config(wanted))
    return with_context(slot, body)


def request_airdrop(view: View, raw: Any) -> str:
    params = Params(raw, least=2, most=3)
    to, lamports = params.pubkey(0), params.at(1)
    if isinstance(lamports, bool) or not isinstance(lamports, int) or lamports < 0:
        raise invalid_params(f"Invalid params: invalid type: {described(lamports)}, expected u64.")
    try:
        return str(view.faucet.airdrop(to, lamports))
    except RefusedTransactionError as error:
        raise RpcError(INTERNAL_ERROR, "Internal error") from error


def _decode(text: str, config: Config, *, default: str) -> VersionedTransaction:
    encoding = config.choice("encoding", written.TRANSACTION_ENCODINGS, default)
    if encoding not in _ENCODINGS:
        raise invalid_params(f"unsupported encoding: {encoding}. Supported encodings: base58, base64")
    most = _BASE58_MAX if encoding == "base58" else _BASE64_MAX
    too_large = f"(max: encoded/raw {most}/{_PACKET_BYTES})"
    if len(text) > most:
        raise invalid_params(f"{encoding} encoded {_TYPE} too large: {len(text)} bytes {too_large}")
    try:
        wire = base58.decode(text) if encoding == "base58" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid_params(f"invalid {encoding} encoding: {error}") from error
    if len(wire) > _PACKET_BYTES:
        raise invalid_params(f"decoded {_TYPE} too large: {len(wire)} bytes (max: {_PACKET_BYTES} bytes)")
    try:
        transaction = VersionedTransaction.from_bytes(wire)
    except ValueError as error:
        raise invalid_params(f"failed to deserialize {_TYPE}: {error}") from error
    try:
        transaction.sanitize()
    except SanitizeError as error:
        raise invalid_params(f"invalid transaction: {error}") from error
    return transaction


def _preflight(view: View, transaction: VersionedTransaction, config: Config) -> Outcome:
    """Try it on the state of `preflightCommitment`: by default what is final, so a newer blockhash is not found."""
    slot = view.slot(config.commitment("preflightCommitment"))
    wanted = config.whole("minContextSlot")
    if wanted is not None and slot < wanted:
        raise min_context_slot_not_reached(slot)
    if not view.cluster.is_valid_blockhash(transaction.message.recent_blockhash, slot):
        return nothing_done("BlockhashNotFound")
    if view.account(transaction.message.account_keys[0], slot) is None:
        return nothing_done("AccountNotFound")
    return view.cluster.simulate(transaction)


def _verify(transaction: VersionedTransaction) -> None:
    if not all(transaction.verify_with_results()):
        raise RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")


def _simulated(outcome: Outcome) -> JsonObject:
    return {
        "err": outcome.err,
        "logs": outcome.logs,
        "accounts": None,
        "unitsConsumed": outcome.compute_units,
        "returnData": outcome.return_data,
        "innerInstructions": None,
        "replacementBlockhash": None,
        "loadedAccountsDataSize": 0,
    }


def _post_accounts(view: View, slot: int, outcome: Outcome, config: Config) -> list[JsonObject | None]:
    given = config.get("addresses")
    if not is_list(given):
        raise invalid_params("Invalid params: missing field `addresses`.")
    encoding = config.choice("encoding", written.ACCOUNT_ENCODINGS, "base64")
    if encoding in {"binary", "base58"}:
        raise invalid_params("base58 encoding not supported")
    found: list[JsonObject | None] = []
    for each in given:
        key: Pubkey = pubkey(each)
        account = outcome.post_accounts.get(key) or view.account(key, view.slot(Commitment.PROCESSED))
        found.append(None if account is None else written.account(view, slot, account, encoding))
    return found
