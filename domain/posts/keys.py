"""Words that look like addresses: which of them can be a token's, and which are somebody we know."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from domain.calls.addresses import as_kept, is_mint
from domain.posts.known import PROGRAMS, STABLE_COINS, WRAPPED_COINS
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

_KNOWN: Final[dict[str, LeftOut]] = {
    **dict.fromkeys(PROGRAMS, "program"),
    **dict.fromkeys(STABLE_COINS, "stable_coin"),
    **dict.fromkeys(WRAPPED_COINS, "wrapped_coin"),
}


def coin_named(address: str) -> str | None:
    """Return what people call a coin that others are paid with; `None` for any other address."""
    return (STABLE_COINS | WRAPPED_COINS).get(as_kept(address))


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
