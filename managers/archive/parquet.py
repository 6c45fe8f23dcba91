"""Parquet files under one directory: `calls/2026-11-30.parquet`. A file is there whole or not at all.

Only a process of its own uses this: Polars brings threads and memory that the bot does not need.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Literal, Protocol

import polars as pl
from polars.exceptions import PolarsError

from runtime.errors import TransientError

Dataset = Literal["calls", "outcomes"]
ROW_GROUP: Final = 100_000
_TYPES: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "number": pl.Float64(),
    "whole": pl.Int64(),
    "time": pl.Datetime("us", "UTC"),
}


class ArchiveError(TransientError):
    """A file cannot be written or read: the disk is full, or it is damaged."""


class Column(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["text", "number", "whole", "time"]: ...


def frame(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    """Rows as columns, with nothing changed on the way."""
    return pl.DataFrame(rows, schema={one.name: _TYPES[one.kind] for one in columns}, orient="row")


class Archive:
    def __init__(self, directory: Path, layouts: Mapping[Dataset, int]) -> None:
        """`layouts`: what the files mean; those of another layout are not there."""
        self._directory = directory
        self._layouts = layouts

    def days(self, dataset: Dataset) -> list[date]:
        """Days of which there is a file, in order."""
        return sorted(
            day for path in (self._directory / dataset).glob("*.parquet") if (day := self._day(dataset, path))
        )

    def columns(self, dataset: Dataset, day: date) -> frozenset[str]:
        with _wrapped():
            return frozenset(pl.read_parquet_schema(self._path(dataset, day)))

    def rows(self, dataset: Dataset, day: date) -> int:
        with _wrapped():
            return int(pl.scan_parquet(self._path(dataset, day)).select(pl.len()).collect().item())

    def scan(self, dataset: Dataset, day: date) -> pl.LazyFrame:
        return pl.scan_parquet(self._path(dataset, day))

    def written_at(self, dataset: Dataset, day: date) -> datetime:
        return datetime.fromtimestamp(self._path(dataset, day).stat().st_mtime, UTC)

    async def write(self, dataset: Dataset, day: date, parts: AsyncIterable[pl.DataFrame]) -> int:
        """Replace the file of a day, one part in memory at a time; return its rows. Nothing is written for no part."""
        (self._directory / dataset).mkdir(parents=True, exist_ok=True)
        self.clear_remains(dataset)
        beside = Path(mkdtemp(prefix=".writing-", dir=self._directory / dataset))
        try:
            rows, count = 0, 0
            async for part in parts:
                with _wrapped():
                    part.write_parquet(beside / f"{count:06}.parquet", compression="zstd", row_group_size=ROW_GROUP)
                rows, count = rows + part.height, count + 1
            if count:
                self._join(beside, self._path(dataset, day))
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return rows

    def clear_remains(self, dataset: Dataset) -> None:
        """Remove what a process that was killed had begun."""
        for left in (self._directory / dataset).glob(".writing-*"):
            shutil.rmtree(left, ignore_errors=True)

    def remove(self, dataset: Dataset, day: date) -> None:
        self._path(dataset, day).unlink(missing_ok=True)

    def _join(self, parts: Path, path: Path) -> None:
        """Make one file of all parts and put it into its place; the same day of another layout goes."""
        whole, several = parts / "whole", sorted(parts.glob("*.parquet"))
        with _wrapped():
            if len(several) == 1:
                whole = several[0]
            else:
                pl.scan_parquet(several).sink_parquet(
                    whole, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True
                )
            with whole.open("rb") as written:
                os.fsync(written.fileno())
            whole.replace(path)
            for other in path.parent.glob(f"{path.name.partition('.')[0]}.*.parquet"):
                if other != path:
                    other.unlink()

    def _path(self, dataset: Dataset, day: date) -> Path:
        return self._directory / dataset / f"{day.isoformat()}.{self._layouts[dataset]}.parquet"

    def _day(self, dataset: Dataset, path: Path) -> date | None:
        day, _, layout = path.name.removesuffix(".parquet").partition(".")
        if layout != str(self._layouts[dataset]):
            return None
        try:
            return date.fromisoformat(day)
        except ValueError:
            return None


@contextmanager
def _wrapped() -> Generator[None]:
    """Turn what goes wrong with a file into our error, keeping the cause."""
    try:
        yield
    except (PolarsError, OSError) as error:
        raise ArchiveError(f"the archive: {error}") from error
