"""The watchdog in real time: `python -m tests.faults.soak --only watchdog`.

Five roles at once, each a process on a notify socket of its own, for longer than systemd would let a silent one live:
the first half without a call, the second with many. Nothing is sped up.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from runtime.supervision import STUCK_AFTER_S
from tests.e2e.five_roles import FiveRoles, Watched
from tests.e2e.notify_socket import watchdog_s
from tests.faults.servers import BreakablePostgres, BreakableRedis

CALLS_PER_S: Final = 20.0
LEFT_OUT_OF_TEN: Final = 3
"""Pings of a process that the machine is too busy for, at most."""
_PING_EVERY_S: Final = 5.0


async def watchdog(*, minutes: float) -> tuple[str, bool]:
    """Return the table, and whether every role was fed all the time."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-watchdog-")))
        redis, postgres = BreakableRedis(directory / "redis"), BreakablePostgres(directory / "postgres")
        for server in (redis, postgres):
            stack.callback(server.stop)
            await server.restart()
        await postgres.make_template()
        dsns = postgres.dsn_of(await postgres.create_database()), postgres.dsn_of(await postgres.create_database())
        five = FiveRoles(directory, redis_urls=(redis.url, f"{redis.url}?db=1"), postgres_dsns=dsns)
        async with AsyncExitStack() as bots:
            await five.start(bots)
            for calls_per_s in (0.0, CALLS_PER_S):
                five.play(calls_per_s)
                await asyncio.sleep(minutes * 60 / 2)
            five.play(0)
            silent_s = {role: watched.socket.silent_s for role, watched in five.watched.items()}
            alerts = five.alerts()
            for watched in five.watched.values():
                watched.bot.terminate()
            codes = {role: await watched.bot.exit_code() for role, watched in five.watched.items()}
        rows = [
            _row(role, watched, silent_s[role], codes[role], minutes=minutes) for role, watched in five.watched.items()
        ]
    return _table(rows, alerts, minutes=minutes)


def _row(role: str, watched: Watched, silent_s: float, code: int, *, minutes: float) -> tuple[str, str, bool]:
    longest_s, stuck = max(silent_s, watched.socket.longest_silence_s), len(watched.complaints())
    fed = watched.socket.pings * 10 >= minutes * 60 / _PING_EVERY_S * (10 - LEFT_OUT_OF_TEN)
    holds = fed and longest_s < watchdog_s() and not stuck and code == 0
    text = f"{watched.socket.pings:,} pings, {longest_s:.1f} s apart at most, {stuck}× jobs_stuck, exit code {code}"
    return f"role {role}", text, holds


def _table(rows: Sequence[tuple[str, str, bool]], alerts: Sequence[int], *, minutes: float) -> tuple[str, bool]:
    lines = [
        ("watchdog, minutes", f"{minutes:g}, half of them without a call, half with {CALLS_PER_S:g} calls/s"),
        ("stuck after", f"{STUCK_AFTER_S:g} s without progress; systemd waits for {watchdog_s():g} s more"),
        *((what, text if holds else f"{text}  MISSED") for what, text, holds in rows),
        ("alerts sent", " and ".join(f"{count:,}" for count in alerts) + ("" if all(alerts) else "  MISSED")),
    ]
    table = "\n".join(f"{what:<20} {value}" for what, value in lines)
    return table, all(alerts) and all(holds for _, _, holds in rows)
