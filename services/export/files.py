"""Files that somebody takes with them, on their way from PostgreSQL to Telegram: cut into parts, and nobody else's.

They stand in a directory of their own, which is emptied at the start: whatever ended a process, nothing stays.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from domain.export.lines import BOM, Form, csv_line, json_line
from services.export.contents import Content

PART_BYTES: Final = 20_000_000
"""Telegram takes 50 MB from a bot; a phone opens, and a slow line carries, less."""
_BUFFER_BYTES: Final = 256 * 1024


class ExportDirectory:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def empty(self) -> None:
        """Remove what a killed process left."""
        shutil.rmtree(self._path, ignore_errors=True)

    @contextmanager
    def of(self, user_id: int) -> Generator[Path]:
        """A directory for the files of one person, gone in the end."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        own = self._path / str(user_id)
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(mode=0o700)
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)


class Parts:
    """Rows of one content, written one after the other; a new part begins before one gets too large."""

    def __init__(self, directory: Path, content: Content, form: Form, *, part_bytes: int) -> None:
        self._directory = directory
        self._content = content
        self._form = form
        self._part_bytes = part_bytes
        self._file: BinaryIO | None = None
        self._size = 0
        self.paths: list[Path] = []
        self.rows = 0

    def add(self, row: Mapping[str, object]) -> None:
        line = csv_line(row.values()) if self._form == "csv" else json_line(row, self._content.documents)
        if self._file is None or self._size + len(line) > self._part_bytes:
            self._begin(row)
        self._write(line)
        self.rows += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def name_of(self, path: Path) -> str:
        """Return what the person sees as the name of the file."""
        number = f"-{self.paths.index(path) + 1}" if len(self.paths) > 1 else ""
        return f"{self._content.name.replace('_', '-')}{number}.{self._form}"

    def _begin(self, row: Mapping[str, object]) -> None:
        self.close()
        path = self._directory / f"{self._content.name}-{len(self.paths) + 1}.{self._form}"
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(number, "wb", _BUFFER_BYTES)
        self._size = 0
        self.paths.append(path)
        if self._form == "csv":
            self._write(BOM + csv_line(row))

    def _write(self, line: bytes) -> None:
        if self._file is not None:
            self._file.write(line)
            self._size += len(line)


async def write_parts(
    rows: AsyncIterator[Sequence[Mapping[str, object]]], directory: Path, content: Content, form: Form, part_bytes: int
) -> Parts:
    """Write all the rows; the parts are complete when this returns."""
    parts = Parts(directory, content, form, part_bytes=part_bytes)
    try:
        async for batch in rows:
            for row in batch:
                parts.add(row)
            await asyncio.sleep(0)  # calls and alerts have their turn
    finally:
        parts.close()
    return parts
