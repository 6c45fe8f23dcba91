"""A server that speaks Redis's protocol and answers what a test wants: for versions that are not here to be run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

Answer = Callable[[list[bytes]], bytes]
"""From a command, its name in capitals, to the reply as it goes over the wire. PING is answered as it should be."""


@asynccontextmanager
async def resp_server(answer: Answer) -> AsyncGenerator[str]:
    """Serve until the block ends; gives the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readline():
                command: list[bytes] = []
                for _ in range(int(head[1:])):
                    size = int((await reader.readline())[1:])
                    command.append((await reader.readexactly(size + 2))[:-2])
                is_ping = command[0].upper() == b"PING"
                writer.write(b"+PONG\r\n" if is_ping else answer([command[0].upper(), *command[1:]]))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has hung up
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()
        await server.wait_closed()


def error(line: str) -> bytes:
    return f"-{line}\r\n".encode()
