"""Parts of a benchmark in processes of their own, so that their work does not count as the bot's."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any

import uvloop

STOP_WITHIN_S = 10.0

Make = Callable[..., AbstractAsyncContextManager[Any]]
"""Importable by its name, since the other process imports it."""


class Part:
    """Something that lives in another process; asked by one task at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(self, name: str, *arguments: Any) -> Any:
        """Call a method of it, or read an attribute; whatever goes there and back is pickled."""
        self._connection.send((name, arguments))
        return await asyncio.to_thread(self._connection.recv)


@asynccontextmanager
async def in_own_process(make: Make, *arguments: Any) -> AsyncGenerator[Part]:
    """Start `make(*arguments)` in a process of its own and leave it at the end of the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make, arguments), daemon=True)
    process.start()
    there.close()
    try:
        await asyncio.to_thread(here.recv)  # it says that it stands
        yield Part(here)
    finally:
        here.close()
        await asyncio.to_thread(process.join, STOP_WITHIN_S)
        process.kill()


def _serve(connection: Connection, make: Make, arguments: tuple[Any, ...]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answer(connection, make, arguments))


async def _answer(connection: Connection, make: Make, arguments: tuple[Any, ...]) -> None:
    async with make(*arguments) as part:
        connection.send(None)
        while True:
            try:
                name, given = await asyncio.to_thread(connection.recv)
            except EOFError:
                return
            asked = getattr(part, name)
            answer = asked(*given) if callable(asked) else asked
            connection.send(await answer if inspect.isawaitable(answer) else answer)
