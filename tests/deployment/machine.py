"""A bare Debian with the real systemd as its first process, in a container of systemd's own."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from embedded.servers import server_environment

TOOLS: Final = ("debootstrap", "systemd-nspawn", "nsenter")
UP: Final = {"running", "degraded"}
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")

needs_machine = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, TOOLS)),
    reason=f"only root can boot a machine, with {', '.join(TOOLS)} (Debian: debootstrap systemd-container util-linux)",
)


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    text: str


@dataclass
class Machine:
    root: Path
    pid: int

    async def run(self, *command: str | Path, **environment: str) -> Said:
        """Run something in it, as root."""
        ours = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", **ours, **environment}
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-p", "-C", "env", "-i"]
        words = [*inside, *(f"{name}={value}" for name, value in given.items()), *map(str, command)]
        return await _run(*words)

    async def succeeds(self, *command: str | Path, **environment: str) -> str:
        said = await self.run(*command, **environment)
        assert said.code == 0, f"{command}: {said.text}"
        return said.text


async def _run(*command: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text, _ = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, text.decode(errors="replace"))


async def bare_debian(root: Path) -> None:
    """Make what an installer leaves behind; packages come from the registry of this machine."""
    made = await _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root))
    assert made.code == 0, made.text[-2000:]
    for path in (CERTIFICATES, Path("/etc/resolv.conf")):
        shutil.copyfile(path, root / path.relative_to("/"))


@asynccontextmanager
async def booted(root: Path) -> AsyncGenerator[Machine]:
    """The machine, running until the block ends; it shares this one's network."""
    options = ("--boot", "--register=no", "--keep-unit", "--console=pipe", "--quiet")
    process = await asyncio.create_subprocess_exec(
        "systemd-nspawn",
        f"--directory={root}",
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=server_environment(),
    )
    try:
        machine = Machine(root, await _first_process(process.pid))
        async with asyncio.timeout(60):
            while (await machine.run("systemctl", "is-system-running")).text.strip() not in UP:  # noqa: ASYNC110 - a word
                await asyncio.sleep(0.2)
        yield machine
        await machine.run("systemctl", "poweroff", "--force")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _first_process(nspawn: int) -> int:
    async with asyncio.timeout(30):
        while True:
            for child in psutil.Process(nspawn).children():
                if child.name() == "systemd":
                    return child.pid
            await asyncio.sleep(0.1)
