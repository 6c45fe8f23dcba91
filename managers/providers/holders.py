"""Who holds a token, without those who hold it for everybody; and how much of a pool nobody can take out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct

from managers.feed.sources.base import clamped
from managers.providers.bodies import HUNDRED, Body, at_unix

TEN: Final = 10
MAY_BE_OFF_BY: Final = 1.0
"""Percent of the supply: where those who are not listed could make more of a difference, the share is unknown."""
BURNT_AT: Final = frozenset(
    {
        "0x0000000000000000000000000000000000000000",
        "0x000000000000000000000000000000000000dead",
        "11111111111111111111111111111111",
        "1nc1nerator11111111111111111111111111111111",
    }
)

_NOBODYS: Final = re.compile(
    r"swap|(?<!in)dex|pool|\blp\b|amm\b|authority|vault|curve|raydium|orca|meteora|pump\.?fun|aerodrome|balancer"
    r"|(?<!b)lock|\bvest|team\.?finance|uncx|unicrypt|null|burn|dead|black ?hole",
    re.IGNORECASE,
)
"""In a holder's label: a pool, a locker, a place where tokens are burnt."""
_MAX_LABEL: Final = 200
_MAX_ADDRESS: Final = 64
_ROUNDING: Final = 1.01
"""Shares that are listed may sum up to a little more than all."""
_MAY_BE_UNLISTED: Final = 0.05
"""Where more of the whole is not listed, so much may be locked as well."""


class Holder(Struct, frozen=True, gc=False):
    percent: float | None
    """`None`: it could not be read, so nothing can be said of the ten either."""
    is_somebody: bool
    """Not a pool, a locker or where tokens are burnt."""


def is_label_of_nobody(label: str | None) -> bool:
    return bool(label) and _NOBODYS.search((label or "")[:_MAX_LABEL]) is not None


def top_ten_percent(listed: Iterable[Holder], holders: int | None) -> float | None:
    """Share of the supply; `listed`: the largest holders, `holders`: how many there are in all."""
    given = list(listed)
    shares = [holder.percent for holder in given if holder.percent is not None]
    if not given or len(shares) < len(given):
        return None
    top = sorted((one.percent or 0.0 for one in given if one.is_somebody), reverse=True)[:TEN]
    unlisted = TEN - len(top)
    if holders is not None:
        unlisted = min(unlisted, max(0, holders - len(given)))
    # Whoever is not listed holds no more than the last who is.
    if unlisted * min(shares) > MAY_BE_OFF_BY:
        return None
    return clamped(sum(top), 0.0, HUNDRED)


def locked_percent(holders: Iterable[Body], at: datetime) -> float | None:
    """Burnt, or locked beyond `at`; `None` where the list does not tell."""
    listed = locked = 0.0
    for holder in holders:
        share = holder.decimal("percent", at_most=_ROUNDING)
        counts = share_that_stays(holder, at)
        if share is None or counts is None:
            return None
        listed += share
        locked += share * counts
    if not 1 - _MAY_BE_UNLISTED <= listed <= _ROUNDING:
        return None
    return HUNDRED * min(locked, 1.0)


def share_that_stays(holder: Body, at: datetime) -> float | None:
    """Of what this holder has, between 0 and 1: burnt, or locked beyond `at`."""
    address = holder.string("address", _MAX_ADDRESS) or holder.string("account", _MAX_ADDRESS) or ""
    if address.lower() in BURNT_AT or address in BURNT_AT:
        return 1.0
    is_locked = holder.decimal("is_locked", at_most=1)
    if is_locked is None or is_locked == 0:
        return is_locked
    details = holder.bodies("locked_detail")
    if not details:
        return 1.0
    ends = [_end(detail) for detail in details]
    if None in ends:
        return None
    is_over = [end is not None and end <= at for end in ends]
    if any(is_over) and not all(is_over):
        return _amount_left(details, is_over)
    return 0.0 if all(is_over) else 1.0


def _amount_left(details: list[Body], is_over: list[bool]) -> float | None:
    amounts = [detail.decimal("amount") for detail in details]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts) or sum(known) <= 0:
        return None
    return sum(amount for amount, over in zip(known, is_over, strict=True) if not over) / sum(known)


def _end(detail: Body) -> datetime | None:
    """As a time of ISO 8601, or in seconds of Unix."""
    return detail.time("end_time") or at_unix(detail.decimal("end_time", at_least=1))
