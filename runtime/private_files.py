"""What the bot keeps is nobody else's: modes of the data directory and of all that lies in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import structlog

from runtime.errors import FatalError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PRIVATE: Final = 0o700
"""Of a directory; of a file the umask leaves out the right to execute it."""
PASSED_BY_OTHERS: Final = 0o701
"""Where the embedded PostgreSQL, which does not run as root, has to get through to its own directory."""
_UMASK: Final = 0o077


def keep_private(data_dir: Path, passed_by: frozenset[str] = frozenset()) -> None:
    """Make the directory, let whatever this process creates from now on be its own, and narrow what is wider.

    `passed_by`: subdirectories of which the server runs as another user when this process is root.
    `FatalError` where it cannot be made or used.
    """
    os.umask(_UMASK)
    make_usable(data_dir, "DATA_DIR")
    way = {data_dir, *(data_dir / name for name in passed_by)} if os.geteuid() == 0 and passed_by else set[Path]()
    _narrow(data_dir, PASSED_BY_OTHERS if data_dir in way else PRIVATE)
    for top, directories, files in os.walk(data_dir):  # does not follow links
        for path in (Path(top, name) for name in (*directories, *files)):
            _narrow(path, PASSED_BY_OTHERS if path in way else PRIVATE)


def make_usable(directory: Path, setting: str) -> None:
    """`FatalError` where nothing can be kept there. `setting`: the variable that names it."""
    why = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is no directory" if isinstance(error, FileExistsError) else error.strerror
    else:
        if not os.access(directory, os.W_OK | os.X_OK):
            why = "it cannot be written"
    if why:
        raise FatalError(
            f"{setting}: {directory} cannot be used ({why}): name a directory that this user may make and write to."
        )


def _narrow(path: Path, widest: int) -> None:
    """Take away what is beyond `widest`; a link, and what goes meanwhile, is left alone."""
    try:
        mode = path.lstat().st_mode
        kept = stat.S_IMODE(mode) & widest
        if not stat.S_ISLNK(mode) and kept != stat.S_IMODE(mode):
            path.chmod(kept)
            log.info("made_private", path=str(path), mode=f"{kept:04o}")
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("not_made_private", path=str(path), reason=str(error))
