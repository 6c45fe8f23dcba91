"""How promising a call looks, as one number from 0 to 100: it orders alerts, it forbids none.

| Part | Weight | 0 | 1 |
| --- | --- | --- | --- |
| lower 95 % bound of the channel's win rate | 35 | 0 % | 50 % and more |
| median (else average) multiple of its calls | 20 | 1x | 8x and more, by doublings |
| channels that have called the token | 15 | 0 | 4 and more |
| liquidity by market cap | 15 | 0 % | 20 % and more |
| safety findings, each alike | 15 | all bad | all good |

The channel's last 30 days count before its whole life. What is not known counts as a half: it neither helps nor
harms. A finite number below or above the bounds counts as the bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from domain.calls.events import Call, ChannelRecord, Token

MAX_SCORE: Final = 100
NEUTRAL: Final = 0.5

_FULL_WIN_RATE_PERCENT: Final = 50.0
_FULL_DOUBLINGS: Final = 3.0
_FULL_CALLING_CHANNELS: Final = 4
_FULL_LIQUIDITY_SHARE: Final = 0.2
_BAD_TOP10_PERCENT: Final = 60.0
_BAD_DEVELOPER_PERCENT: Final = 10.0
_BAD_SNIPERS_PERCENT: Final = 40.0


def score(call: Call) -> int:
    """Weigh what is known about the call; 50 when nothing is."""
    weighed = (
        (35, _share(_record_value(call, "win_rate_low_percent"), _FULL_WIN_RATE_PERCENT)),
        (20, _doublings(call)),
        (15, _share(call.calling_channels, _FULL_CALLING_CHANNELS)),
        (15, _liquidity(call.token)),
        (15, _safety(call.token)),
    )
    return round(sum(weight * (NEUTRAL if part is None else part) for weight, part in weighed))


def _record_value(call: Call, name: str) -> float | None:
    records: tuple[ChannelRecord | None, ...] = (call.channel.record_30d, call.channel.record)
    values = (getattr(record, name) for record in records if record is not None)
    return next((value for value in values if value is not None), None)


def _doublings(call: Call) -> float | None:
    multiple = _known(_record_value(call, "median_multiple"))
    if multiple is None:
        multiple = _known(_record_value(call, "average_multiple"))
    return None if multiple is None else _share(math.log2(max(1.0, multiple)), _FULL_DOUBLINGS)


def _liquidity(token: Token) -> float | None:
    liquidity, market_cap = _known(token.liquidity_usd), _known(token.market_cap_usd)
    if liquidity is None or not market_cap:
        return None
    return _share(liquidity / market_cap, _FULL_LIQUIDITY_SHARE)


def _safety(token: Token) -> float:
    findings = [NEUTRAL if finding is None else finding for finding in _findings(token)]
    return sum(findings) / len(findings)


def _findings(token: Token) -> Iterator[float | None]:
    for flag in (token.mint_revoked, token.freeze_revoked):
        yield None if flag is None else float(flag)
    yield _share(token.lp_locked_percent, 100)
    for value, bad in (
        (token.top10_percent, _BAD_TOP10_PERCENT),
        (token.developer_percent, _BAD_DEVELOPER_PERCENT),
        (token.snipers_percent, _BAD_SNIPERS_PERCENT),
        (token.risk_score, 100),
    ):
        share = _share(value, bad)
        yield None if share is None else 1 - share


def _share(value: float | None, full: float) -> float | None:
    """Return where the value lies between 0 and `full`, 0-1."""
    known = _known(value)
    return None if known is None else min(1.0, max(0.0, known / full))


def _known(value: float | None) -> float | None:
    """Take a number that nothing can be for one that was not given. An integer may be larger than any float."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
