"""What accounts hold, and where the cluster stands."""

from __future__ import annotations

from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from sandbox.payments.solana import programs, tokens
from sandbox.payments.solana.cluster import BLOCKHASH_LIFETIME, Commitment
from sandbox.payments.solana.errors import invalid_params, node_behind
from sandbox.payments.solana.methods import encoding as written
from sandbox.payments.solana.params import Params, blockhash, described, pubkey, strings
from sandbox.payments.solana.tokens import JsonObject
from sandbox.payments.solana.view import API_VERSION, View, with_context

_ACCOUNTS_MAX = 100
_HEALTHY_LAG_SLOTS = 128
_FEATURE_SET = 3_604_001_754


def get_balance(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    key = params.pubkey(0)
    slot = view.context_slot(params.config(1))
    account = view.account(key, slot)
    return with_context(slot, account.lamports if account else 0)


def get_account_info(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    key, config = params.pubkey(0), params.config(1)
    encoding = config.choice("encoding", written.ACCOUNT_ENCODINGS, "binary")
    slot = view.context_slot(config)
    account = view.account(key, slot)
    return with_context(
        slot, None if account is None else written.account(view, slot, account, encoding, config.get("dataSlice"))
    )


def get_multiple_accounts(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    keys = [pubkey(each) for each in strings(params.at(0), _ACCOUNTS_MAX)]
    config = params.config(1)
    encoding = config.choice("encoding", written.ACCOUNT_ENCODINGS, "base64")
    slot = view.context_slot(config)
    accounts = [view.account(key, slot) for key in keys]
    data_slice = config.get("dataSlice")
    return with_context(
        slot, [None if each is None else written.account(view, slot, each, encoding, data_slice) for each in accounts]
    )


def get_token_account_balance(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    key = params.pubkey(0)
    slot = view.context_slot(params.config(1))
    account = view.account(key, slot)
    if account is None:
        raise invalid_params("Invalid param: could not find account")
    held = tokens.read_token_account(account)
    if held is None:
        raise invalid_params("Invalid param: not a Token account")
    return with_context(slot, tokens.ui_amount(held.amount, view.decimals(held.mint, slot)))


def get_token_accounts_by_owner(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=2, most=3)
    owner, wanted, config = params.pubkey(0), params.at(1), params.config(2)
    encoding = config.choice("encoding", written.ACCOUNT_ENCODINGS, "binary")
    slot = view.context_slot(config)
    match wanted:
        case {"mint": mint}:
            chosen = pubkey(mint)
            view.decimals(chosen, slot)
        case {"programId": program}:
            chosen = pubkey(program)
            if chosen not in programs.TOKEN_PROGRAMS:
                raise invalid_params("Invalid param: unrecognized Token program id")
        case _:
            raise invalid_params("Invalid params: expected a map with `mint` or `programId`.")
    return with_context(
        slot,
        [
            {"pubkey": str(key), "account": written.account(view, slot, account, encoding, config.get("dataSlice"))}
            for key, account in view.cluster.accounts.token_accounts_of(owner, slot)
            if _belongs(account, chosen)
        ],
    )


def _belongs(account: Account, chosen: Pubkey) -> bool:
    held = tokens.read_token_account(account)
    return held is not None and chosen in {held.mint, account.owner}


def get_slot(view: View, raw: Any) -> int:
    return view.context_slot(Params(raw, most=1).config(0))


def get_block_height(view: View, raw: Any) -> int:
    return view.cluster.block_at(view.context_slot(Params(raw, most=1).config(0))).height


def get_block_time(view: View, raw: Any) -> int:
    params = Params(raw, least=1, most=1)
    slot = params.at(0)
    if isinstance(slot, bool) or not isinstance(slot, int):
        raise invalid_params(f"Invalid params: invalid type: {described(slot)}, expected u64.")
    return view.cluster.block_at(slot).time


def get_latest_blockhash(view: View, raw: Any) -> JsonObject:
    slot = view.context_slot(Params(raw, most=1).config(0))
    block = view.cluster.block_at(slot)
    lifetime = block.height + BLOCKHASH_LIFETIME
    return with_context(slot, {"blockhash": str(block.blockhash), "lastValidBlockHeight": lifetime})


def is_blockhash_valid(view: View, raw: Any) -> JsonObject:
    params = Params(raw, least=1, most=2)
    given = blockhash(params.at(0))
    slot = view.context_slot(params.config(1))
    return with_context(slot, view.cluster.is_valid_blockhash(given, slot))


def get_health(view: View, raw: Any) -> str:
    Params(raw, most=0)
    require_healthy(view)
    return "ok"


def require_healthy(view: View) -> None:
    faults = view.faults
    if faults.admits_lag and faults.lag_slots > _HEALTHY_LAG_SLOTS:
        raise node_behind(faults.lag_slots)


def get_version(_view: View, raw: Any) -> JsonObject:
    Params(raw, most=0)
    return {"feature-set": _FEATURE_SET, "solana-core": API_VERSION}


def get_genesis_hash(view: View, raw: Any) -> str:
    Params(raw, most=0)
    return str(view.cluster.genesis_hash)


def get_minimum_balance_for_rent_exemption(view: View, raw: Any) -> int:
    size = Params(raw, least=1, most=2).at(0)
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise invalid_params(f"Invalid params: invalid type: {described(size)}, expected usize.")
    return view.cluster.svm.minimum_balance_for_rent_exemption(size)


def get_first_available_block(view: View, raw: Any) -> int:
    Params(raw, most=0)
    return max(view.cluster.first_slot, view.faults.pruned_before_slot)


def get_epoch_info(view: View, raw: Any) -> JsonObject:
    slot = view.context_slot(Params(raw, most=1).config(0))
    slots_in_epoch = 432_000
    return {
        "absoluteSlot": slot,
        "blockHeight": view.cluster.block_at(slot).height,
        "epoch": slot // slots_in_epoch,
        "slotIndex": slot % slots_in_epoch,
        "slotsInEpoch": slots_in_epoch,
        "transactionCount": len(view.cluster.ledger),
    }


def get_supply_of(view: View, raw: Any) -> JsonObject:
    """Answer getTokenSupply."""
    params = Params(raw, least=1, most=2)
    key = params.pubkey(0)
    slot = view.slot(Commitment.FINALIZED)
    account = view.account(key, slot)
    mint = tokens.read_mint(account) if account else None
    if mint is None:
        raise invalid_params("Invalid param: could not find mint")
    return with_context(slot, tokens.ui_amount(mint.supply, mint.decimals))
