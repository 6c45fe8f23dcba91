"""Buttons of reports: they stand below reports that come by themselves and below those that are asked for."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowReport(CallbackData, frozen=True, array_like=True):
    """`mine`, `best`, `channels` or `presets`, of so many days."""

    prefix: ClassVar[str] = "report"
    what: str
    days: int


class ShowReportPicture(CallbackData, frozen=True, array_like=True):
    """`spread` or `equity` of somebody's own alerts, of the days before a time."""

    prefix: ClassVar[str] = "reppic"
    what: str
    days: int
    end: int
    """Unix time."""


class ShowSharedPicture(CallbackData, frozen=True, array_like=True):
    """`best`, `channels` or `presets`, of the days before a time."""

    prefix: ClassVar[str] = "repshared"
    what: str
    days: int
    end: int


class ShareCall(CallbackData, frozen=True, array_like=True):
    """The card of a call, by its number."""

    prefix: ClassVar[str] = "sharecall"
    number: int


class ShowCallChart(CallbackData, frozen=True, array_like=True):
    """What its price did since."""

    prefix: ClassVar[str] = "callchart"
    number: int


class ShowReports(CallbackData, frozen=True, array_like=True):
    """Which reports come by themselves."""

    prefix: ClassVar[str] = "reports"


class SetReport(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "setreport"
    report: str
    sent: bool


class SetLight(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "setlight"
    light: bool
