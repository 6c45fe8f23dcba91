"""Words that look like addresses: which of them can be a token's, and which are somebody we know."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from domain.calls.addresses import as_kept, is_mint
from domain.posts.reasons import LeftOut

Family = Literal["solana", "evm"]


class Key(NamedTuple):
    """An address that decodes: base58 of 32 bytes as it is written, or 20 bytes of hex in small letters."""

    address: str
    family: Family


_EVM: Final = re.compile(r"0[xX][0-9a-fA-F]{40}")
_HEX_KEY: Final = re.compile(r"(?:0[xX])?[0-9a-fA-F]{64}")
_LOST_CAPITALS: Final = re.compile(r"(?=[0-9a-z]{0,43}[g-z])(?=[a-z]{0,43}[0-9])[0-9a-z]{32,44}")
_BASE58: Final = re.compile(r"[1-9A-HJ-NP-Za-km-z]+")
_OTHER_CHAINS: Final = re.compile(r"[EUk0]Q[A-Za-z0-9_-]{46}|T[1-9A-HJ-NP-Za-km-z]{33}")
"""TON's friendly form, Tron."""
_SIGNATURE: Final = range(86, 89)
_MINT: Final = range(32, 45)
_ALMOST: Final = range(26, 60)
"""Characters of what was perhaps an address before it was cut or joined with something."""
_NATIVE: Final = re.compile(r"Sysvar.*|.*1{15}")

_PROGRAMS: Final = frozenset(
    {
        "11111111111111111111111111111111",
        "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
        "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL",
        "metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s",
        "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
        "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVddwQDwtK9s",
        "675kPX9MHTjS2zt1qfr1NYHuzeLXfQM9H24wFSUt1Mp8",
        "CAMMCzo5YL8w4VFF8KVHrK22GGUsp5VTaW7grrKgrWqK",
        "CPMMoo8L3F4NbTegBCKVNunggL7H1ZpdTHKxQB5qKP1C",
        "6EF8rrecthR5Dkzon8Nwu78hRvfCKubJ14M5uBEwF6P",
        "pAMMBay6oceH9fJKBRHGP5D4bD4sWpmSwMn52FMfXEA",
        "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4",
        "whirLbMiicVdio4qvUfM5KAg6Ct8VwpYzGff3uctyCc",
        "LBUZKhRxPF3XUpBCjp4YzTKgLccjZhTSDM9YuVaPwxo",
        "AddressLookupTab1e1111111111111111111111111",
        "BPFLoaderUpgradeab1e11111111111111111111111",
        "1nc1nerator11111111111111111111111111111111",
        # EVM: nobody, where coins are burnt, what stands for the native coin, routers
        "0x0000000000000000000000000000000000000000",
        "0x000000000000000000000000000000000000dead",
        "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
        "0x7a250d5630b4cf539739df2c5dacb4c659f2488d",
        "0x10ed43c718714eb63d5aa57b78b54704e256024e",
    }
)
_STABLE_COINS: Final = {
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": "USDC",
    "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB": "USDT",
    "2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo": "PYUSD",
    "USD1ttGY1N17NEEHLmELoaybftRBUSErhqYiQzvEmuB": "USD1",
    # Ethereum: USDC, USDT, DAI
    "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48": "USDC",
    "0xdac17f958d2ee523a2206206994597c13d831ec7": "USDT",
    "0x6b175474e89094c44da98b954eedeac495271d0f": "DAI",
    # Base: USDC; BSC: USDT, BUSD, USDC, USD1; Arbitrum: USDC, USDT
    "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913": "USDC",
    "0x55d398326f99059ff775485246999027b3197955": "USDT",
    "0xe9e7cea3dedca5984780bafc599bd69add087d56": "BUSD",
    "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d": "USDC",
    "0x8d0d000ee44948fc98c9b98a4fa4921476f08b0d": "USD1",
    "0xaf88d065e77c8cc2239327c5edb3a432268e5831": "USDC",
    "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9": "USDT",
}
_WRAPPED_COINS: Final = {
    "So11111111111111111111111111111111111111112": "wrapped SOL",
    "mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So": "staked SOL (mSOL)",
    "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn": "staked SOL (JitoSOL)",
    # Ethereum: WETH, WBTC; Base: WETH; BSC: WBNB; Arbitrum: WETH
    "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2": "wrapped ETH",
    "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599": "wrapped BTC",
    "0x4200000000000000000000000000000000000006": "wrapped ETH",
    "0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c": "wrapped BNB",
    "0x82af49447d8a07e3bd95bd0d56f35241523fbab1": "wrapped ETH",
}
_KNOWN: Final[dict[str, LeftOut]] = {
    **dict.fromkeys(_PROGRAMS, "program"),
    **dict.fromkeys(_STABLE_COINS, "stable_coin"),
    **dict.fromkeys(_WRAPPED_COINS, "wrapped_coin"),
}


def coin_named(address: str) -> str | None:
    """Return what people call a coin that others are paid with; `None` for any other address."""
    return (_STABLE_COINS | _WRAPPED_COINS).get(as_kept(address))


def key_of(word: str) -> Key | LeftOut | None:
    """The address that a word is, why it is none although it looks like one, or `None`: it is a word.

    Capitals prove nothing on EVM chains. In base58 they are part of the address, and one that has lost them still
    decodes: what has letters of one size only is nobody's.
    """
    if _EVM.fullmatch(word):
        address = "0x" + word[2:].lower()
        return _KNOWN.get(address) or Key(address, "evm")
    if _HEX_KEY.fullmatch(word):
        return "hash"
    if _OTHER_CHAINS.fullmatch(word):
        return "other_chain"
    return _in_base58(word) if _BASE58.fullmatch(word) else _in_no_alphabet(word)


def _in_base58(word: str) -> Key | LeftOut | None:
    if known := _KNOWN.get(word):
        return known
    if len(word) in _SIGNATURE:
        return "transaction"
    if len(word) in _MINT and is_mint(word):
        if _NATIVE.fullmatch(word):
            return "program"
        return Key(word, "solana") if word.lower() != word != word.upper() else "lower_cased"
    return _in_no_alphabet(word)


def _in_no_alphabet(word: str) -> LeftOut | None:
    if _LOST_CAPITALS.fullmatch(word):  # a small L is no letter of base58, and was a capital
        return "lower_cased"
    return "undecodable" if len(word) in _ALMOST and word.isascii() and word.isalnum() else None
