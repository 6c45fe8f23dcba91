from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.bot_process import ROOT

PROGRAM = """
import sys
from pathlib import Path
import structlog
from config.logging import configure_logging
configure_logging(level="INFO", directory=Path(sys.argv[1]))
for number in range(100):
    structlog.get_logger("x").warning("it_happened", number=number)
structlog.get_logger("x").info("nobody_needs_to_know")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_costs_lines_and_no_tracebacks(tmp_path: Path) -> None:
    (tmp_path / "bot.log").symlink_to("/dev/full")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stderr.count("it_happened") == 100
    assert len(ran.stderr.splitlines()) == 100
