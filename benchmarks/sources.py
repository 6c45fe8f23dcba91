"""Calls from where they are made: channels read, posts understood, figures filled in, calls told.

A call is right if it is one, and its tokens and pools are exactly those that were meant. Each file of posts is
measured for itself, and after the parser has been mended by all of them, so these figures say that nothing was
unlearnt, not how strangers' posts fare: that is what first runs say, which stand in `tests/posts/README.md`. "A
pattern alone" takes the first word that looks like an address, as many bots do.

Channels are polled, and tokens enriched, in simulated time with the bot's own code and real requests to strict
stand-ins (`benchmarks/kit/channels/polled.py`, `enriched.py` say how); "one after the other" has the same budget. The
listener's own share and the way from post to alert are in real time, and depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

import structlog

from benchmarks.kit import posts
from benchmarks.kit.channels import alerts, enriched, polled, share
from benchmarks.kit.report import Row

MEASURED_S: Final = 5.0
QUICK_S: Final = 1.0
BUDGETS_PER_S: Final = (2.0, 10.0)
WARM_UP_S: Final = 500.0
POLLED_S: Final = 2_400.0
SHARE_CALLS: Final = 300
ALERTS: Final = 40
PARTS: Final = ("parser", "polling", "figures", "share", "alerts")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a short look")
    parser.add_argument("--only", choices=PARTS, help="one part alone")


def run(arguments: argparse.Namespace) -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    quick = bool(arguments.quick)
    parts: dict[str, Callable[[], list[Row]]] = {
        "parser": lambda: posts.rows(QUICK_S if quick else MEASURED_S),
        "polling": lambda: polled.rows(
            BUDGETS_PER_S[:1] if quick else BUDGETS_PER_S,
            warm_up_s=WARM_UP_S / 2 if quick else WARM_UP_S,
            measured_s=POLLED_S / 8 if quick else POLLED_S,
        ),
        "figures": lambda: enriched.rows(100 if quick else enriched.TOKENS),
        "share": lambda: share.rows(100 if quick else SHARE_CALLS),
        "alerts": lambda: alerts.rows(4 if quick else ALERTS),
    }
    found: list[Row] = []
    for name, measure in parts.items():
        if arguments.only in {None, name}:
            sys.stderr.write(f"{name} …\n")
            found += measure()
    return found
