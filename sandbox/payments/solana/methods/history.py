"""What landed: lists by account, transactions, statuses."""

from __future__ import annotations

from typing import Any

from solders.signature import Signature

from sandbox.payments.solana.cluster import FINALIZED_AFTER, Commitment
from sandbox.payments.solana.errors import RpcError, history_not_available, invalid_params
from sandbox.payments.solana.execution import Entry
from sandbox.payments.solana.methods import encoding as written
from sandbox.payments.solana.params import Config, Params, signature, strings
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import View, with_context

_LIST_MAX = 1_000
_STATUSES_MAX = 256
_RECENT_SLOTS = 150
"""How far back a node remembers statuses without searching its history."""
_FILTER_TRANSACTION_NOT_FOUND = -32020


def get_signatures_for_address(view: View, raw: Any) -> list[JsonObject]:
    params = Params(raw, least=1, most=2)
    config = params.config(1)
    key, limit = params.pubkey(0), config.whole("limit")
    if limit is not None and not 0 < limit <= _LIST_MAX:
        raise invalid_params(f"Invalid limit; max {_LIST_MAX}")
    before, until = config.signature("before"), config.signature("until")
    slot = view.context_slot(config, at_least_confirmed=True)
    _require_history(view)
    first = _cursor(view, before, slot)
    if before is not None and first is None:
        return []
    entries = view.cluster.ledger.list_for(
        key,
        slot=slot,
        before=first,
        until=_cursor(view, until, slot),
        first_slot=view.faults.pruned_before_slot,
        limit=limit or _LIST_MAX,
    )
    if view.faults.shuffles_listing:
        entries = [*entries[1::2], *entries[::2]]
    if view.faults.duplicates_listing:
        entries = [entry for entry in entries for _ in range(2)]
    return [_listed(view, entry) for entry in entries]


def get_transaction(view: View, raw: Any) -> JsonObject | None:
    params = Params(raw, least=1, most=2)
    wanted = params.signature(0)
    config = _transaction_config(params)
    encoding = config.choice("encoding", written.TRANSACTION_ENCODINGS, "json")
    max_version = config.whole("maxSupportedTransactionVersion")
    commitment = config.commitment(at_least_confirmed=True)
    _require_history(view)
    entry = view.find(wanted, commitment)
    if entry is None or view.faults.hides(entry):
        return None
    return written.transaction(view, entry, encoding, max_version)


def get_signature_statuses(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    signatures = [signature(each) for each in strings(params.at(0), _STATUSES_MAX)]
    searches = params.config(1).flag("searchTransactionHistory")
    if searches:
        _require_history(view)
    slot = view.slot(Commitment.PROCESSED)
    return with_context(slot, [_status(view, each, slot, searches=searches) for each in signatures])


def _status(view: View, wanted: Signature, slot: int, *, searches: bool) -> JsonObject | None:
    entry = view.find(wanted)
    if entry is None or (not searches and entry.slot < slot - _RECENT_SLOTS):
        return None
    status = view.status_of(entry)
    outcome = entry.outcome
    return {
        "slot": entry.slot,
        "confirmations": None if status is Commitment.FINALIZED else min(slot - entry.slot, FINALIZED_AFTER - 1),
        "err": outcome.err,
        "status": {"Ok": None} if outcome.err is None else {"Err": outcome.err},
        "confirmationStatus": status,
    }


def _listed(view: View, entry: Entry) -> JsonObject:
    return {
        "signature": str(entry.signature),
        "slot": entry.slot,
        "err": entry.outcome.err,
        "memo": entry.memo,
        "blockTime": None if view.faults.without_block_times else entry.block_time,
        "confirmationStatus": view.status_of(entry),
    }


def _cursor(view: View, given: Signature | None, slot: int) -> Entry | None:
    """Find what a list begins after or ends before. Agave 3.1 takes an unknown one in silence."""
    if given is None:
        return None
    entry = view.find(given)
    found = entry is not None and entry.slot <= slot
    if not found and view.faults.unknown_cursor_is_error:
        raise RpcError(_FILTER_TRANSACTION_NOT_FOUND, f"Transaction {given} not found")
    return entry if found else None


def _transaction_config(params: Params) -> Config:
    """Read the last parameter: an encoding alone is allowed, as it was long ago."""
    return Config({"encoding": params.at(1)}) if isinstance(params.at(1), str) else params.config(1)


def _require_history(view: View) -> None:
    if not view.faults.keeps_history:
        raise history_not_available()
