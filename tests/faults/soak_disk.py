"""The disk full × killed or stopped, again and again: `python -m tests.faults.soak_disk --times 50`.

Every round has a disk, a bot and subscribers of its own, and another moment between the full disk and the end. Exit
code 1 when anything was lost, came twice, or more came again than after any kill.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.full_disk import ENDINGS, FULLS, REPEATS, ROUND, Ending, Full, play
from tests.faults.ledger import judge
from tests.faults.reliability import DISK, Row, disk_section, write_section
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.small_disk import SmallDisk
from tests.faults.soak import PAGE
from tests.faults.stage import Stage

LATEST_END_S: Final = 0.8


class DiskSoak:
    def __init__(self, redis: BreakableRedis, postgres: BreakablePostgres, seed: int) -> None:
        self.rows: list[Row] = []
        self.failed: list[str] = []
        self._redis = redis
        self._postgres = postgres
        self._seed = seed
        self._one_begins = asyncio.Lock()

    async def run(self, times: int, *, at_once: int) -> None:
        kinds = itertools.cycle(itertools.product(FULLS, ENDINGS))
        rounds = iter([(number, *next(kinds)) for number in range(times)])

        async def play_rounds() -> None:
            for number, full, ending in rounds:
                await self._play(number, full, ending)

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(play_rounds())

    async def _play(self, number: int, full: Full, ending: Ending) -> None:
        seed = self._seed * 10_000 + number
        after_s = Random(seed).uniform(0.0, LATEST_END_S)
        stage = Stage(size=ROUND, seed=seed, redis=self._redis, postgres=self._postgres)
        async with self._one_begins:
            await stage.__aenter__()
        try:
            counts = await play(stage, full=full, ending=ending, after_s=after_s)
        finally:
            await stage.__aexit__(None, None, None)
        row = Row(what=f"{'everything' if full == 'data' else 'Redis alone'}, {ending}", counts=counts, repeats=REPEATS)
        self.rows.append(row)
        print(f"{number + 1}: after {after_s:.2f} s: {row.line}", flush=True)  # noqa: T201 - what it is for
        try:
            judge(counts, repeats=REPEATS)
            assert not stage.complaints, stage.complaints
        except AssertionError as error:
            self.failed.append(f"round {number + 1} of seed {self._seed}, {row.what}: {error}")


async def soak(*, times: int, at_once: int, seed: int) -> tuple[str, bool]:
    """Return the section of the page, and whether everything held."""
    if not SmallDisk.is_possible():
        sys.exit("nothing can be mounted here (unshare, nsenter, user namespaces)")
    directory = Path(tempfile.mkdtemp(prefix="bot-disks-"))
    with ExitStack() as servers:
        servers.callback(shutil.rmtree, directory)
        redis, postgres = BreakableRedis(directory / "redis"), BreakablePostgres(directory / "postgres")
        for server in (redis, postgres):
            servers.callback(server.stop)
            await server.restart()
        await postgres.make_template()
        disks = DiskSoak(redis, postgres, seed)
        await disks.run(times, at_once=at_once)
    return disk_section(disks.rows, disks.failed), not disks.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the result is written")
    chosen = parser.parse_args()
    section, holds = asyncio.run(soak(times=chosen.times, at_once=chosen.at_once, seed=chosen.seed))
    print(section)  # noqa: T201 - what it is for
    write_section(chosen.page, DISK, section)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
