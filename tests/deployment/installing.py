"""The install script on a tree that is a copy of this one, and a Python that need not fetch what is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from tests.e2e.bot_process import ROOT

LEFT_OUT: Final = ("tests", "benchmarks", "data", "logs", "node_modules", "__pycache__", ".*", "requirements-dev.*")
_PYTHON: Final = """#!/bin/sh
# Makes a virtual environment that finds the packages of another one, and so need not install any; else it is Python.
if [ "$1 $2" = "-m venv" ]; then
    "{python}" -m venv --without-pip "$3" || exit 1
    echo "{packages}" >"$3/lib/python{version}/site-packages/here.pth"
    mv "$3/bin/python" "$3/bin/python-itself"
    printf '#!/bin/sh\n[ "$1 $2" = "-m pip" ] || exec "$0-itself" "$@"\n' >"$3/bin/python"
    chmod 755 "$3/bin/python"
else
    exec "{python}" "$@"
fi
"""
_MIGRATION: Final = '''"""A trial."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE {table} (a integer)")


def downgrade() -> None:
    op.execute("DROP TABLE {table}")
'''


def copied(to: Path) -> Path:
    """Copy what a release is made of."""
    shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    shutil.copy(ROOT / ".env.example", to)
    return to


def released(source: Path, version: str) -> None:
    """Let the tree be another version."""
    project = source / "pyproject.toml"
    lines = project.read_text().splitlines(keepends=True)
    project.write_text("".join(f'version = "{version}"\n' if line.startswith("version =") else line for line in lines))


def with_a_migration(source: Path, table: str = "trial") -> str:
    """Let the tree need one more table; returns the revision before."""
    versions = source / "migrations" / "versions"
    before = max(path.name[1:5] for path in versions.glob("r[0-9]*.py"))
    revision = f"{int(before) + 1:04}"
    (versions / f"r{revision}_{table}.py").write_text(_MIGRATION.format(revision=revision, before=before, table=table))
    return before


def broken(source: Path) -> None:
    """Let the bot end at once, while everything else works."""
    main = source / "main.py"
    begins = "    started_at = time.monotonic()\n    stop = asyncio.Event()\n"
    assert begins in main.read_text()
    main.write_text(main.read_text().replace(begins, f'{begins}    raise FatalError("broken")\n'))


def python_at(path: Path) -> Path:
    packages = sysconfig.get_path("purelib")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    path.write_text(
        _PYTHON.format(python=Path(sys.base_prefix) / "bin" / "python3", packages=packages, version=version)
    )
    path.chmod(0o755)
    return path


def install(source: Path, *arguments: str | Path, **environment: str | Path) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in environment.items()}}
    return subprocess.run(
        [str(source / "deploy" / "install.sh"), *map(str, arguments)],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
