from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.console import Console

from bot.console import ALERTS_PER_S, Terminal
from sandbox.market.market import Market
from services.delivery.delivery import Sent


def test_of_a_flood_of_alerts_it_shows_some_and_counts_the_rest() -> None:
    output, count = io.StringIO(), 0
    terminal = Terminal(Console(file=output, width=200))
    call = Market(seed=1).next_call(datetime.now(UTC))
    # The second may change on the way: then some more are shown, and the rest of the first one is counted.
    while "more" not in output.getvalue():
        terminal.show_sent(Sent(user_id=7, name="Ann", call=call, speed_s=0.001, repeat=False))
        count += 1
    shown = output.getvalue().count("→ Ann")
    left_out = int(output.getvalue().partition("… and ")[2].partition(" more")[0].replace(",", ""))
    assert ALERTS_PER_S < shown <= 2 * ALERTS_PER_S + 1
    assert shown + left_out == count


def test_an_alert_that_waited_for_a_figure_says_so() -> None:
    output = io.StringIO()
    call = Market(seed=1).next_call(datetime.now(UTC))
    Terminal(Console(file=output, width=200)).show_sent(
        Sent(user_id=7, name="Ann", call=call, speed_s=10.712, repeat=False, late_s=10.7)
    )
    assert "→ Ann ⚡ 10.7 s, passed after 10.7 s when a figure came" in output.getvalue()
