"""What is known of one host: how it has answered, how often it may be asked, and whether it is shut out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from msgspec import Struct
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, ClosedState, HalfOpenedState

from managers.http.answers import DeniedError, FailedError, ForeignAnswerError, UntrustedError
from managers.http.failing import Failing
from managers.http.request_budget import UNLIMITED, Budget, Room, pause_s
from runtime.errors import TransientError

log = structlog.get_logger(__name__)

BREAKER_OPEN_S: Final = 10.0
"""Then one request may try; the others wait for how it ends, or for as long again."""
SLOW_S: Final = 1.0
"""Who gives up after waiting so long for an answer says as much about the host as a time-out."""

_PAUSE_S = 2.0
"""After a 429 that does not say how long, from a host whose limit is not known."""
_MAX_PAUSE_S = 300.0


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


class HostHealth(Struct, frozen=True, kw_only=True):
    host: str
    ok: bool
    again_in_s: float
    """0 when it may be asked now."""
    last_problem: str | None
    """`None` when the last answer was a good one."""
    failing_for_s: float = 0.0
    """From the first failure since the last good answer to the last one."""
    answered_s_ago: float | None = None
    requests: int = 0
    """Since the start."""
    used: int = 0
    """Of its limit."""
    is_denied: bool = False


class Host:
    """What is known of one host. purgatory counts the failures in a row.

    The time is told here: purgatory would take the wall clock's, which may be set back by hours.
    """

    def __init__(
        self,
        name: str,
        breakers: AsyncCircuitBreakerFactory,
        clock: Callable[[], float],
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`share`: how much of its limit is ours."""
        self.name = name
        self.counts = HostCounts()
        self.budget = Budget(clock, share)
        self.last_problem: str | None = None
        self.denied: str | None = None
        """Why it does not let us in, or why we do not trust it; `None` when the last answer says nothing of it."""
        self._breakers = breakers
        self._clock = clock
        self.failing = Failing()
        self._is_shut_out = False
        """It was said so."""
        self._paused_until = -math.inf
        self._breaker_open_until: float | None = None

    def health(self) -> HostHealth:
        again_in_s = max(self.breaker_open_s(), self.wait_s())
        answered_at = self.failing.answered_at
        return HostHealth(
            host=self.name,
            ok=self._breaker_open_until is None,
            again_in_s=again_in_s,
            last_problem=self.last_problem,
            failing_for_s=self.failing.for_s,
            answered_s_ago=None if answered_at is None else self._clock() - answered_at,
            requests=self.counts.requests,
            used=self.budget.used(),
            is_denied=self.denied is not None,
        )

    def wait_s(self) -> float:
        """0 when its limit leaves room, else how long to wait at least."""
        return max(self.budget.wait_s(), self._paused_until - self._clock())

    def room(self) -> Room:
        again_in_s = max(self.breaker_open_s(), self.wait_s())
        if again_in_s > 0:
            return Room(0, again_in_s, used=self.budget.used())
        is_trial = self._breaker_open_until is not None
        return Room(1 if is_trial else self.budget.free(), 0.0, is_trial, self.budget.used())

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
        write = log.debug if self.failing.count else log.warning
        write("api_paused", host=self.name, wait_s=wait_s)

    def let_in(self) -> bool:
        """Let one request try at once; `False`: it is not shut out."""
        if is_out := self._breaker_open_until is not None:
            self._breaker_open_until = self._clock()
        return is_out

    def welcome(self) -> bool:
        """Let everybody ask at once: somebody else has just seen that it is there. `False`: it is not shut out."""
        is_out, self._breaker_open_until = self._breaker_open_until is not None, None
        if is_out:
            log.info("api_welcome", host=self.name)
        return is_out

    def on_circuit(self, state: str) -> None:
        if state == "opened":
            self._breaker_open_until = self._clock() + BREAKER_OPEN_S
            self.counts.breaker_opened += 1
            write, self._is_shut_out = log.debug if self._is_shut_out else log.warning, True
            write("api_breaker_open", host=self.name, wait_s=BREAKER_OPEN_S, reason=self.last_problem)
        elif state == "closed":
            self._breaker_open_until, self._is_shut_out = None, False
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
        elif breaker.context.state != CLOSED:  # it was welcome since
            breaker.context.set_state(ClosedState())
        started_at = self._clock()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(breaker)
            try:
                yield
                self.last_problem = self.denied = None
                self.failing.answered(self._clock())
            except asyncio.CancelledError:
                if self._clock() - started_at >= SLOW_S:
                    self._note_failure("no answer in time")
                    raise
                stack.pop_all()  # that tells nothing about the host
                if tries and breaker.context.state == HALF_OPENED:
                    self._breaker_open_until = self._clock()
                raise
            except FailedError as error:
                self.counts.foreign_answers += isinstance(error, ForeignAnswerError)
                self._note_denied(str(error) if isinstance(error, UntrustedError) else self.denied)
                self._note_failure(str(error))
                raise
            except TransientError as error:
                self._note_refusal(error)
                raise

    def _note_failure(self, problem: str) -> None:
        self.counts.failures += 1
        self.last_problem = problem
        self.failing.failed(self._clock())

    def _note_refusal(self, error: TransientError) -> None:
        self.last_problem = str(error)
        self.failing.failed(self._clock())
        self._note_denied(str(error) if isinstance(error, DeniedError) else None)

    def _note_denied(self, problem: str | None) -> None:
        if problem is not None and self.denied is None:
            log.warning("api_denied", host=self.name, reason=problem)
        self.denied = problem
