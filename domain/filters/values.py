"""Values that choices are known to have: chains, launchpads and exchanges, by every name that people type for them.

A feed may say others, so a rule may name others; but one that is not known here is most often a slip that would silence
a filter for ever, so whoever types it is asked. What calls say: `docs/feed.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from domain.reading.look_alikes import plain_letters
from domain.reading.visible import compared_word


class Known(Struct, frozen=True):
    name: str
    """As calls say it."""
    aliases: tuple[str, ...] = ()
    """What else people call it; spaces, dots and dashes do not matter."""
    elsewhere: bool = False
    """It exists, but no call that comes here has ever had it."""


CHAINS: Final = (
    Known("solana", ("sol", "spl", "solana mainnet")),
    Known("ethereum", ("eth", "erc20", "mainnet")),
    Known("bsc", ("bnb", "bnb chain", "binance", "binance smart chain", "bep20")),
    Known("base", ("base chain",)),
    Known("tron", ("trx",), elsewhere=True),
    Known("ton", ("toncoin", "the open network"), elsewhere=True),
    Known("arbitrum", ("arb",), elsewhere=True),
    Known("polygon", ("matic", "pol"), elsewhere=True),
    Known("avalanche", ("avax",), elsewhere=True),
)
_PUMP_FUN: Final = Known("pump.fun", ("pumpfun", "pump", "pf"))
_BONK: Final = Known("bonk", ("bonk.fun", "letsbonk", "letsbonk.fun", "lets bonk"))
_MOONSHOT: Final = Known("moonshot", ("moonshot.money", "moonshot.cc"))
_BELIEVE: Final = Known("believe", ("believe.app",))
_FOUR_MEME: Final = Known("four.meme", ("fourmeme", "four"))
LAUNCHPADS: Final = (
    _PUMP_FUN,
    _BONK,
    Known("launchlab", ("raydium launchlab", "ray launchlab")),
    _MOONSHOT,
    _BELIEVE,
    _FOUR_MEME,
    Known("clanker", ("clanker.world",)),
)
EXCHANGES: Final = (
    Known("pumpswap", ("pump swap", "pump amm", "pswap")),
    Known("raydium", ("ray", "raydium amm", "raydium cpmm", "raydium clmm")),
    Known("meteora", ("met", "meteora dlmm", "meteora damm", "dlmm")),
    Known("orca", ("orca whirlpool", "whirlpool")),
    _PUMP_FUN,
    Known("launchlab", ("raydium launchlab",)),
    _MOONSHOT,
    _BELIEVE,
    Known("uniswap", ("uni", "uniswap v2", "uniswap v3", "uniswap v4")),
    Known("pancakeswap", ("pancake", "pcs", "pancakeswap v2", "pancakeswap v3")),
    Known("aerodrome", ("aero", "aerodrome slipstream")),
    _FOUR_MEME,
)


class Names:
    """Finds the one value that was meant: by its name, else by its name in any case, else by an alias."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._exact: dict[str, str] = {}
        spelled: dict[str, set[str]] = {}
        called: dict[str, set[str]] = {}
        for one in known:
            self._exact[one.name] = one.name
            spelled.setdefault(_key(one.name), set()).add(one.name)
            for alias in one.aliases:
                called.setdefault(_loosely(alias), set()).add(one.name)
            called.setdefault(_loosely(one.name), set()).add(one.name)
        self._steps = ((_key, _unambiguous(spelled)), (_loosely, _unambiguous(called)))

    def find(self, typed: str) -> str | None:
        """`None` for what is not known, and for what several are called."""
        if typed in self._exact:
            return typed
        return next((found[key(typed)] for key, found in self._steps if key(typed) in found), None)


def offered(known: Iterable[Known]) -> tuple[str, ...]:
    """What calls are known to say."""
    return tuple(one.name for one in known if not one.elsewhere)


def unknown(values: Iterable[str], known: Sequence[Known]) -> tuple[str, ...]:
    """Those that no call is known to have; none, where nothing is known at all."""
    said = offered(known)
    return tuple(sorted(value for value in values if value not in said))


def _unambiguous(found: Mapping[str, set[str]]) -> dict[str, str]:
    return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}


def _key(text: str) -> str:
    return compared_word(plain_letters(text))


def _loosely(text: str) -> str:
    return "".join(character for character in _key(text) if character.isalnum())
