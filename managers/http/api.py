"""Asking HTTP APIs: within their limits, again where that helps, and not at all while they are down.

Only a GET is asked again, because it may safely happen twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import aiohttp
import stamina
from msgspec import Struct
from purgatory import AsyncCircuitBreakerFactory, ContextChanged, Event
from yarl import URL

from managers.http.answers import DeniedError, FailedError, RefusedError, Shape, TooManyError, UntrustedError, body_of
from managers.http.hosts import Host, HostCounts, HostHealth
from managers.http.once import once
from managers.http.request_budget import UNLIMITED, Limit, Room
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.redaction import without_keys

MIN_TIMEOUT_S: Final = 2.0
MAX_TIMEOUT_S: Final = 8.0
ATTEMPTS: Final = 3
FAILURES_IN_A_ROW: Final = 5
"""After so many a host is shut out."""

_FIRST_WAIT_S = 0.05
_JITTER_S = 0.2
_MAX_WAIT_S = 0.5
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
"""The deadline of the whole `get` bounds every attempt."""


class NotAskedError(TransientError):
    """The host was not asked: its limit is used up, or it is shut out. `again_in_s`: at the earliest."""

    def __init__(self, why: str, again_in_s: float) -> None:
        super().__init__(f"{why}; again in {again_in_s:.1f} s at the earliest")
        self.again_in_s = again_in_s


class NoAnswerError(FailedError):
    """Not within the time that there was."""


def is_told_by_host(error: TransientError) -> bool:
    """Whether the host's own lines in the log say so, once, so that nobody else has to at each request."""
    return isinstance(error, FailedError | DeniedError | TooManyError | NotAskedError)


class Request(Struct, frozen=True):
    method: str
    url: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: bytes | None = None


