"""What somebody asks about by pasting it: a token's address, a link to it or to its pool, or its ticker."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from domain.calls.addresses import find_addresses
from domain.posts.gathering import Candidate, Gathered, Refused, gather
from domain.posts.post import Post, Run
from domain.posts.reasons import Later, LeftOut
from domain.posts.shown import shown

_NOWHERE: Final = datetime.fromtimestamp(0, UTC)
_TICKER: Final = re.compile(r"\$(?=[^\s$]*[^\s$\d.,])([^\s$]{1,20})")
"""Amounts of money are none."""
_AROUND: Final = "?!.,:;()[]\"'“”‘’"
_TOLD: Final[frozenset[LeftOut | Later]] = frozenset(
    {"program", "stable_coin", "wrapped_coin", "lower_cased", "undecodable", "other_chain", "pool_key", "account"}
)
"""The rest is a transaction, which may be a payment, or leads nowhere near a token."""


def tokens_in(text: str) -> tuple[Candidate, ...]:
    """Return the addresses in it that may be a token's, the surest first."""
    return _gathered(text).candidates


def no_token_in(text: str) -> Refused | None:
    """Return what looks like a token's address in it and is none, where that is worth a word."""
    return next((one for one in _gathered(text).refused if one.reason in _TOLD), None)


def ticker_in(text: str) -> str | None:
    """Return the ticker, without its sign, where the text is nothing else."""
    found = _TICKER.fullmatch(text.strip())
    return found and found[1]


def ticker_named(text: str) -> str | None:
    """Return the one ticker that a text names, as in "why did I not get $FC?"; with several, none is meant."""
    words = [word.strip(_AROUND) for word in text.split()]
    found = dict.fromkeys(ticker for word in words if (ticker := ticker_in(word)) and not ticker[0].isdigit())
    return ticker_in(text) or (next(iter(found)) if len(found) == 1 else None)


def parted(text: str) -> tuple[str, str]:
    """Part the token, which is an address, a link or a ticker, from what stands beside it. `text` is not empty."""
    words = text.split()
    token = next((word for word in words if find_addresses(word)), None)
    token = token or next((word for word in words if ticker_in(word)), words[0])
    words.remove(token)
    return token, " ".join(words)


def asks_of_token(text: str) -> str | None:
    """Return the text where it names a token, or something that is easily taken for one."""
    return text if ticker_named(text) or tokens_in(text) or no_token_in(text) else None


def _gathered(text: str) -> Gathered:
    post = Post(channel="", number=0, runs=(Run(text),), posted_at=_NOWHERE)
    return gather(post, shown(post))
