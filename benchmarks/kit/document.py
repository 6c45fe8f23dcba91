"""The page that shows what was measured: one section per benchmark, replaced when that benchmark runs again."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import cast

import asyncpg
from redis import asyncio as redis

from benchmarks.kit.report import Report, Row, number
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis

TITLE = "# Performance"
INTRODUCTION = """\
Made by `python -m benchmarks all --write docs/performance.md`; each table by the command above it, with
`--write docs/performance.md` at its end. A figure without a target is there to compare with: a peer in the same run,
or what the other figures rest on. The exit code of the command is 1 when a target is missed."""
HOLDS = {True: "yes", False: "**no**", None: ""}
_SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)


def write_section(path: Path, module: ModuleType, result: Report, order: Iterable[str]) -> None:
    """Put the result into the page, in the place that `order` gives it; the sections of others stay."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    _, *found = _SECTION.split(page)
    sections = dict(zip(found[::2], (text.strip() for text in found[1::2]), strict=True))
    sections[result.name] = _section(module, result)
    body = [f"## {name}\n\n{sections[name]}" for name in order if name in sections]
    path.write_text("\n\n".join([TITLE, INTRODUCTION, *body]) + "\n", encoding="utf-8")


def _section(module: ModuleType, result: Report) -> str:
    meaning = (module.__doc__ or "").strip()
    where = f"Measured {result.date[:16].replace('T', ' ')} UTC on {result.machine}; {asyncio.run(_servers())}."
    table = ["| figure | value | target | holds |", "|---|--:|--:|---|", *map(_line, result.rows)]
    return "\n\n".join([meaning, f"```\npython -m benchmarks {result.name}\n```", where, "\n".join(table)])


def _line(row: Row) -> str:
    target = "" if row.target is None else f"{number(row.target)} {row.unit}".strip()
    return f"| {row.what} | {f'{number(row.value)} {row.unit}'.strip()} | {target} | {HOLDS[row.holds]} |"


async def _servers() -> str:
    """What the embedded servers say they are."""
    with tempfile.TemporaryDirectory(prefix="bot-servers-") as directory:
        async with (
            EmbeddedRedis(Path(directory) / "redis") as store,
            redis.Redis.from_url(store.url) as client,  # pyright: ignore[reportUnknownMemberType] - untyped
            EmbeddedPostgres(Path(directory) / "postgres") as server,
        ):
            said = cast("dict[str, str]", await client.info("server"))  # pyright: ignore[reportUnknownMemberType] - untyped
            connection = await asyncpg.connect(server.dsn)
            try:
                spoken = cast("str", await connection.fetchval("SHOW server_version"))
            finally:
                await connection.close()
    name, version = ("Valkey", said["valkey_version"]) if "valkey_version" in said else ("Redis", said["redis_version"])
    return f"{name} {version}, PostgreSQL {spoken}"
