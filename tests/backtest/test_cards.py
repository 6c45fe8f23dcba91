"""What a person reads of a backtest: one message, whatever is in it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace

from domain.backtest.results import BacktestResult, Daily, Performance, ShownCall
from domain.filters.registry import FilterSet
from domain.tracking.records import rate
from handlers.backtest.chart import chart_of
from handlers.backtest.menus import result_card
from handlers.conversation.menus import View
from services.backtest.backtests import Asked
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_sendable, shown
from texts import Texts

VIEW = View(texts=Texts.load(), language="en")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MANY = 10**9
GREAT = Performance(
    alerts=MANY,
    tokens=2 * MANY,
    known=MANY,
    open=MANY,
    wins=rate(MANY // 3, MANY),
    median_multiple=123_456.789,
    median_reachable=1e-9,
    median_reachable_peak=1e-9,
    reachable_known=MANY,
    worst_run=MANY,
    worst_run_from=NOW,
    waited=MANY,
)


def asked(name: str, *, enabled: bool = False) -> Asked:
    tried = FilterSet(user_id=1, number=1, name=name, enabled=enabled)
    return Asked(
        user_id=1,
        chat_id=1,
        message_id=1,
        language="en",
        source="set",
        key="1",
        tried=tried,
        active=(),
        days=30,
        light_pictures=False,
    )


def result(text: str) -> BacktestResult:
    call = ShownCall(
        call_id="c",
        token_address="t",
        name=text,
        channel=text,
        at=NOW,
        market_cap_usd=1e300,
        multiple=1e300,
        is_open=True,
    )
    return BacktestResult(
        covered_from=NOW,
        covered_until=NOW,
        days=29.4,
        days_missing=28,
        calls=MANY,
        tried=GREAT,
        active=GREAT,
        base=rate(1, MANY),
        both=MANY,
        only_tried=MANY,
        only_active=MANY,
        best=(call,) * 10,
        worst=(call,) * 10,
        daily=tuple(Daily(date(2026, 11, day), day, day, 1) for day in range(1, 31)),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_the_longest_result_fits_one_message(text: str) -> None:
    card = result_card(VIEW, asked(text), result(text))
    assert_sendable(card.html)
    assert [button.text for row in card.keyboard for button in row] == ["🟢 Turn it on", "Other days"]


def test_with_few_tokens_or_hours_nothing_is_promised() -> None:
    few = replace(
        result("x"), tried=Performance(alerts=3, tokens=3, known=2), active=None, days=0.25, best=(), worst=()
    )
    text = shown(result_card(VIEW, asked("x", enabled=True), few).html)
    assert "Alerts: 3 (6.0 h)" in text
    assert "is known: 2" in text
    assert "an admin took them out: 1" in text
    assert "2x at the peak" not in text


def test_a_chart_has_a_value_for_each_day() -> None:
    chart = chart_of(VIEW, "x", result("x"))
    assert chart is not None
    assert (len(chart.days), chart.won.counts[0], chart.lost.counts[-1], chart.unknown.counts[-1]) == (30, 1, 29, 0)
    assert chart_of(VIEW, "x", replace(result("x"), daily=())) is None
