"""JSON-RPC 2.0 as a node speaks it: single calls, batches, notifications, errors within 200."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sandbox.payments.solana.errors import INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RpcError
from sandbox.payments.solana.methods import history, sending, state
from sandbox.payments.solana.params import is_list, is_object
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import View

METHODS: dict[str, Callable[[View, Any], Any]] = {
    "getAccountInfo": state.get_account_info,
    "getBalance": state.get_balance,
    "getBlockHeight": state.get_block_height,
    "getBlockTime": state.get_block_time,
    "getEpochInfo": state.get_epoch_info,
    "getFirstAvailableBlock": state.get_first_available_block,
    "getGenesisHash": state.get_genesis_hash,
    "getHealth": state.get_health,
    "getLatestBlockhash": state.get_latest_blockhash,
    "getMinimumBalanceForRentExemption": state.get_minimum_balance_for_rent_exemption,
    "getMultipleAccounts": state.get_multiple_accounts,
    "getSignatureStatuses": history.get_signature_statuses,
    "getSignaturesForAddress": history.get_signatures_for_address,
    "getSlot": state.get_slot,
    "getTokenAccountBalance": state.get_token_account_balance,
    "getTokenAccountsByOwner": state.get_token_accounts_by_owner,
    "getTokenSupply": state.get_supply_of,
    "getTransaction": history.get_transaction,
    "getVersion": state.get_version,
    "isBlockhashValid": state.is_blockhash_valid,
    "requestAirdrop": sending.request_airdrop,
    "sendTransaction": sending.send_transaction,
    "simulateTransaction": sending.simulate_transaction,
}


def read(body: bytes) -> JsonObject | list[Any]:
    """Parse a request or a batch; RpcError when it is neither."""
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise RpcError(PARSE_ERROR, "Parse error") from error
    if is_object(parsed) or is_list(parsed):
        return parsed
    raise RpcError(INVALID_REQUEST, "Invalid request")


def method_names(request: JsonObject | list[Any]) -> frozenset[str]:
    each: list[Any] = request if isinstance(request, list) else [request]
    return frozenset(str(one.get("method")) for one in each if is_object(one))


def answer(view: View, request: JsonObject | list[Any]) -> Any:
    """Answer a request or a batch; None when nothing in it wants an answer."""
    if isinstance(request, dict):
        return _answer_one(view, request)
    if not request:
        return failure(None, RpcError(INVALID_REQUEST, "Invalid request"))
    return [each for each in (_answer_one(view, one) for one in request) if each is not None] or None


def _answer_one(view: View, request: Any) -> JsonObject | None:
    if not is_object(request):
        return failure(None, RpcError(INVALID_REQUEST, "Invalid request"))
    number, method = request.get("id"), request.get("method")
    if request.get("jsonrpc") != "2.0" or not isinstance(method, str) or isinstance(number, dict | list | bool):
        return failure(number, RpcError(INVALID_REQUEST, "Invalid request"))
    try:
        result = call(view, method, request.get("params"))
    except RpcError as error:
        return failure(number, error) if "id" in request else None
    return {"jsonrpc": "2.0", "result": result, "id": number} if "id" in request else None


def call(view: View, method: str, params: Any) -> Any:
    run = METHODS.get(method)
    if run is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found")
    result = run(view, params)
    if view.faults.rewrite is not None:
        result = view.faults.rewrite(method, result)
    if view.faults.after_call is not None:
        view.faults.after_call(method)
    return result


def failure(number: Any, error: RpcError) -> JsonObject:
    return {"jsonrpc": "2.0", "error": error.body(), "id": number}
