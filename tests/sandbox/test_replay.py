from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from websockets.asyncio.client import connect

from sandbox.feed.replay import ReplaySandbox, read_frames

ROOT = Path(__file__).parents[2]
RECORDING = Path(__file__).parents[1] / "feed" / "frames" / "pumpportal.jsonl"


async def test_lines_are_sent_as_they_stand_to_each_client_after_its_subscription():
    frames = read_frames(RECORDING)
    assert b"this is not json" in frames
    async with ReplaySandbox(frames) as feed:
        for _ in range(2):
            async with connect(feed.ws_url) as socket:
                assert feed.frames_sent % len(frames) == 0
                await socket.send("subscribe, please")
                await socket.send("and this")
                assert [await socket.recv(decode=False) for _ in frames] == frames
    assert feed.subscriptions == ["subscribe, please", "and this"] * 2
    assert feed.finished.is_set()


async def test_a_recording_can_go_round(tmp_path: Path):
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b'{"a":1}\n\n\xff\xfe\r\n')
    frames = read_frames(file)
    assert frames == [b'{"a":1}', b"\xff\xfe"]
    async with (
        ReplaySandbox(frames, frames_per_s=1_000, loop=True) as feed,
        connect(feed.ws_url, close_timeout=0.1) as socket,
    ):
        await socket.send("x")
        assert [await socket.recv(decode=False) for _ in range(5)] == [*frames, *frames, frames[0]]


async def test_it_runs_as_a_program():
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.feed.replay",
        str(RECORDING),
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert program.stdout is not None
        line = (await program.stdout.readline()).decode()
        assert line.startswith(f"{len(read_frames(RECORDING))} frames at ws://127.0.0.1:")
        async with connect(line.split()[-1], close_timeout=0.1) as socket:
            await socket.send("x")
            assert b"Successfully subscribed" in await socket.recv(decode=False)
    finally:
        program.terminate()
        await program.wait()
