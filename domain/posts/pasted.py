"""What somebody asks about by pasting it: a token's address, a link to it or to its pool, or its ticker."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from domain.posts.gathering import Candidate, gather
from domain.posts.post import Post, Run
from domain.posts.shown import shown

_NOWHERE: Final = datetime.fromtimestamp(0, UTC)
_TICKER: Final = re.compile(r"\$(?=[^\s$]*[^\s$\d.,])([^\s$]{1,20})")
"""Amounts of money are none."""


def tokens_in(text: str) -> tuple[Candidate, ...]:
    """Return the addresses in it that may be a token's, the surest first."""
    post = Post(channel="", number=0, runs=(Run(text),), posted_at=_NOWHERE)
    return gather(post, shown(post)).candidates


def ticker_in(text: str) -> str | None:
    """Return the ticker, without its sign, where the text is nothing else."""
    found = _TICKER.fullmatch(text.strip())
    return found and found[1]


def asks_of_token(text: str) -> str | None:
    """Return the text where it names a token."""
    return text if ticker_in(text) or tokens_in(text) else None
