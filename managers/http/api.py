"""Asking HTTP APIs: within their limits, again where that helps, and not at all while they are down.

Only a GET is asked again, because it may safely happen twice.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import stamina
import structlog
from msgspec import Struct
from purgatory import AsyncCircuitBreakerFactory, ContextChanged, Event
from purgatory.domain.model import HALF_OPENED, OPENED, HalfOpenedState
from yarl import URL

from managers.http.answers import (
    DeniedError,
    FailedError,
    ForeignAnswerError,
    RefusedError,
    Shape,
    TooManyError,
    UntrustedError,
    body_of,
)
from managers.http.once import once
from managers.http.request_budget import UNLIMITED, Budget, Limit, Room, pause_s
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

MIN_TIMEOUT_S: Final = 2.0
MAX_TIMEOUT_S: Final = 8.0
ATTEMPTS: Final = 3
FAILURES_IN_A_ROW: Final = 5
"""After so many a host is shut out."""
BREAKER_OPEN_S: Final = 10.0
"""Then one request may try; the others wait for how it ends, or for as long again."""
SLOW_S: Final = 1.0
"""Who gives up after waiting so long for an answer says as much about the host as a time-out."""

_FIRST_WAIT_S = 0.05
_JITTER_S = 0.2
_MAX_WAIT_S = 0.5
_PAUSE_S = 2.0
"""After a 429 that does not say how long, from a host whose limit is not known."""
_MAX_PAUSE_S = 300.0
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
"""The deadline of the whole `get` bounds every attempt."""


class NotAskedError(TransientError):
    """The host was not asked: its limit is used up, or it is shut out. `again_in_s`: at the earliest."""

    def __init__(self, why: str, again_in_s: float) -> None:
        super().__init__(f"{why}; again in {again_in_s:.1f} s at the earliest")
        self.again_in_s = again_in_s


@dataclass(slots=True)
class HostCounts:
    requests: int = 0
    retries: int = 0
    """Those of `requests` that repeat an earlier one."""
    failures: int = 0
    """Those of `requests` that ended in a time-out, a broken connection, a 5xx or somebody else's answer."""
    foreign_answers: int = 0
    """Those of `failures` that were answered by somebody else."""
    breaker_opened: int = 0
    """How often the circuit breaker opened."""
    refused_by_budget: int = 0
    """Questions not asked because the host's limit was used up, by our count or by its own."""
    refused_by_breaker: int = 0


class Request(Struct, frozen=True):
    method: str
    url: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: bytes | None = None


class HostHealth(Struct, frozen=True, kw_only=True):
    host: str
    ok: bool
    again_in_s: float
    """0 when it may be asked now."""
    last_problem: str | None
    """`None` when the last answer was a good one."""


class _Host:
    """What is known of one host. purgatory counts the failures in a row.

    The time is told here: purgatory would take the wall clock's, which may be set back by hours.
    """

    def __init__(self, name: str, breakers: AsyncCircuitBreakerFactory, clock: Callable[[], float]) -> None:
        self.name = name
        self.counts = HostCounts()
        self.budget = Budget(clock)
        self.last_problem: str | None = None
        self.denied: str | None = None
        """Why it does not let us in, or why we do not trust it; `None` when the last answer says nothing of it."""
        self._breakers = breakers
        self._clock = clock
        self._paused_until = -math.inf
        self._breaker_open_until: float | None = None

    def health(self) -> HostHealth:
        again_in_s = max(self.breaker_open_s(), self.wait_s())
        return HostHealth(
            host=self.name, ok=self._breaker_open_until is None, again_in_s=again_in_s, last_problem=self.last_problem
        )

    def wait_s(self) -> float:
        """0 when its limit leaves room, else how long to wait at least."""
        return max(self.budget.wait_s(), self._paused_until - self._clock())

    def room(self) -> Room:
        again_in_s = max(self.breaker_open_s(), self.wait_s())
        if again_in_s > 0:
            return Room(0, again_in_s)
        is_trial = self._breaker_open_until is not None
        return Room(1 if is_trial else self.budget.free(), 0.0, is_trial)

    def breaker_open_s(self) -> float:
        return 0.0 if self._breaker_open_until is None else max(0.0, self._breaker_open_until - self._clock())

    def pause(self, headers: Mapping[str, str]) -> None:
        """Ask nothing for as long as the answer's headers say."""
        limit = self.budget.limit
        known = limit is not UNLIMITED
        said_s = pause_s(headers)
        if said_s is None:
            said_s = limit.period_s / limit.slots if known else _PAUSE_S
        # A window that is known is empty after its period, whatever the headers say.
        wait_s = min(said_s, limit.period_s if known else _MAX_PAUSE_S)
        self._paused_until = max(self._paused_until, self._clock() + wait_s)
        log.warning("api_paused", host=self.name, wait_s=wait_s)

    def let_in(self) -> bool:
        """Let one request try at once; `False`: it is not shut out."""
        if is_out := self._breaker_open_until is not None:
            self._breaker_open_until = self._clock()
        return is_out

    def on_circuit(self, state: str) -> None:
        if state == "opened":
            self._breaker_open_until = self._clock() + BREAKER_OPEN_S
            self.counts.breaker_opened += 1
            log.warning("api_breaker_open", host=self.name, wait_s=BREAKER_OPEN_S, reason=self.last_problem)
        elif state == "closed":
            self._breaker_open_until = None
            log.info("api_recovered", host=self.name)

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """Tell the breaker how the request inside ends; only while `breaker_open_s()` gives 0."""
        breaker = await self._breakers.get_breaker(self.name)
        tries = self._breaker_open_until is not None
        if tries:
            self._breaker_open_until = self._clock() + BREAKER_OPEN_S
            if breaker.context.state == OPENED:
                breaker.context.set_state(HalfOpenedState())
        started_at = self._clock()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(breaker)
            try:
                yield
                self.last_problem = self.denied = None
            except asyncio.CancelledError:
                if self._clock() - started_at >= SLOW_S:
                    self._note_failure("no answer in time")
                    raise
                stack.pop_all()  # that tells nothing about the host
                if tries and breaker.context.state == HALF_OPENED:
                    self._breaker_open_until = self._clock()
                raise
            except FailedError as error:
                self.denied = str(error) if isinstance(error, UntrustedError) else self.denied
                self.counts.foreign_answers += isinstance(error, ForeignAnswerError)
                self._note_failure(str(error))
                raise
            except TransientError as error:
                self.last_problem = str(error)
                self.denied = str(error) if isinstance(error, DeniedError) else None
                raise

    def _note_failure(self, problem: str) -> None:
        self.counts.failures += 1
        self.last_problem = problem


