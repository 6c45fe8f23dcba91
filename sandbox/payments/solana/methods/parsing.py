"""Instructions in the words of their programs, as `jsonParsed` has them. Others are given with accounts and data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from solders.instruction import CompiledInstruction
from solders.pubkey import Pubkey

from sandbox.payments.solana import base58, programs, tokens
from sandbox.payments.solana.tokens import JsonObject

Parser = Callable[[bytes, Sequence[str], Callable[[str], int]], JsonObject | None]
"""Data, accounts, and the decimals of a mint -> `{type, info}`; None for what it does not know."""

_U64 = 8
_SYSTEM_CREATE_ACCOUNT, _SYSTEM_ASSIGN, _SYSTEM_TRANSFER = 0, 1, 2
_CREATE_ACCOUNT_BYTES = 52
_TRANSFER_CHECKED, _INITIALIZE_ACCOUNT_3, _GET_ACCOUNT_DATA_SIZE = 12, 18, 21
_OF_ONE_ACCOUNT = {17: "syncNative", 22: "initializeImmutableOwner"}
_MOVEMENTS = {
    3: ("transfer", "source", "destination", "authority", "multisigAuthority"),
    7: ("mintTo", "mint", "account", "mintAuthority", "multisigMintAuthority"),
    8: ("burn", "account", "mint", "authority", "multisigAuthority"),
    9: ("closeAccount", "account", "destination", "owner", "multisigOwner"),
}
"""By instruction: its name, its two accounts, and who allows it, one or several."""


def parsed(
    instruction: CompiledInstruction, keys: Sequence[Pubkey], stack_height: int | None, decimals: Callable[[str], int]
) -> JsonObject:
    program = keys[instruction.program_id_index]
    accounts = [str(keys[index]) for index in instruction.accounts]
    name, parser = _PARSERS.get(program, ("", None))
    found = _memo(instruction.data) if program in programs.MEMO_PROGRAMS else None
    if parser is not None:
        try:
            found = parser(instruction.data, accounts, decimals)
        except (IndexError, ValueError):
            found = None
    common: JsonObject = {"programId": str(program), "stackHeight": stack_height}
    if found is None:
        return common | {"accounts": accounts, "data": base58.encode(instruction.data)}
    return common | {"program": "spl-memo" if program in programs.MEMO_PROGRAMS else name, "parsed": found}


def _memo(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _system(data: bytes, accounts: Sequence[str], _decimals: Callable[[str], int]) -> JsonObject | None:
    kind = int.from_bytes(data[:4], "little")
    if kind == _SYSTEM_TRANSFER:
        lamports = _u64(data, 4)
        return _named("transfer", source=accounts[0], destination=accounts[1], lamports=lamports)
    if kind == _SYSTEM_CREATE_ACCOUNT and len(data) >= _CREATE_ACCOUNT_BYTES:
        return _named(
            "createAccount",
            source=accounts[0],
            newAccount=accounts[1],
            lamports=_u64(data, 4),
            space=_u64(data, 12),
            owner=str(Pubkey(data[20:52])),
        )
    if kind == _SYSTEM_ASSIGN:
        return _named("assign", account=accounts[0], owner=str(Pubkey(data[4:36])))
    return None


def _token(data: bytes, accounts: Sequence[str], decimals: Callable[[str], int]) -> JsonObject | None:
    rest = data[1:]
    if data[0] == _GET_ACCOUNT_DATA_SIZE:
        decimals(accounts[0])
        extensions = {"extensionTypes": ["immutableOwner"]} if rest else {}
        return _named("getAccountDataSize", mint=accounts[0], **extensions)
    if data[0] == _TRANSFER_CHECKED:
        shown = tokens.ui_amount(_u64(rest, 0), rest[_U64])
        moved = {"source": accounts[0], "mint": accounts[1], "destination": accounts[2], "tokenAmount": shown}
        return _named("transferChecked", **moved, **_signers(accounts, 3, "authority", "multisigAuthority"))
    if data[0] == _INITIALIZE_ACCOUNT_3:
        owner = str(Pubkey(rest[: Pubkey.LENGTH]))
        return _named("initializeAccount3", account=accounts[0], mint=accounts[1], owner=owner)
    if data[0] in _OF_ONE_ACCOUNT:
        return _named(_OF_ONE_ACCOUNT[data[0]], account=accounts[0])
    return _token_movement(data, accounts)


def _token_movement(data: bytes, accounts: Sequence[str]) -> JsonObject | None:
    """Write what names two accounts and who allowed it, most with an amount."""
    row = _MOVEMENTS.get(data[0])
    if row is None:
        return None
    kind, first, second, single, several = row
    info: JsonObject = {first: accounts[0], second: accounts[1]}
    if kind != "closeAccount":
        info["amount"] = str(_u64(data, 1))
    return _named(kind, **info, **_signers(accounts, 2, single, several))


def _associated(data: bytes, accounts: Sequence[str], _decimals: Callable[[str], int]) -> JsonObject | None:
    names = ("source", "account", "wallet", "mint", "systemProgram", "tokenProgram")
    info = dict(zip(names, accounts, strict=False))
    if len(info) < len(names):
        raise IndexError(len(info))
    return {0: _named("create", **info), 1: _named("createIdempotent", **info)}.get(data[0] if data else 0)


_PARSERS: dict[Pubkey, tuple[str, Parser]] = {
    programs.SYSTEM: ("system", _system),
    programs.TOKEN: ("spl-token", _token),
    programs.TOKEN_2022: ("spl-token", _token),
    programs.ASSOCIATED_TOKEN: ("spl-associated-token-account", _associated),
}


def _signers(accounts: Sequence[str], owner: int, single: str, several: str) -> JsonObject:
    """Write who allowed it: with any account after the owner, Agave believes in a multisig.

    A Solana Pay reference is such an account.
    """
    more = accounts[owner + 1 :]
    return {several: accounts[owner], "signers": list(more)} if more else {single: accounts[owner]}


def _named(kind: str, **info: object) -> JsonObject:
    return {"type": kind, "info": info}


def _u64(data: bytes, start: int) -> int:
    if len(data) < start + _U64:
        raise IndexError(start)
    return int.from_bytes(data[start : start + _U64], "little")
