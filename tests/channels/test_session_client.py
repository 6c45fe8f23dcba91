"""Telethon's own client, where nobody speaks MTProto: what it does then is understood."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from telethon.crypto import AuthKey
from telethon.sessions import SQLiteSession

from managers.channels import session_library
from managers.channels.base import AccountLostError
from managers.channels.session import TelegramSession, files_in
from runtime.errors import FatalError, TransientError
from tests.channels.support import ALPHA

API_HASH = "0" * 32


def kept(path: Path, port: int) -> Path:
    """A session file whose data centre is on this machine."""
    file = path / "ada.session"
    session = SQLiteSession(str(file))
    session.set_dc(2, "127.0.0.1", port)
    session.auth_key = AuthKey(bytes(256))
    session.save()
    session.close()
    return file


async def test_a_server_that_hangs_up_is_tried_again_later(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with asyncio.timeout(14), await asyncio.start_server(hang_up, "127.0.0.1") as server:
        account = TelegramSession.of_file(kept(tmp_path, server.sockets[0].getsockname()[1]), 1, API_HASH)
        with pytest.raises(TransientError) as raised:
            await account.open(lambda _channel, _post: None)
        assert not isinstance(raised.value, AccountLostError)
        await account.close()
    with pytest.raises(TransientError):
        await account.newest(ALPHA)


async def test_nobody_at_the_port_is_tried_again_later(tmp_path: Path) -> None:
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
    account = TelegramSession.of_file(kept(tmp_path, port), 1, API_HASH)
    with pytest.raises(TransientError) as raised:
        await account.open(lambda _channel, _post: None)
    assert not isinstance(raised.value, AccountLostError)
    await account.close()


async def test_a_file_that_is_no_session_needs_a_person(tmp_path: Path) -> None:
    file = tmp_path / "ada.session"
    file.write_bytes(b"not a database" * 100)
    account = TelegramSession.of_file(file, 1, API_HASH)
    with pytest.raises(AccountLostError, match="not a database"):
        await account.open(lambda _channel, _post: None)
    await account.close()


def test_without_the_library_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "telethon", None)
    with pytest.raises(FatalError, match=r"pip install -r requirements-session\.txt"):
        session_library.telethon()


def test_session_files_are_found_by_name_or_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("b.session", "a.session", "b.session-journal", "more/c.session"):
        (tmp_path / name).touch()
    found = files_in((tmp_path, tmp_path / "more" / "c.session", tmp_path / "nothing"))
    assert [file.name for file in found] == ["a.session", "b.session", "c.session"]
