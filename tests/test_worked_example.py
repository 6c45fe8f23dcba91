"""“Adding a feature” in CONTRIBUTING.md, done to the letter in a copy of the tree: it works and touches no more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "data", "node_modules", ".*_cache", ".hypothesis")
BLOCK = re.compile(r"^```(python|toml|diff)\n(?:# |--- )(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LISTS = {"composition/bot.py", "bot/telegram_bot.py", "pyproject.toml"}
TIMEOUT_S = 300.0


def section() -> str:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return page.partition("## Adding a feature\n")[2].partition("\n## ")[0]


NEW = {path: text for kind, path, text in BLOCK.findall(section()) if kind != "diff"}
CHANGED = {path: text for kind, path, text in BLOCK.findall(section()) if kind == "diff"}


def hunks(diff: str) -> Iterator[tuple[str, str]]:
    """What stands there, and what shall."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        assert all(line[0] in " +" for line in lines), "a list only grows"
        yield "".join(line[1:] for line in lines if line[0] == " "), "".join(line[1:] for line in lines)


def do_as_told(tree: Path) -> None:
    for path, text in NEW.items():
        assert not (tree / path).exists()
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    for path, diff in CHANGED.items():
        text = (tree / path).read_text(encoding="utf-8")
        for before, after in hunks(diff):
            assert text.count(before) == 1, f"{path}: these lines stand there once:\n{before}"
            text = text.replace(before, after)
        (tree / path).write_text(text, encoding="utf-8")


def run(tree: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=tree, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_folder_a_floor_and_one_builder() -> None:
    builders = [path for path in NEW if path.startswith("composition/")]
    assert len(builders) == 1
    feature = PurePosixPath(builders[0]).stem
    folders = {str(PurePosixPath(path).parent) for path in NEW}
    assert folders == {
        "composition/features",
        "texts/en",
        *(f"{floor}/{feature}" for floor in ("services", "handlers", "tests")),
    }
    assert f"texts/en/{feature}.toml" in NEW
    assert set(CHANGED) == LISTS


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_the_command_answers_the_job_runs_the_alarm_sounds(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
    do_as_told(tree)
    run(tree, "generate")
    written = [path for path in NEW if path.endswith(".py")]
    run(tree, "ruff", "check", "--no-cache", *written, *(path for path in CHANGED if path.endswith(".py")))
    run(tree, "ruff", "format", "--no-cache", "--check", *written)
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/tips", "tests/test_architecture.py")