class APIRetryManager:
    """Requests to any number of hosts. Everything that can go wrong is a `TransientError`.

    `clock`: monotonic seconds.
    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._breakers = AsyncCircuitBreakerFactory(FAILURES_IN_A_ROW, math.inf, exclude=[RefusedError])
        self._breakers.add_listener(self._on_circuit)

    @property
    def counts(self) -> dict[str, HostCounts]:
        """By host, as `name` or `name:port`."""
        return {name: host.counts for name, host in self._hosts.items()}

    def health(self) -> dict[str, HostHealth]:
        return {name: host.health() for name, host in self._hosts.items()}

    def denied(self) -> dict[str, str]:
        """By host, why it does not let us in, or why we do not trust it."""
        return {name: host.denied for name, host in self._hosts.items() if host.denied}

    def let_in(self, name: str) -> bool:
        """Try a host that is shut out after failing at once, by its name; `False`: none of this name is."""
        return name in self._hosts and self._hosts[name].let_in()

    def limit(self, url: str, limit: Limit) -> None:
        """Declare what the host of `url` allows, before it is asked for the first time."""
        self._host(url).budget.limit = limit

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
    ) -> bytes | None:
        """Body of a 200, `None` for a 404; anything else is a `TransientError` that names what happened.

        With a `shape`, only the host's own word counts: a 200 that it reads, a 4xx that is empty or a JSON object. What
        is not so was answered by somebody else, and is a failure like no answer at all.

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
                        return await self._ask(host, Request("GET", url, params, headers), shape)
        except TimeoutError as error:
            raise TransientError(f"no answer from {host.name} within {timeout_s:g} s") from error
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
            raise TransientError(f"no answer from {host.name} within {timeout_s:g} s") from error
        if answer is None:
            raise RefusedError(f"HTTP 404 from {host.name}")
        return answer

    async def _ask(self, host: _Host, request: Request, shape: Shape | None) -> bytes | None:
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
                        return await body_of(response, host=host.name, shape=shape, pause=host.pause)
                except (aiohttp.ClientError, OSError, ValueError) as error:
                    stop_if_cancelled()
                    slot.was_used = not isinstance(error, aiohttp.ClientConnectorError)
                    slot.arrived_by = self._clock()  # on a broken connection nothing arrives later
                    if isinstance(error, aiohttp.ClientConnectorCertificateError):
                        why = getattr(error.certificate_error, "verify_message", error.certificate_error)
                        raise UntrustedError(f"its certificate is not valid: {why}"[:200]) from error
                    raise FailedError(f"{type(error).__name__}: {error}"[:200]) from error

    def _host(self, url: str) -> _Host:
        name = URL(url).host_port_subcomponent or url
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(name, self._breakers, self._clock)
        return host

    def _on_circuit(self, name: str, _kind: str, event: Event) -> None:
        if isinstance(event, ContextChanged):
            self._hosts[name].on_circuit(event.state)


def _is_worth_a_retry(error: Exception, host: _Host, gives_up_at: float) -> bool:
    left_s = gives_up_at - asyncio.get_running_loop().time() - _MAX_WAIT_S
    return isinstance(error, FailedError | TooManyError) and host.breaker_open_s() == 0 and host.wait_s() < left_s


async def _admit(host: _Host, gives_up_at: float) -> None:
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
