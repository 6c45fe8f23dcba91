"""Calls from where they are made: posts of channels, understood.

A call is right if it is one, and its tokens and pools are exactly those that were meant. None of the posts was written
by somebody who has never seen the parser; each file is measured for itself (`tests/posts/README.md` says how each came
about), and after the parser has been mended by all of them, so these figures say that nothing was unlearnt, not how
strangers' posts fare. "A pattern alone" takes the first word that looks like an address, as many bots do.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from benchmarks.kit import posts
from benchmarks.kit.report import Row

MEASURED_S: Final = 5.0
QUICK_S: Final = 1.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a short look")


def run(arguments: argparse.Namespace) -> list[Row]:
    sys.stderr.write("posts of the corpus …\n")
    return posts.rows(QUICK_S if arguments.quick else MEASURED_S)
