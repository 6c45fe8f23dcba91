"""The picture below the answer of a backtest: alerts by day, and what became of them."""

from __future__ import annotations

from domain.backtest.results import BacktestResult
from domain.reports.pictures import AlertsByDay, Heading, Part
from handlers.conversation.menus import View


def chart_of(view: View, name: str, result: BacktestResult) -> AlertsByDay | None:
    """`None`: there is no alert to show."""
    if not result.daily:
        return None
    won = tuple(one.wins for one in result.daily)
    lost = tuple(one.known - one.wins for one in result.daily)
    unknown = tuple(one.alerts - one.known for one in result.daily)
    return AlertsByDay(
        heading=Heading(
            title=view.plain("backtest.chart", name=name),
            subtitle=view.plain("backtest.chart_sub", alerts=f"{result.tried.alerts:,}"),
            note=view.plain("backtest.chart_note"),
        ),
        days=tuple(one.day for one in result.daily),
        won=Part(label=view.plain("backtest.chart_won"), counts=won),
        lost=Part(label=view.plain("backtest.chart_lost"), counts=lost),
        unknown=Part(label=view.plain("backtest.chart_unknown"), counts=unknown),
        y_label=view.plain("backtest.chart_y"),
    )
