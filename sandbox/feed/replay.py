"""Plays a file of recorded frames as a feed: one line is one frame, sent as it stands, sense or nonsense.

    python -m sandbox.feed.replay FILE --port 8765 --rate 20

Every client gets the whole file from its beginning, once it has sent something (its subscription).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from runtime.counted import counted

_HOST = "127.0.0.1"


class ReplaySandbox:
    """`async with ReplaySandbox(frames) as feed:` then connect to `feed.ws_url`."""

    def __init__(
        self,
        frames: Sequence[bytes],
        *,
        frames_per_s: float | None = None,
        loop: bool = False,
        port: int = 0,
    ) -> None:
        self.ws_url = ""
        self.frames_sent = 0
        self.finished = asyncio.Event()
        """Set as soon as some client has been sent the whole file."""
        self.subscriptions: list[str] = []
        """What clients have sent, in order."""
        self._frames = frames
        self._pause_s = 1 / frames_per_s if frames_per_s else 0.0
        self._loop = loop
        self._port = port
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._play, _HOST, self._port, compression=None, ping_timeout=None, close_timeout=1)
        self.ws_url = f"ws://{_HOST}:{next(iter(self._server.sockets)).getsockname()[1]}/"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _play(self, socket: ServerConnection) -> None:
        player: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                self.subscriptions.append(message if isinstance(message, str) else repr(message))
                player = player or asyncio.create_task(self._send_all(socket))
        except ConnectionClosed:
            pass  # the client may leave in any manner
        finally:
            if player is not None:
                player.cancel()
                await asyncio.gather(player, return_exceptions=True)

    async def _send_all(self, socket: ServerConnection) -> None:
        try:
            while True:
                for frame in self._frames:
                    await socket.send(frame, text=True)
                    self.frames_sent += 1
                    await asyncio.sleep(self._pause_s)
                self.finished.set()
                if not self._loop:
                    return
        except ConnectionClosed:
            return


def read_frames(path: Path) -> list[bytes]:
    """Read the lines of a recording; empty ones separate nothing and are left out."""
    return [line for line in path.read_bytes().splitlines() if line.strip()]


async def _serve(options: argparse.Namespace) -> None:
    frames = read_frames(options.file)
    async with ReplaySandbox(frames, frames_per_s=options.rate, loop=options.loop, port=options.port) as feed:
        sys.stdout.write(f"{counted(len(frames), 'frame')} at {feed.ws_url}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.feed.replay", description="Replay recorded frames as a feed."
    )
    parser.add_argument("file", type=Path, help="recorded frames, one per line")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--rate", type=float, default=None, help="frames per second; default: no pause")
    parser.add_argument("--loop", action="store_true", help="begin again at the end of the file")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
