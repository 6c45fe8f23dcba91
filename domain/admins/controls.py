"""What admins can turn off, pause, block, feature or merge, and what is true of a call that had to wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from msgspec import Struct

ControlName = Literal["read_only", "intake", "drain", "feature", "source", "blocked", "featured", "merged"]
"""`read_only`: people change nothing. `intake`: calls wait undecided. `drain`: no new calls are taken in. Of one thing:
`feature` is turned off, `source` is not asked, the channel is `blocked`, or `featured`, or
`merged` into its main one."""
CONTROLS: Final[tuple[ControlName, ...]] = get_args(ControlName)
Feature = Literal["trials", "stars", "sol", "usdc", "other", "backtest", "reports"]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
"""Trials for newcomers, each way of paying, backtests, reports."""
WHOLE: Final[tuple[ControlName, ...]] = ("read_only", "intake", "drain")
"""Of the bot, not of one thing."""
TOLD: Final[tuple[ControlName, ...]] = (*WHOLE, "feature", "source")
"""An alarm while they stand: what stands for channels stands for good."""


class Control(Struct, frozen=True, kw_only=True):
    name: ControlName
    subject: str
    """Of which; empty for the whole bot."""
    reason: str
    """As the admin typed it; may be empty."""
    main: str = ""
    """Into which channel it is merged; empty for everything else."""
    admin_id: int
    since: datetime
    until: datetime | None = None
    """`None` while it stands."""


def is_known(name: str, subject: str) -> bool:
    """Whether the bot, or a feature of it, is turned off by these words."""
    return (name in WHOLE and not subject) or (name == "feature" and subject in FEATURES)


def had_to_wait(called_at: datetime, holds: Iterable[Control], tolerance: timedelta) -> bool:
    """Whether a call was made while none was taken in or decided, or so shortly before that it met the pause."""
    return any(one.since - tolerance <= called_at and (one.until is None or called_at <= one.until) for one in holds)
