"""What the install script puts where, and that saying it again changes nothing. Services: `test_machine.py`."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import pytest

from tests.deployment.installing import copied, install, python_at, released
from tests.deployment.units import UNITS
from tests.e2e.bot_process import ROOT

HOME: Final = "opt/token-filter-bot"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return copied(tmp_path / "source")


@pytest.fixture
def python(tmp_path: Path) -> Path:
    return python_at(tmp_path / "python")


def tree(root: Path) -> dict[str, tuple[str, int]]:
    """Return what every path is: a link's aim or a file's size, and when it was changed; caches aside."""
    return {
        str(path.relative_to(root)): (str(path.readlink()) if path.is_symlink() else "", path.lstat().st_mtime_ns)
        for path in root.rglob("*")
        if "__pycache__" not in path.parts and not path.is_dir()
    }


def test_everything_comes_into_place_once(source: Path, python: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    said = install(source, "install", "--root", root, PYTHON=python)
    assert said.returncode == 0, said.stdout + said.stderr
    current = root / HOME / "current"
    assert (current / "main.py").read_bytes() == (ROOT / "main.py").read_bytes()
    assert not (current / "tests").exists()
    assert {path.name for path in (root / "etc/systemd/system").iterdir()} == {path.name for path in UNITS.iterdir()}
    assert (root / "etc/logrotate.d/token-filter-bot").exists()
    assert (root / "etc/token-filter-bot.env").read_text() == (ROOT / ".env.example").read_text()
    for private in ("etc/token-filter-bot.env", "etc/token-filter-bot/secrets"):
        assert stat.S_IMODE((root / private).stat().st_mode) & 0o077 == 0, private
    for path in (current / "main.py", root / HOME, current.resolve()):
        assert path.stat().st_mode & 0o044 == 0o044, "the bot's user has to read it"
    (root / "etc/token-filter-bot.env").write_text("HTTP_PORT=1\n")
    before = tree(root / HOME) | {"env": (str(root / "etc/token-filter-bot.env"), 0)}
    assert install(source, "install", "--root", root, PYTHON=python).returncode == 0
    assert tree(root / HOME) | {"env": (str(root / "etc/token-filter-bot.env"), 0)} == before
    assert (root / "etc/token-filter-bot.env").read_text() == "HTTP_PORT=1\n", "what an operator wrote stays"


@pytest.mark.thorough
def test_releases_stand_side_by_side_and_old_ones_go(source: Path, python: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    link, before = root / HOME / "current", root / HOME / "previous"
    names: list[str] = []
    assert install(source, "upgrade", "--root", root, PYTHON=python).returncode != 0, "there is none to upgrade"
    for number in range(4):
        released(source, f"9.{number}")
        said = install(source, "upgrade" if number else "install", "--root", root, PYTHON=python)
        assert said.returncode == 0, said.stdout + said.stderr
        names.append(link.readlink().name)
        assert install(source, "upgrade", "--root", root, PYTHON=python).returncode == 0, "it is there already"
        assert link.readlink().name == names[-1]
        assert names[-1].startswith(f"9.{number}-")
    assert before.readlink().name == names[-2]
    assert {path.name for path in (root / HOME / "releases").iterdir()} == set(names[-3:])
    assert len(list((root / HOME / "venvs").iterdir())) == 1, "the requirements were the same"
    assert install(source, "rollback", "--root", root, PYTHON=python).returncode == 0
    assert link.readlink().name == names[-2]
    assert install(source, "rollback", "--root", root, PYTHON=python).returncode != 0, "back once is as far as it goes"


@pytest.mark.thorough
def test_it_goes_and_leaves_what_is_not_its_own(source: Path, python: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    neighbour = root / "etc/systemd/system/other.service"
    neighbour.parent.mkdir(parents=True)
    neighbour.touch()
    data = root / "var/lib/token-filter-bot/instance"
    data.parent.mkdir(parents=True)
    data.touch()
    assert install(source, "install", "--root", root, PYTHON=python).returncode == 0
    for _ in range(2):
        assert install(source, "uninstall", "--root", root).returncode == 0
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert left == {"etc/systemd/system/other.service", "etc/token-filter-bot.env", "var/lib/token-filter-bot/instance"}
    assert install(source, "uninstall", "--purge", "--root", root).returncode == 0
    assert {path for path in root.rglob("*") if path.is_file()} == {neighbour}


@pytest.mark.parametrize("arguments", [(), ("instal",), ("install", "--rot", "here"), ("install", "--root")])
def test_what_it_does_not_understand_it_does_not_do(arguments: tuple[str, ...]) -> None:
    said = install(ROOT, *arguments)
    assert said.returncode != 0
    assert said.stdout or said.stderr
