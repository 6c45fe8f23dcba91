"""Files are cut below what Telegram takes, nobody else reads them, and none stays, whatever goes wrong."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.delivery.messages import Message
from domain.export.lines import BOM, Form, csv_line
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.errors import FloodError, MessageRefusedError, OutcomeUnknownError, RecipientGoneError, UserFacingError
from services.export import exporting, keys
from services.export.contents import CONTENTS
from services.export.exporting import ATTEMPTS, ExportService
from services.export.files import ExportDirectory, Parts, write_parts
from texts import Texts

ANN: Final = 912_345_678
ROWS: Final = 500
PART_BYTES: Final = 9_000
CONTENT: Final = CONTENTS[0]
TEXTS: Final = Texts.load()
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=25)
@given(st.lists(TEXT), st.integers(200, 400), st.sampled_from(["csv", "jsonl"]))
def test_parts_are_small_and_hold_every_row_once_and_in_order(texts: list[str], limit: int, form: Form) -> None:
    with TemporaryDirectory() as directory:
        parts = Parts(Path(directory), CONTENT, form, part_bytes=limit)
        for text in texts:
            parts.add({"text": text})
        parts.close()
        data = [path.read_bytes() for path in parts.paths]
        assert all(0 < len(one) <= limit for one in data)
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in parts.paths)
        head = BOM + csv_line(["text"]) if form == "csv" else b""
        whole = Parts(Path(directory), CONTENTS[1], form, part_bytes=10**9)
        for text in texts:
            whole.add({"text": text})
        whole.close()
        expected = b"".join(path.read_bytes() for path in whole.paths)
        assert b"".join(one.removeprefix(head) for one in data) == expected.removeprefix(head)
        names = [parts.name_of(path) for path in parts.paths]
        assert len(set(names)) == len(names)


async def test_a_file_that_cannot_be_written_to_its_end_is_closed_and_gone(tmp_path: Path) -> None:
    async def rows() -> AsyncIterator[Sequence[dict[str, object]]]:
        yield [{"text": "one"}]
        raise OutcomeUnknownError("gone")

    directory = ExportDirectory(tmp_path / "exports")
    with pytest.raises(OutcomeUnknownError), directory.of(7) as own:
        await write_parts(rows(), own, CONTENT, "csv", 1_000)
    assert not list((tmp_path / "exports").iterdir())


class Chat:
    """A private chat that takes files; `fails` says which error comes instead."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sent_again: list[str] = []
        self.said: list[str] = []
        self.fails: Callable[[str], Exception | None] = lambda _name: None

    async def send(self, chat_id: int, message: Message) -> int:
        assert chat_id == ANN
        self.said.append(message.html)
        return 5

    async def edit(self, chat_id: int, message_id: int, message: Message) -> int:
        assert message_id == 5
        return await self.send(chat_id, message)

    async def send_document(self, chat_id: int, path: Path, name: str, caption: str) -> int:
        assert chat_id == ANN
        assert caption
        if error := self.fails(name):
            raise error
        if name in self.files:
            self.sent_again.append(name)
        self.files[name] = path.read_bytes()  # noqa: ASYNC240 - a few kilobytes
        return 6


class Fixture:
    def __init__(self, redis: RedisManager, postgres: PostgresManager, directory: Path) -> None:
        self.redis = redis
        self.postgres = postgres
        self.directory = directory
        self.chat = Chat()

    def service(self) -> ExportService:
        return ExportService(
            redis=self.redis,
            postgres=self.postgres,
            courier=self.chat,
            texts=TEXTS,
            directory=ExportDirectory(self.directory),
            clock=lambda: datetime.now(UTC),
            part_bytes=PART_BYTES,
        )

    async def ask(self) -> None:
        await self.service().ask(user_id=ANN, chat_id=ANN, language="en", form="csv")

    async def one_turn(self) -> bool:
        return await self.service().once(lambda: None)

    def left(self) -> list[Path]:
        return list(self.directory.rglob("*"))


