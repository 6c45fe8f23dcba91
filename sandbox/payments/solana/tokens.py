"""What mints and token accounts hold, and the amounts that an RPC node writes for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.token.state import Mint, TokenAccount, TokenAccountState

from sandbox.payments.solana import programs

JsonObject = dict[str, Any]

TOKEN_ACCOUNT_BYTES = 165
MINT_BYTES = 82
_KIND_OF_2022 = {1: "mint", 2: "account"}


def read_token_account(account: Account) -> TokenAccount | None:
    """Read an initialised token account; None when it is anything else."""
    if account.owner not in programs.TOKEN_PROGRAMS or len(account.data) < TOKEN_ACCOUNT_BYTES:
        return None
    if len(account.data) > TOKEN_ACCOUNT_BYTES and _KIND_OF_2022.get(account.data[TOKEN_ACCOUNT_BYTES]) != "account":
        return None
    held = TokenAccount.from_bytes(account.data[:TOKEN_ACCOUNT_BYTES])
    return None if held.state == TokenAccountState.Uninitialized else held


def read_mint(account: Account) -> Mint | None:
    if account.owner not in programs.TOKEN_PROGRAMS or len(account.data) < MINT_BYTES:
        return None
    if read_token_account(account) is not None:
        return None
    mint = Mint.from_bytes(account.data[:MINT_BYTES])
    return mint if mint.is_initialized else None


def wallet_of(account: Account) -> Pubkey | None:
    held = read_token_account(account)
    return held.owner if held else None


def associated_account(wallet: Pubkey, mint: Pubkey, token_program: Pubkey = programs.TOKEN) -> Pubkey:
    return get_associated_token_address(wallet, mint, token_program)


def ui_amount(amount: int, decimals: int, *, zero_is_null: bool = False) -> JsonObject:
    """Write an amount of base units. In a transaction's balances the float of nothing is null, elsewhere 0.0."""
    shown = Decimal(amount).scaleb(-decimals)
    text = f"{shown:f}"
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": None if zero_is_null and amount == 0 else float(shown),
        "uiAmountString": text.rstrip("0").rstrip(".") if "." in text else text,
    }


def token_balance(account_index: int, account: Account, held: TokenAccount, decimals: int) -> JsonObject:
    return {
        "accountIndex": account_index,
        "mint": str(held.mint),
        "owner": str(held.owner),
        "programId": str(account.owner),
        "uiTokenAmount": ui_amount(held.amount, decimals, zero_is_null=True),
    }


def parsed_account(account: Account, held: TokenAccount, decimals: int) -> JsonObject:
    """Write a token account as `jsonParsed` does."""
    info: JsonObject = {
        "isNative": held.is_native is not None,
        "mint": str(held.mint),
        "owner": str(held.owner),
        "state": "frozen" if held.state == TokenAccountState.Frozen else "initialized",
        "tokenAmount": ui_amount(held.amount, decimals),
    }
    if held.is_native is not None:
        info["rentExemptReserve"] = ui_amount(held.is_native, decimals)
    if held.delegate is not None:
        info |= {"delegate": str(held.delegate), "delegatedAmount": ui_amount(held.delegated_amount, decimals)}
    if held.close_authority is not None:
        info["closeAuthority"] = str(held.close_authority)
    return {
        "program": program_name(account.owner),
        "parsed": {"info": info, "type": "account"},
        "space": len(account.data),
    }


def parsed_mint(account: Account, mint: Mint) -> JsonObject:
    info = {
        "decimals": mint.decimals,
        "freezeAuthority": str(mint.freeze_authority) if mint.freeze_authority else None,
        "isInitialized": mint.is_initialized,
        "mintAuthority": str(mint.mint_authority) if mint.mint_authority else None,
        "supply": str(mint.supply),
    }
    return {
        "program": program_name(account.owner),
        "parsed": {"info": info, "type": "mint"},
        "space": len(account.data),
    }


def program_name(program: Pubkey) -> str:
    return "spl-token" if program == programs.TOKEN else "spl-token-2022"
