"""Instructions as wallets write them, and transactions made of them."""

from __future__ import annotations

from collections.abc import Sequence

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from sandbox.payments.solana import programs

_TRANSFER = 3
_CLOSE_ACCOUNT = 9
_TRANSFER_CHECKED = 12
_SYNC_NATIVE = 17
_CREATE_IDEMPOTENT = 1
_LEAST_LIMIT, _LIMITS = 200_000, 1_200_000


def compile_transaction(
    payer: Keypair,
    instructions: Sequence[Instruction],
    blockhash: Hash,
    *,
    cosigners: Sequence[Keypair] = (),
    tables: Sequence[AddressLookupTableAccount] = (),
    legacy: bool = False,
) -> VersionedTransaction:
    if legacy:
        message = Message.new_with_blockhash(instructions, payer.pubkey(), blockhash)
    else:
        message = MessageV0.try_compile(payer.pubkey(), instructions, tables, blockhash)
    return VersionedTransaction(message, [payer, *cosigners])


def sol_transfer(source: Pubkey, to: Pubkey, lamports: int, references: Sequence[Pubkey] = ()) -> Instruction:
    made = transfer(TransferParams(from_pubkey=source, to_pubkey=to, lamports=lamports))
    return _naming(made, references)


def token_transfer(
    source: Pubkey,
    destination: Pubkey,
    authority: Pubkey,
    amount: int,
    *,
    references: Sequence[Pubkey] = (),
    token_program: Pubkey = programs.TOKEN,
) -> Instruction:
    """Write the old kind, which names no mint."""
    data = bytes([_TRANSFER]) + amount.to_bytes(8, "little")
    accounts = [_writable(source), _writable(destination), AccountMeta(authority, is_signer=True, is_writable=False)]
    return _naming(Instruction(token_program, data, accounts), references)


def token_transfer_checked(
    source: Pubkey,
    mint: Pubkey,
    destination: Pubkey,
    authority: Pubkey,
    amount: int,
    *,
    decimals: int,
    references: Sequence[Pubkey] = (),
    token_program: Pubkey = programs.TOKEN,
) -> Instruction:
    data = bytes([_TRANSFER_CHECKED]) + amount.to_bytes(8, "little") + bytes([decimals])
    accounts = [
        _writable(source),
        _readonly(mint),
        _writable(destination),
        AccountMeta(authority, is_signer=True, is_writable=False),
    ]
    return _naming(Instruction(token_program, data, accounts), references)


def create_associated_account(
    payer: Pubkey, address: Pubkey, wallet: Pubkey, mint: Pubkey, token_program: Pubkey = programs.TOKEN
) -> Instruction:
    """Make it unless it is there."""
    accounts = [
        AccountMeta(payer, is_signer=True, is_writable=True),
        _writable(address),
        *(_readonly(key) for key in (wallet, mint, programs.SYSTEM, token_program)),
    ]
    return Instruction(programs.ASSOCIATED_TOKEN, bytes([_CREATE_IDEMPOTENT]), accounts)


def sync_native(account: Pubkey) -> Instruction:
    return Instruction(programs.TOKEN, bytes([_SYNC_NATIVE]), [_writable(account)])


def close_account(account: Pubkey, to: Pubkey, authority: Pubkey) -> Instruction:
    accounts = [_writable(account), _writable(to), AccountMeta(authority, is_signer=True, is_writable=False)]
    return Instruction(programs.TOKEN, bytes([_CLOSE_ACCOUNT]), accounts)


def numbered(number: int) -> Instruction:
    """Give what distinguishes a transaction from an equal one of the same slot, as wallets do."""
    return set_compute_unit_limit(_LEAST_LIMIT + number % _LIMITS)


def memo(text: str) -> Instruction:
    return Instruction(programs.MEMO, text.encode(), [])


def _naming(instruction: Instruction, references: Sequence[Pubkey]) -> Instruction:
    """Add keys that the program ignores, as Solana Pay does."""
    accounts = [*instruction.accounts, *(_readonly(key) for key in references)]
    return Instruction(instruction.program_id, instruction.data, accounts)


def _readonly(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)