@pytest.fixture
async def shop(
    redis_manager: RedisManager, postgres_manager: PostgresManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Fixture:
    monkeypatch.setattr(exporting, "_RETRY_S", 0.0)
    started = datetime.now(UTC) - timedelta(hours=1)
    await postgres_manager.execute(
        """
        INSERT INTO deliveries (call_id, user_id, kind, set_number, status, decided_at, may_repeat)
        SELECT 'call ' || n, $1, 'alert', 1, 'sent', $2::timestamptz + n * interval '1 second', false
        FROM generate_series(1, $3) AS n
        """,
        ANN,
        started,
        ROWS,
    )
    return Fixture(redis_manager, postgres_manager, tmp_path / "exports")


async def test_many_alerts_come_in_several_files(shop: Fixture) -> None:
    await shop.ask()
    with pytest.raises(UserFacingError, match="too_soon"):
        await shop.ask()
    assert await shop.one_turn()
    assert not await shop.one_turn()
    assert len(shop.chat.files) > 3
    lines = [line for data in shop.chat.files.values() for line in data.decode("utf-8-sig").split("\r\n")[1:-1]]
    assert len(lines) == ROWS
    assert [line.split(",")[0] for line in lines] == [f"call {number}" for number in range(1, ROWS + 1)]
    assert not shop.left()
    assert "500" in shop.chat.said[-1]


async def test_watches_are_among_it(shop: Fixture) -> None:
    await shop.postgres.execute(
        "INSERT INTO watches (user_id, token_address, subject, side, value, each_time, created_at)"
        " VALUES ($1, 'So1', 'price', 'above', 2.5, false, now())",
        ANN,
    )
    await shop.ask()
    assert await shop.one_turn()
    assert b",So1,,price,above,2.5,false," in shop.chat.files["watches.csv"]


async def test_what_was_sent_before_a_kill_is_not_sent_again(shop: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    def die(_point: str) -> None:
        if len(shop.chat.files) == 2:
            raise KilledError

    await shop.ask()
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "fault_point", die)
        with pytest.raises(KilledError):
            await shop.one_turn()
    # A kill leaves what `finally` did not remove.
    (shop.directory / "1").mkdir(parents=True)
    (shop.directory / "1" / "alerts-1.csv").write_text("something")
    await ExportDirectory(shop.directory).empty()
    assert not shop.left()
    assert await shop.one_turn()
    assert len(shop.chat.sent_again) == 2, "of the content that was being sent"
    assert not shop.left()


@pytest.mark.parametrize("error", [FloodError(0.0), OutcomeUnknownError("no answer")])
async def test_a_file_that_telegram_does_not_take_at_once_is_sent_again(shop: Fixture, error: Exception) -> None:
    failures = [error] * 3

    def fails(_name: str) -> Exception | None:
        return failures.pop() if failures else None

    shop.chat.fails = fails
    await shop.ask()
    assert await shop.one_turn()
    assert len(shop.chat.files) > 3


async def test_what_never_works_is_given_up_and_may_be_asked_for_again(shop: Fixture) -> None:
    shop.chat.fails = lambda _name: OutcomeUnknownError("no answer")
    await shop.ask()
    for _ in range(ATTEMPTS):
        assert await shop.one_turn()
    assert not await shop.one_turn()
    assert "/export" in shop.chat.said[-1]
    assert not shop.left()
    shop.chat.fails = lambda _name: MessageRefusedError("too large")
    await shop.ask()
    assert await shop.one_turn()
    shop.chat.fails = lambda _name: RecipientGoneError("blocked")
    await shop.ask()
    assert await shop.one_turn()
    assert not await shop.redis.exists(keys.EXPORTED.of(ANN), keys.EXPORTS.of())


async def test_without_a_place_for_files_it_waits_and_what_cannot_be_read_costs_itself(shop: Fixture) -> None:
    await shop.redis.hset(keys.EXPORTS.of(), {"7": b"{", "8": b"\xff"})
    await shop.ask()
    shop.directory.write_text("in the way")
    assert await shop.one_turn()
    assert not shop.chat.files
    shop.directory.unlink()
    assert await shop.one_turn()
    assert shop.chat.files
    assert not await shop.one_turn()
    assert not await shop.redis.exists(keys.EXPORTS.of())
