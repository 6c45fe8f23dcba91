"""`main.py login`: asks a person on the terminal, and makes the session file of their account."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from getpass import getpass
from pathlib import Path
from typing import Any, Final, TypeVar

from bot.console import Terminal
from config.settings import Settings
from managers.channels.session import SUFFIX, client_of
from managers.channels.session_login import SessionLogin, WrongError
from runtime.errors import FatalError, TransientError

T = TypeVar("T")
Ask = Callable[[str], str]

TRIES: Final = 3
FILE_MODE: Final = 0o600
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
EXPLAINED: Final = """This logs an account of Telegram in, so that the bot may listen to the channels it is a member of.
Take an account for this alone: Telegram restricts some that are automated, and its terms of the API apply.

{file} will be a full key to the account: whoever has the file reads and writes everything in it, without a code
or a password. Copy it nowhere, back it up nowhere, and let one bot alone use it: used from two places, Telegram ends
it. Telegram's settings, “Devices”, show the session and end it."""
_WRONG: Final = {
    "phone": "Telegram does not know this number. Write it with its country code: +4915112345678.",
    "code": "That is not the code.",
    "password": "That is not the password.",
}


def login(
    settings: Settings,
    terminal: Terminal,
    name: str,
    runner: asyncio.Runner,
    *,
    ask: Ask = input,
    ask_secret: Ask = getpass,
    make: Callable[[Path, int, str], Any] = client_of,
) -> int:
    """Ask phone number, code and password, and keep the session; what exists is not overwritten.

    People are asked while the loop rests: so Ctrl-C ends it at once. `FatalError` with what is in the way.
    """
    if settings.telegram_api_id is None or settings.telegram_api_hash is None:
        raise FatalError("Set TELEGRAM_API_ID and TELEGRAM_API_HASH first: my.telegram.org, “API development tools”.")
    file = place_of(settings, name)
    api_id, api_hash = settings.telegram_api_id, settings.telegram_api_hash.get_secret_value()
    directory = Path(tempfile.mkdtemp(prefix="login-", dir=file.parent))
    try:
        fresh = directory / file.name
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
        # Made in the loop, as Telethon wants it.
        steps = runner.run(_made(make, fresh, api_id, api_hash))
        terminal.say(EXPLAINED.format(file=file))
        try:
            _ask_all(steps, terminal, runner, ask, ask_secret)
        finally:
            _run(runner, steps.close())
        _keep(fresh, file)
    except (KeyboardInterrupt, EOFError):
        terminal.say("Nothing was kept.")
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    terminal.say(f"The account is logged in: {file}. Restart the bot, and it listens.")
    return 0


def place_of(settings: Settings, name: str) -> Path:
    """Return where the session file goes; makes its directory. `FatalError` where it may not."""
    if not NAME.fullmatch(name):
        raise FatalError(f"“{name}” is no name for a session: take up to 32 letters, digits, _ and -.")
    first = settings.sessions[0]
    directory = first.parent if first.suffix == SUFFIX else first
    file = directory / f"{name}{SUFFIX}"
    if file.exists():
        raise FatalError(f"{file} exists, and is the key to an account: take another name, or move it away.")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FatalError(f"{directory} cannot be made ({error.strerror}): see TELEGRAM_SESSIONS.") from error
    return file


async def _made(make: Callable[[Path, int, str], Any], file: Path, api_id: int, api_hash: str) -> SessionLogin:
    return SessionLogin(make(file, api_id, api_hash))


def _ask_all(steps: SessionLogin, terminal: Terminal, runner: asyncio.Runner, ask: Ask, ask_secret: Ask) -> None:
    def tried(prompt: str, asking: Ask, step: Callable[[str], Coroutine[Any, Any, T]]) -> T:
        for _ in range(TRIES):
            try:
                return _run(runner, step(asking(prompt).strip()))
            except WrongError as error:
                terminal.say(_WRONG[error.what])
        raise FatalError("That was wrong too often. Nothing was kept; begin again.")

    tried("Phone number of the account, with its country code: ", ask, steps.ask_for_code)
    is_in = tried("Code that Telegram has sent to the account: ", ask, steps.with_code)
    if not is_in:
        tried("Password of the account: ", ask_secret, steps.with_password)


def _run(runner: asyncio.Runner, step: Coroutine[Any, Any, T]) -> T:
    try:
        return runner.run(step)
    except TransientError as error:
        raise FatalError(f"Telegram did not do it: {error}. Nothing was kept.") from error


def _keep(fresh: Path, file: Path) -> None:
    fresh.chmod(FILE_MODE)
    try:
        os.link(fresh, file)
    except FileExistsError as error:
        raise FatalError(f"{file} was made meanwhile, and is left as it is.") from error
