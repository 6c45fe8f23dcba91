"""What a transaction on Solana brought us, by how our balances changed: what its instructions say proves nothing.

Read from the answer of `getTransaction` with `encoding: jsonParsed` or `json`
(https://solana.com/docs/rpc/http/gettransaction).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Struct

from domain.payments.amounts import SOL, USDC, Asset

_LAST_TIME: Final = 10**11
_LAST_SLOT: Final = 2**53
WRAPPED_SOL: Final = "So11111111111111111111111111111111111111112"
TOKEN_PROGRAM: Final = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address


class Receiver(Struct, frozen=True, kw_only=True):
    """Where we are paid."""

    wallet: str
    usdc_mint: str
    token_accounts: frozenset[str]
    """The wallet's own accounts for USDC and wrapped SOL: a node that names no owner is read by these."""

    def asset_of(self, mint: str) -> Asset | None:
        return {self.usdc_mint: USDC, WRAPPED_SOL: SOL}.get(mint)


class Incoming(Struct, frozen=True, kw_only=True):
    """By how much one balance of ours grew."""

    signature: str
    mint: str
    """`SOL` for the wallet's own balance."""
    asset: Asset
    units: int
    """In base units, above zero."""
    slot: int
    at: datetime | None
    accounts: frozenset[str]
    """Every account the transaction names, also by lookup table: the reference is one of them."""

    @property
    def key(self) -> str:
        """What it is credited under, once."""
        return f"solana:{self.signature}:{self.mint}"


class _TokenAmount(Struct):
    amount: str


class _TokenBalance(Struct, rename="camel"):
    account_index: int
    mint: str
    ui_token_amount: _TokenAmount
    owner: str | None = None
    program_id: str | None = None


class _Loaded(Struct):
    writable: list[str] = []
    readonly: list[str] = []


class _Meta(Struct, rename="camel"):
    err: Any
    pre_balances: list[int]
    post_balances: list[int]
    pre_token_balances: list[_TokenBalance] | None = None
    post_token_balances: list[_TokenBalance] | None = None
    loaded_addresses: _Loaded | None = None


class _AccountKey(Struct):
    pubkey: str
    signer: bool = False


class _Header(Struct, rename="camel"):
    num_required_signatures: int


class _Message(Struct, rename="camel"):
    account_keys: list[_AccountKey | str]
    header: _Header | None = None
    """Not in `jsonParsed`, where each account says whether it signed."""


class _Transaction(Struct):
    signatures: Annotated[list[str], msgspec.Meta(min_length=1)]
    message: _Message


class _Answer(Struct, rename="camel"):
    slot: int
    meta: _Meta
    transaction: _Transaction
    block_time: int | None = None


class UnreadableTransactionError(ValueError):
    """Not the documented shape: nothing follows from it, least of all that nothing came."""


def incoming(answer: bytes, receiver: Receiver) -> list[Incoming]:
    """Return what the `result` of `getTransaction` brought, per balance of ours; nothing if the transaction failed.

    What our own wallet signed is our own doing (a swap, SOL that is wrapped or unwrapped) and brings nothing, whatever
    grew by it. Raises `UnreadableTransactionError`.
    """
    try:
        read = msgspec.json.decode(answer, type=_Answer)
        accounts = _accounts(read)
        grown = _grown(read, accounts, receiver)
        slot, at = checked_slot(read.slot), moment(read.block_time)
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise UnreadableTransactionError(str(error)) from error
    if read.meta.err is not None or _signed_by(read.transaction.message, receiver.wallet):
        return []
    return [
        Incoming(
            signature=read.transaction.signatures[0],
            mint=mint,
            asset=asset,
            units=units,
            slot=slot,
            at=at,
            accounts=frozenset(accounts),
        )
        for mint, asset, units in grown
        if units > 0
    ]


def moment(seconds: int | None) -> datetime | None:
    """Return the time of a block. Raises `ValueError` for what cannot be one."""
    if seconds is None:
        return None
    if not 0 <= seconds < _LAST_TIME:
        raise ValueError(f"{seconds} is not the time of a block")
    return datetime.fromtimestamp(seconds, UTC)


def checked_slot(slot: int) -> int:
    """Return the slot. Raises `ValueError` for what cannot be one."""
    if not 0 <= slot < _LAST_SLOT:
        raise ValueError(f"{slot} is no slot")
    return slot


def _signed_by(message: _Message, wallet: str) -> bool:
    signs = message.header.num_required_signatures if message.header else 0
    return any(
        (key.pubkey == wallet and key.signer) if isinstance(key, _AccountKey) else (key == wallet and index < signs)
        for index, key in enumerate(message.account_keys)
    )


def _accounts(read: _Answer) -> list[str]:
    """Return the accounts by index; in `json` those of lookup tables follow, the writable ones first."""
    keys = [key if isinstance(key, str) else key.pubkey for key in read.transaction.message.account_keys]
    loaded = read.meta.loaded_addresses
    if loaded and len(keys) < len(read.meta.post_balances):
        keys += [*loaded.writable, *loaded.readonly]
    if not len(keys) == len(read.meta.pre_balances) == len(read.meta.post_balances):
        raise UnreadableTransactionError("balances and accounts differ in number")
    return keys


def _grown(read: _Answer, accounts: Sequence[str], receiver: Receiver) -> list[tuple[str, Asset, int]]:
    meta = read.meta
    grown: list[tuple[str, Asset, int]] = []
    if receiver.wallet in accounts:
        index = accounts.index(receiver.wallet)
        grown.append(("SOL", SOL, meta.post_balances[index] - meta.pre_balances[index]))
    for mint in (receiver.usdc_mint, WRAPPED_SOL):
        asset = receiver.asset_of(mint)
        after = _held(meta.post_token_balances, mint, accounts, receiver)
        before = _held(meta.pre_token_balances, mint, accounts, receiver)
        if asset:
            grown.append((mint, asset, after - before))
    return grown


def _held(balances: Sequence[_TokenBalance] | None, mint: str, accounts: Sequence[str], receiver: Receiver) -> int:
    """Return what is ours of a mint. An account that was made in this transaction had nothing before."""
    total = 0
    for one in balances or ():
        is_ours = one.owner == receiver.wallet or (
            one.owner is None and accounts[one.account_index] in receiver.token_accounts
        )
        if one.mint == mint and is_ours and one.program_id in (None, TOKEN_PROGRAM):
            total += int(one.ui_token_amount.amount)
    return total
