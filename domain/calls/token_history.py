"""Who has called a token in the last 14 days, who was first, and what it was worth then."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from domain.calls.lifetimes import ACCEPTED_FOR

REMEMBERED_FOR: Final = ACCEPTED_FOR
_REMEMBERED_FOR_S: Final = REMEMBERED_FOR.total_seconds()
MAX_TOKENS: Final = 200_000
MAX_CHANNELS: Final = 500
"""Of one token; further channels are counted only in their own calls."""


class Past(NamedTuple):
    """How a token stands at one of its calls."""

    calling_channels: int
    """Distinct channels that had called it by then, this one included."""
    first_market_cap_usd: float | None
    first_channel_id: str


@dataclass(slots=True)
class _Calls:
    """First call of each channel in order of time, as two parallel tuples: there are many of these."""

    times_s: tuple[float, ...] = ()
    channel_ids: tuple[str, ...] = ()
    last_s: float = 0.0
    first_market_cap_usd: float | None = None


class TokenHistory:
    """What was called is known by its time, so neither repeated nor late calls change what is said of a call."""

    def __init__(self, max_tokens: int = MAX_TOKENS, mains: Callable[[], Mapping[str, str]] = dict) -> None:
        """`mains`: the main channel of each that is another one now; what they called is kept as they called it."""
        self._max_tokens = max_tokens
        self._mains = mains
        self._tokens: OrderedDict[str, _Calls] = OrderedDict()
        """Least recently called first."""

    def __len__(self) -> int:
        return len(self._tokens)

    def add(self, address: str, channel_id: str, called_at: datetime, market_cap_usd: float | None) -> Past:
        """Enter a call and tell how the token stood at it."""
        at_s = called_at.timestamp()
        calls = self._tokens.get(address)
        if calls is None or at_s - calls.last_s > _REMEMBERED_FOR_S:
            calls = self._tokens[address] = _Calls()
        self._tokens.move_to_end(address)
        if len(self._tokens) > self._max_tokens:
            self._tokens.popitem(last=False)
        calling = _enter(calls, channel_id, at_s, market_cap_usd)
        first_id = calls.channel_ids[0]
        if mains := self._mains():
            calling = len({mains.get(one, one) for one in (*calls.channel_ids[:calling], channel_id)})
            first_id = mains.get(first_id, first_id)
        return Past(calling, calls.first_market_cap_usd, first_id)

    def restore(self, address: str, channel_id: str, called_at: datetime, market_cap_usd: float | None) -> None:
        """Enter a call of an earlier run, newest first; once full, tokens that are not known are left out."""
        calls = self._tokens.get(address)
        if calls is None:
            if len(self._tokens) >= self._max_tokens:
                return
            calls = self._tokens[address] = _Calls()
            self._tokens.move_to_end(address, last=False)
        _enter(calls, channel_id, called_at.timestamp(), market_cap_usd)


def _enter(calls: _Calls, channel_id: str, at_s: float, market_cap_usd: float | None) -> int:
    """Enter a call; returns how many distinct channels had called by then, this one included."""
    times_s, channel_ids = calls.times_s, calls.channel_ids
    if not times_s or at_s < times_s[0] or (at_s == times_s[0] and calls.first_market_cap_usd is None):
        calls.first_market_cap_usd = market_cap_usd
    calls.last_s = max(calls.last_s, at_s)
    place = bisect_right(times_s, at_s)
    if channel_id in channel_ids:
        known = channel_ids.index(channel_id)
        if times_s[known] <= at_s:
            # Of calls at the very same time, the one that arrived first counts as the earlier one.
            return known + 1 if times_s[known] == at_s else place
        times_s, channel_ids = times_s[:known] + times_s[known + 1 :], channel_ids[:known] + channel_ids[known + 1 :]
    elif len(channel_ids) >= MAX_CHANNELS:
        return place + 1
    calls.times_s = (*times_s[:place], at_s, *times_s[place:])
    calls.channel_ids = (*channel_ids[:place], sys.intern(channel_id), *channel_ids[place:])
    return place + 1
