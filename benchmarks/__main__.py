"""`python -m benchmarks NAME [--json] [options of that benchmark]`, or `all` for each in turn.

A benchmark is a module of this package with `run(arguments) -> list[Row]`; one that takes options also has
`add_options(parser)`. It prints nothing to standard output itself. The exit code is 1 when a target does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from types import ModuleType

import benchmarks
from benchmarks.report import as_json, as_table, report


def discover() -> dict[str, ModuleType]:
    """Every module of this package that can be run, by name."""
    modules = {
        info.name: importlib.import_module(f"benchmarks.{info.name}")
        for info in pkgutil.iter_modules(benchmarks.__path__)
        if not info.name.startswith("_")
    }
    return {name: module for name, module in modules.items() if hasattr(module, "run")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    modules = discover()
    for name, module in modules.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        command = names.add_parser(name, help=summary, description=module.__doc__)
        command.add_argument("--json", action="store_true", help="one JSON object on standard output")
        if hasattr(module, "add_options"):
            module.add_options(command)
    every = names.add_parser("all", help="each of them in turn, with its own defaults")
    every.add_argument("--json", action="store_true", help="one JSON object a line")
    asked = parser.parse_args()
    holds = True
    for name in modules if asked.name == "all" else [asked.name]:
        options = parser.parse_args([name]) if asked.name == "all" else asked
        result = report(name, modules[name].run(options))
        sys.stdout.write((as_json(result) if asked.json else as_table(result)) + "\n")
        sys.stdout.flush()
        holds = holds and result.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
