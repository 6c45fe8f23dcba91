"""`python -m benchmarks NAME [--json] [--write FILE] [options of that benchmark]`, or `all` for each in turn.

A benchmark is a module of this package with `run(arguments) -> list[Row]`; one that takes options also has
`add_options(parser)`. It prints nothing to standard output itself. The exit code is 1 when a target does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import structlog

import benchmarks
from benchmarks.kit.document import write_section
from benchmarks.kit.report import as_json, as_table, report


def discover() -> dict[str, ModuleType]:
    """Every module of this package that can be run, by name."""
    modules = {
        info.name: importlib.import_module(f"benchmarks.{info.name}")
        for info in pkgutil.iter_modules(benchmarks.__path__)
        if not info.name.startswith("_")
    }
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def _add_common(command: argparse.ArgumentParser, json_help: str) -> None:
    command.add_argument("--json", action="store_true", help=json_help)
    command.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this page, too")


def main() -> int:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output is for results
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    modules = discover()
    for name, module in modules.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        command = names.add_parser(name, help=summary, description=module.__doc__)
        _add_common(command, "one JSON object on standard output")
        if hasattr(module, "add_options"):
            module.add_options(command)
    every = names.add_parser("all", help="each of them in turn, with its own defaults")
    _add_common(every, "one JSON object a line")
    asked = parser.parse_args()
    if asked.write and getattr(asked, "quick", False):
        parser.error("a quick run gives no figures for a page")
    holds = True
    for name in modules if asked.name == "all" else [asked.name]:
        options = parser.parse_args([name]) if asked.name == "all" else asked
        result = report(name, modules[name].run(options))
        sys.stdout.write((as_json(result) if asked.json else as_table(result)) + "\n")
        sys.stdout.flush()
        if asked.write:
            write_section(asked.write, modules[name], result, modules)
        holds = holds and result.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
