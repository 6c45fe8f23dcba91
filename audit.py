"""`python -m audit` asks advisory databases about everything that is installed; 1 when something has a known hole.

Where no database can be reached, it says so and is content: whether the network is there is no property of the tree.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

ROOT: Final = Path(__file__).parent
SERVICES: Final = ("pypi", "osv")
TIMEOUT_S: Final = 600
PIP_AUDIT: Final = (
    *(sys.executable, "-m", "pip_audit", "--requirement", "requirements-dev.txt"),
    *("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "15"),
)


class Report(NamedTuple):
    checked: int
    unknown: Sequence[str]
    """What the database knows nothing of."""
    holes: Sequence[str]


def main(command: Sequence[str] = PIP_AUDIT) -> int:
    for service in SERVICES:
        report = asked([*command, "--vulnerability-service", service])
        if report is None:
            continue
        say(f"Packages checked at {service}: {report.checked}. Known holes: {len(report.holes)}.")
        say(*report.holes)
        if report.unknown:
            say(f"Not known there, and not checked: {', '.join(report.unknown)}.")
        return 1 if report.holes else 0
    say(f"No advisory database can be reached from here ({', '.join(SERVICES)}): NOTHING WAS CHECKED.")
    return 0


def asked(command: Sequence[str]) -> Report | None:
    """Return what a database says; `None` when it could not be asked, or knows none of it, as a mirror does."""
    try:
        said = subprocess.run(  # noqa: S603 - the command is ours
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        ).stdout
        packages = cast("list[dict[str, Any]]", json.loads(said)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    holes = [
        f"  {package['name']} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
        for package in packages
        for hole in package.get("vulns", ())
    ]
    checked = len(packages) - len(unknown)
    return Report(checked, unknown, holes) if checked else None


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
