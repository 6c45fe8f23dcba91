"""`main.py login`, with Telethon's client and session file; Telegram's side of the login stands in."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportAttributeAccessIssue=false
# pyright: reportIncompatibleMethodOverride=false, reportOptionalMemberAccess=false

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from telethon import TelegramClient, errors

from bot.console import Terminal
from composition.addresses import session_access
from composition.login import login
from config.settings import Settings
from managers.channels.session import files_in
from runtime.errors import FatalError

HASH = "0" * 32


class Login(TelegramClient):
    """Keeps a session file as Telethon does, and reaches nobody."""

    def __init__(self, file: Path, api_id: int, api_hash: str) -> None:
        super().__init__(str(file), api_id, api_hash)
        self.said: list[Any] = []
        self.problem: Exception | None = None

    def is_connected(self) -> bool:
        return bool(self.said)

    async def connect(self) -> None:
        self.said.append("connected")

    async def disconnect(self) -> None:
        self.session.close()

    async def send_code_request(self, phone: str) -> None:
        if not phone.startswith("+"):
            raise errors.PhoneNumberInvalidError(None)

    async def sign_in(self, phone: str | None = None, *, code: str | None = None, password: str | None = None) -> None:
        if self.problem:
            raise self.problem
        if password is not None:
            if password != "right":
                raise errors.PasswordHashInvalidError(None)
        elif code != "12345":
            raise errors.PhoneCodeInvalidError(None)
        elif phone == "+49151":
            raise errors.SessionPasswordNeededError(None)
        self.session.set_dc(2, "149.154.167.51", 443)
        self.session.save()


def settings_of(path: Path) -> Settings:
    return Settings(data_dir=path, telegram_api_id=1, telegram_api_hash=SecretStr(HASH))


def run(settings: Settings, answers: list[str], name: str = "ada", problem: Exception | None = None) -> int:
    left = iter(answers)

    def ask(_prompt: str) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    def make(file: Path, api_id: int, api_hash: str) -> Login:
        made = Login(file, api_id, api_hash)
        made.problem = problem
        return made

    with asyncio.Runner() as runner:
        return login(settings, Terminal(), name, runner, ask=ask, ask_secret=ask, make=make)


def kept(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


@pytest.mark.parametrize(
    "answers",
    [
        ["+4930", "12345"],
        ["4930", "+4930", "1", "12345"],
        ["+49151", "12345", "right"],
        ["+49151", "12345", "no", "right"],
    ],
    ids=["code", "second tries", "password", "second password"],
)
def test_the_session_is_kept_for_its_owner_alone(
    tmp_path: Path, answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path)
    assert run(settings, answers) == 0
    assert kept(tmp_path) == ["sessions", "sessions/ada.session"]
    [file] = files_in(settings.sessions)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "full key to the account" in capsys.readouterr().out.replace("\n", " ")


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert run(settings, ["+4930", "12345"]) == 0
    before = (tmp_path / "sessions" / "ada.session").read_bytes()
    with pytest.raises(FatalError, match="exists"):
        run(settings, ["+4930", "12345"])
    assert (tmp_path / "sessions" / "ada.session").read_bytes() == before
    assert run(settings, ["+4930", "12345"], "ben") == 0


@pytest.mark.parametrize(
    ("answers", "problem", "says"),
    [
        (["+4930", "1", "2", "3"], None, "too often"),
        (["+4930", "12345"], errors.FloodWaitError(None, capture=90), "FloodWaitError"),
        (["+4930", "12345"], ConnectionError("gone"), "Telegram did not do it"),
    ],
)
def test_what_fails_leaves_nothing(tmp_path: Path, answers: list[str], problem: Exception | None, says: str) -> None:
    with pytest.raises(FatalError, match=says):
        run(settings_of(tmp_path), answers, problem=problem)
    assert kept(tmp_path) == ["sessions"]


def test_who_changes_their_mind_leaves_nothing(tmp_path: Path) -> None:
    assert run(settings_of(tmp_path), ["+4930"]) == 1
    assert kept(tmp_path) == ["sessions"]


@pytest.mark.parametrize("name", ["../ada", "a b", "", "x" * 33])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(FatalError, match="no name"):
        run(settings_of(tmp_path), [], name)


def test_without_an_application_it_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="development tools"):
        run(Settings(data_dir=tmp_path), [])


def test_sessions_that_nobody_can_use_are_said(tmp_path: Path) -> None:
    assert session_access(Settings(data_dir=tmp_path)) is None
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "ada.session").touch()
    with pytest.raises(FatalError, match="TELEGRAM_API_ID"):
        session_access(Settings(data_dir=tmp_path))
