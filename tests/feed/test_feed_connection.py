"""A message is offered where it is read; what is not taken there comes to whoever waits, and all of it in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from domain.calls.events import Call
from managers.feed.connection import FeedConnection
from managers.feed.sources.pumpportal import PumpPortalSource
from managers.feed.websocket import WebSocketManager
from tests.feed.support import address, scripted


async def received(sent: Sequence[list[str]], takes: Sequence[bool]) -> tuple[list[str], int]:
    """What arrives of messages in fragments, and how many were taken where they were read."""

    async def attend(socket: ServerConnection) -> None:
        await socket.recv()
        for fragments in sent:
            await socket.send(iter(fragments) if len(fragments) > 1 else fragments[0])
        await socket.wait_closed()

    arrived: list[str] = []
    answers = iter([*takes, *[False] * len(sent)])
    taken = 0

    def take(message: bytes) -> bool:
        nonlocal taken
        if not next(answers):
            return False
        arrived.append(message.decode())
        taken += 1
        return True

    async with (
        serve(attend, "127.0.0.1", 0) as server,
        connect(
            f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", create_connection=FeedConnection, proxy=None
        ) as socket,
    ):
        assert isinstance(socket, FeedConnection)
        socket.offer = take
        await socket.send("begin")
        while len(arrived) < len(sent):
            reading = asyncio.create_task(socket.next_message())
            while not reading.done() and len(arrived) < len(sent):  # the last ones may be taken
                await asyncio.wait([reading], timeout=0.01)
            if reading.done():
                arrived.append(reading.result().decode())
            else:
                reading.cancel()
    return arrived, taken


@given(data=st.data())
def test_every_message_arrives_once_and_in_order_whoever_takes_it(data: st.DataObject) -> None:
    numbers = count()
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
    sent = [[f"{next(numbers)}." for _ in range(size)] for size in sizes]
    takes = data.draw(st.lists(st.booleans(), max_size=12))
    arrived, taken = asyncio.run(received(sent, takes))
    assert arrived == ["".join(fragments) for fragments in sent]
    assert taken <= sum(takes)


async def test_who_takes_all_leaves_nothing_to_wait_for() -> None:
    sent = [[str(number)] for number in range(50)]
    assert await received(sent, [True] * 50) == ([str(number) for number in range(50)], 50)


async def test_an_error_in_taking_a_call_ends_the_feed() -> None:
    """The transport would log it and go on; a bot that cannot decide must not pretend to."""

    async def launch(socket: ServerConnection) -> None:
        for number in count(1):
            frame = {"mint": address(number), "txType": "create", "signature": str(number), "pool": "pump"}
            await socket.send(json.dumps(frame))
            await asyncio.sleep(0.005)

    def take(call: Call) -> bool:
        raise ZeroDivisionError(call.id)

    async def wait(_call: Call) -> None:
        """The first one comes before any is offered."""

    async with scripted(lambda _: [], after=launch) as server:
        source = PumpPortalSource(url=server.url, sol_price_usd=lambda: 165.0)
        manager = WebSocketManager(source=source, emit=wait, emit_now=take, resume_cursor=lambda: None)
        with pytest.raises(ZeroDivisionError, match="pp-"):
            await manager.run()
