"""What it costs to keep documents encrypted in Redis (`DATA_KEY`): sealing and opening one, and how much longer it is.

The documents are those of people with one filter set each, as in `match`. A document is sealed when somebody changes
a setting and opened when memory does not have it, and once more on its way to PostgreSQL; no alert waits for either.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

import msgspec
from cryptography.fernet import Fernet

from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.workload import filter_sets
from domain.subscribers.subscriber import Subscriber
from services.stores.sealing import Sealer

PEOPLE = 2_000
ROUNDS = 7
AT_MOST_US = 500.0
"""Far less than the round trip to Redis that goes with it."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one round, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    rounds = 1 if arguments.quick else ROUNDS
    sealer, now = Sealer([Fernet.generate_key().decode()]), datetime.now(UTC)
    documents = [
        msgspec.json.encode(Subscriber(user_id=n, chat_id=n, name="Somebody", created_at=now, filter_sets=(one,)))
        for n, one in enumerate(filter_sets(PEOPLE))
    ]
    stored = [sealer.seal(document, revision=1, created_at=now.isoformat()) for document in documents]
    sealing_us = _median_us(lambda one: sealer.seal(one, revision=1, created_at=""), documents, rounds)
    opening_us = _median_us(sealer.open, stored, rounds)
    plain, sealed = (statistics.mean(map(len, which)) for which in (documents, stored))
    return [
        at_most("sealing a document", sealing_us, "µs", AT_MOST_US),
        at_most("opening a document", opening_us, "µs", AT_MOST_US),
        for_comparison("a document as it is", plain, "bytes"),
        for_comparison("a document sealed", sealed, "bytes"),
    ]


def _median_us(work: Callable[[bytes], object], documents: list[bytes], rounds: int) -> float:
    took_s: list[float] = []
    for _ in range(rounds):
        began_at = perf_counter()
        for document in documents:
            work(document)
        took_s.append(perf_counter() - began_at)
    return statistics.median(took_s) / len(documents) * 1e6
