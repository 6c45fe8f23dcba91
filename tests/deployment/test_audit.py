"""The audit of dependencies: a known hole fails it, a database that cannot be asked does not, and is never silent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import audit

WELL: dict[str, Any] = {"name": "aiohttp", "version": "3.14", "vulns": []}
HOLE: dict[str, Any] = {
    "name": "redis",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}],
}
UNKNOWN: dict[str, Any] = {"name": "ours", "skip_reason": "Dependency not found"}


def answering(directory: Path, pypi: str, osv: str) -> list[str]:
    """Return a command that answers in the place of pip-audit."""
    program = directory / "answers.py"
    program.write_text(f"import sys\nprint({{'pypi': {pypi!r}, 'osv': {osv!r}}}[sys.argv[-1]])\nsys.exit(1)\n")
    return [sys.executable, str(program)]


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("pypi", "osv", "code", "says"),
    [
        (report(WELL), "", 0, "Packages checked at pypi: 1. Known holes: 0."),
        (report(WELL, HOLE), "", 1, "redis 1.0: PYSEC-1, mended in 1.1"),
        (report(WELL, UNKNOWN), "", 0, "not checked: ours"),
        (report(UNKNOWN), report(WELL), 0, "checked at osv"),
        ("Traceback", report(HOLE), 1, "Known holes: 1."),
        (report(UNKNOWN), "", 0, "NOTHING WAS CHECKED"),
        ("", "[]", 0, "NOTHING WAS CHECKED"),
        ("{}", "", 0, "NOTHING WAS CHECKED"),
    ],
)
def test_what_comes_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pypi: str, osv: str, code: int, says: str
) -> None:
    assert audit.main(answering(tmp_path, pypi, osv)) == code
    assert says in capsys.readouterr().out


def test_it_asks_about_all_that_is_installed() -> None:
    locked = (audit.ROOT / "requirements-dev.txt").read_text("utf-8")
    for line in (audit.ROOT / "requirements.txt").read_text("utf-8").splitlines():
        if "==" in line:
            assert line.split(";")[0].split("\\")[0].strip() in locked
