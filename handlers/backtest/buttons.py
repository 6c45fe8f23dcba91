"""What the buttons of a backtest send back."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class StartBacktest(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bttry"
    source: str
    """`services.backtest.backtests.Source`."""
    key: str
    days: int


class CancelBacktest(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "btstop"
    run_id: str


class SwitchOn(CallbackData, frozen=True, array_like=True):
    """Use what was tried from now on."""

    prefix: ClassVar[str] = "bton"
    source: str
    key: str


class ShowBacktests(CallbackData, frozen=True, array_like=True):
    """What can be tried."""

    prefix: ClassVar[str] = "bts"
