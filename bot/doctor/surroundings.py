"""What `doctor` finds, and what it looks at without any connection: names of variables, and ports to listen on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import msgspec
from msgspec import Struct

from config.names import Unread
from config.settings import Settings, unread_names
from runtime.errors import BotError
from runtime.reasons import cannot_listen

Check = Callable[[], Awaitable[str]]
"""Returns what is well; raises a `BotError` that says what is not, and how to mend it."""

_ANSWER_WITHIN_S = 2.0
_READ_AT_MOST = 100_000


class Finding(Struct, frozen=True):
    part: str
    ok: bool
    sentence: str


class UnhealthyError(BotError):
    """What is wrong and how to mend it, in one sentence."""


def surroundings(settings: Settings) -> dict[str, Check]:
    http = Port(
        part="HTTP port",
        host=settings.http_host,
        number=settings.http_port,
        port_name="HTTP_PORT",
        host_name="HTTP_HOST",
        tells_health=True,
    )
    page = Port(part="chat page", host="127.0.0.1", number=settings.sandbox_port, port_name="SANDBOX_PORT", beside=http)
    ports = [http] if settings.has_real_telegram else [http, page]
    return {"variables": partial(_spelt, unread_names()), **port_checks(ports)}


async def _spelt(unread: Sequence[Unread]) -> str:
    """Name every variable that the bot does not read. Raises `UnhealthyError` when one of them is surely misspelt."""
    said = " ".join(map(str, unread))
    if any(one.nearest for one in unread):
        raise UnhealthyError(said)
    return said or "every name is one that the bot reads"


class Port(Struct, frozen=True, kw_only=True):
    """Where the bot listens; 0 is any free one, of which there is always one."""

    part: str
    host: str
    number: int
    port_name: str
    host_name: str | None = None
    tells_health: bool = False
    beside: Port | None = None
    """Where the same bot would tell how it is."""


def port_checks(ports: Iterable[Port]) -> dict[str, Check]:
    def check_of(port: Port) -> Check:
        async def check() -> str:
            return await _examine(port)

        return check

    return {port.part: check_of(port) for port in ports}


async def _examine(port: Port) -> str:
    if port.number == 0:
        return f"any free port ({port.port_name})"
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    try:
        with socket.create_server((port.host, port.number), family=family):
            return f"{port.host}:{port.number} is free"
    except OSError as error:
        if port.tells_health and await _is_a_bot(port):
            return f"A bot is running already on {port.host}:{port.number}: end it before you start another one."
        if port.beside and await _is_a_bot(port.beside):
            return f"{port.host}:{port.number} is taken, as it is while a bot runs"
        said = cannot_listen(
            error, host=port.host, port=port.number, port_name=port.port_name, host_name=port.host_name
        )
        raise UnhealthyError(said) from error


async def _is_a_bot(port: Port) -> bool:
    """Whether what listens there answers as this bot does."""
    request = f"GET /healthz HTTP/1.1\r\nHost: {port.host}:{port.number}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(port.host, port.number)
            writer.write(request.encode())
            answer = await reader.read(_READ_AT_MOST)
            while not reader.at_eof() and len(answer) < _READ_AT_MOST:
                answer += await reader.read(_READ_AT_MOST)
            writer.close()
        document = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=dict[str, object])
    except (OSError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return isinstance(document.get("ok"), bool)  # more is told only to who brings METRICS_TOKEN
