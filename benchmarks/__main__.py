"""`python -m benchmarks NAME [--json] [options of that benchmark]`.

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
    arguments = parser.parse_args()
    result = report(arguments.name, modules[arguments.name].run(arguments))
    sys.stdout.write((as_json(result) if arguments.json else as_table(result)) + "\n")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