class APIRetryManager:
    """Requests to any number of hosts. Everything that can go wrong is a `TransientError`.

    `clock`: monotonic seconds.
    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._hosts: dict[str, Host] = {}
        self.share: Callable[[], float] = lambda: 1.0
        """How much of each limit is ours: other processes of the bot may ask the same hosts."""
        self._breakers = AsyncCircuitBreakerFactory(FAILURES_IN_A_ROW, math.inf, exclude=[RefusedError])
        self._breakers.add_listener(self._on_circuit)

    @property
    def counts(self) -> dict[str, HostCounts]:
        """By host, as `name` or `name:port`."""
        return {name: host.counts for name, host in self._hosts.items()}

    def health(self) -> dict[str, HostHealth]:
        return {name: host.health() for name, host in self._hosts.items()}

    def health_of(self, url: str) -> HostHealth:
        return self._host(url).health()

    def denied(self) -> dict[str, str]:
        """By host, why it does not let us in, or why we do not trust it."""
        return {name: host.denied for name, host in self._hosts.items() if host.denied}

    def let_in(self, name: str) -> bool:
        """Try a host that is shut out after failing at once, by its name; `False`: none of this name is."""
        return name in self._hosts and self._hosts[name].let_in()

    def welcome(self, url: str) -> bool:
        """Shut the host of `url` out no more: a connection to it has just been made. `False`: it was not."""
        name = URL(url).host_port_subcomponent or url
        return name in self._hosts and self._hosts[name].welcome()

    def limit(self, url: str, limit: Limit, *, is_guess: bool = False) -> None:
        """Declare what the host of `url` allows, before it is asked for the first time.

        A guess gives way: it is halved when the host says that it was too much, and grows back slowly.
        """
        self._host(url).budget.declare(limit, is_guess=is_guess)

    def counting(self) -> dict[str, list[float]]:
        """By host that has a limit: how long ago each request that counts against it now came there."""
        limited = {name: host.budget for name, host in self._hosts.items() if host.budget.limit is not UNLIMITED}
        return {name: ages for name, budget in limited.items() if (ages := budget.counting())}

    def note(self, counting: Mapping[str, Iterable[float]]) -> None:
        """Let what `counting` said in an earlier process count here, too, where a limit is declared."""
        for name, ages in counting.items():
            if name in self._hosts:
                self._hosts[name].budget.note(ages)

    def room(self, url: str) -> Room:
        """How much of its limit the host of `url` has left, and whether it may be asked at all."""
        return self._host(url).room()

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        attempts: int = ATTEMPTS,
        shape: Shape | None = None,
        says_too_many: Callable[[bytes], bool] | None = None,
    ) -> bytes | None:
        """Body of a 200, `None` for a 404; anything else is a `TransientError` that names what happened.

        With a `shape`, only the host's own word counts: a 200 that it reads, a 4xx that is empty or a JSON object. What
        is not so was answered by somebody else, and is a failure like no answer at all.

        `says_too_many`: for a host that says with a 200 what others say with a 429, whether this is such a body.

        `timeout_s`, 2 to 8, bounds all of it: every attempt and every wait between them. `NotAskedError` when the host
        may not be asked in that time.
        """
        if not MIN_TIMEOUT_S <= timeout_s <= MAX_TIMEOUT_S:
            raise ValueError(f"timeout_s is {timeout_s}, not within {MIN_TIMEOUT_S:g} to {MAX_TIMEOUT_S:g}")
        host = self._host(url)
        gives_up_at = asyncio.get_running_loop().time() + timeout_s
        retrying = stamina.retry_context(
            on=lambda error: _is_worth_a_retry(error, host, gives_up_at),
            attempts=attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_S,
            wait_jitter=_JITTER_S,
            wait_max=_MAX_WAIT_S,
        )
        try:
            async with asyncio.timeout_at(gives_up_at):
                async for attempt in retrying:
                    with attempt:
                        await _admit(host, gives_up_at)
                        host.counts.retries += attempt.num > 1
                        return await self._ask(host, Request("GET", url, params, headers), shape, says_too_many)
        except TimeoutError as error:
            raise NoAnswerError(f"no answer from {host.name} within {timeout_s:g} s") from error
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    async def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str] | None = None, timeout_s: float, shape: Shape
    ) -> bytes:
        """Body of a 200 or 201; anything else is a `TransientError` as in `get`.

        Asked once: whether a request without an answer was carried out, nobody knows.
        """
        host = self._host(url)
        gives_up_at = asyncio.get_running_loop().time() + timeout_s
        as_json = {"Content-Type": "application/json", **(headers or {})}
        try:
            async with asyncio.timeout_at(gives_up_at):
                await _admit(host, gives_up_at)
                answer = await self._ask(host, Request("POST", url, None, as_json, body), shape)
        except TimeoutError as error:
            raise NoAnswerError(f"no answer from {host.name} within {timeout_s:g} s") from error
        if answer is None:
            raise RefusedError(f"HTTP 404 from {host.name}")
        return answer

    async def _ask(
        self,
        host: Host,
        request: Request,
        shape: Shape | None,
        says_too_many: Callable[[bytes], bool] | None = None,
    ) -> bytes | None:
        host.counts.requests += 1
        with host.budget.slot() as slot:
            async with host.asking():
                try:
                    # A redirect would be a second request, perhaps to somebody else.
                    async with self._session.request(
                        request.method,
                        request.url,
                        params=request.params,
                        headers=request.headers,
                        data=request.body,
                        timeout=_NO_TIMEOUT,
                        allow_redirects=False,
                        middlewares=(once(),),
                    ) as response:
                        slot.arrived_by = self._clock()
                        return await body_of(
                            response, host=host.name, shape=shape, pause=host.pause, says_too_many=says_too_many
                        )
                except TooManyError:
                    host.budget.was_too_much(slot)
                    raise
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    stop_if_cancelled()
                    slot.was_used = not isinstance(error, aiohttp.ClientConnectorError)
                    slot.arrived_by = self._clock()  # on a broken connection nothing arrives later
                    if isinstance(error, aiohttp.ClientConnectorCertificateError):
                        why = getattr(error.certificate_error, "verify_message", error.certificate_error)
                        raise UntrustedError(f"its certificate is not valid: {why}"[:200]) from error
                    raise FailedError(without_keys(f"{type(error).__name__}: {error}")[:200]) from error

    def _host(self, url: str) -> Host:
        name = URL(url).host_port_subcomponent or url
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name, self._breakers, self._clock, self._own_share)
        return host

    def _own_share(self) -> float:
        return self.share()

    def _on_circuit(self, name: str, _kind: str, event: Event) -> None:
        if isinstance(event, ContextChanged):
            self._hosts[name].on_circuit(event.state)


def _is_worth_a_retry(error: Exception, host: Host, gives_up_at: float) -> bool:
    left_s = gives_up_at - asyncio.get_running_loop().time() - _MAX_WAIT_S
    return isinstance(error, FailedError | TooManyError) and host.breaker_open_s() == 0 and host.wait_s() < left_s


async def _admit(host: Host, gives_up_at: float) -> None:
    """Wait until the host may be asked. `NotAskedError` when that will not be in time."""
    while True:
        breaker_open_s = host.breaker_open_s()
        if breaker_open_s > 0:
            host.counts.refused_by_breaker += 1
            raise NotAskedError(f"{host.name} is shut out after failing ({host.last_problem})", breaker_open_s)
        wait_s = host.wait_s()
        if wait_s <= 0:
            return
        if asyncio.get_running_loop().time() + wait_s >= gives_up_at:
            host.counts.refused_by_budget += 1
            raise NotAskedError(f"the limit of {host.name} is used up", wait_s)
        await asyncio.sleep(wait_s)
