"""What a benchmark gives back, and how it is printed: a table for people, one JSON object for machines."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct


class Row(Struct, frozen=True):
    what: str
    value: float
    unit: str
    target: float | None
    """`None` for peers and for figures nobody promised."""
    holds: bool | None
    """`None` where there is no target."""


class Report(Struct, frozen=True):
    name: str
    machine: str
    date: str
    rows: list[Row]
    holds: bool
    """No row misses its target."""


def at_most(what: str, value: float, unit: str, target: float) -> Row:
    return Row(what, value, unit, target, value <= target)


def at_least(what: str, value: float, unit: str, target: float) -> Row:
    return Row(what, value, unit, target, value >= target)


def for_comparison(what: str, value: float, unit: str) -> Row:
    return Row(what, value, unit, None, None)


def machine() -> str:
    """Processor, cores this process may use, memory, operating system, Python."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        if models:
            processor = models[0].partition(":")[2].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{processor}, {cores} cores, {memory_gib:.0f} GiB, {system}, Python {platform.python_version()}"


def report(name: str, rows: Sequence[Row]) -> Report:
    return Report(
        name=name,
        machine=machine(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=list(rows),
        holds=all(row.holds is not False for row in rows),
    )


def as_json(result: Report) -> str:
    return msgspec.json.encode(result).decode()


def as_table(result: Report) -> str:
    """Aligned columns; a row that misses its target says so."""
    cells = [("what", "value", "unit", "target", "")]
    for row in result.rows:
        target = "" if row.target is None else number(row.target)
        cells.append(
            (row.what, number(row.value), row.unit, target, {None: "", True: "ok", False: "MISSED"}[row.holds])
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    what, value, unit, target, _ = widths
    lines = [
        f"{line[0]:<{what}}  {line[1]:>{value}}  {line[2]:<{unit}}  {line[3]:>{target}}  {line[4]}".rstrip()
        for line in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([f"{result.name}: {result.machine}, {result.date}", *lines])


def number(value: float) -> str:
    """Three significant digits, but whole numbers in full."""
    if value == int(value) or abs(value) >= 1000:  # noqa: PLR2004 - from here on decimals say nothing
        return f"{value:,.0f}"
    return f"{value:.3g}"
