"""What can go wrong with Redis, split by what it says about the server."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from redis import exceptions as errors

from domain.errors import FatalError, TransientError
from managers.cancellation import stop_if_cancelled

_NOT_EVEN_PING = frozenset({"LOADING", "BUSY", "MISCONF", "MASTERDOWN"})
"""A server that says this to a command says it to PING too."""
_NOT_THIS_NOW = frozenset({"READONLY", "OOM", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"})


class RedisAwayError(TransientError):
    """No answer, or "not now". Whether the command was executed is not known."""


class RedisTimeoutError(RedisAwayError):
    """No answer in time: every further question would cost as long."""


class RedisNotNowError(RedisAwayError):
    """It answers, and refuses this command for now (a full memory, a replica, no free connection of ours)."""


class RedisReplyError(FatalError):
    """Redis refuses what it was asked; asking again cannot help. `code` is its word, like `WRONGTYPE`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def wrapped_errors() -> Generator[None]:
    """Turn the driver's errors into ours, keeping the cause. A cancellation that the driver swallowed is raised."""
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError
    except (errors.AuthenticationError, errors.AuthorizationError) as error:
        # A subclass of redis-py's ConnectionError, but no waiting mends a wrong password.
        raise RedisReplyError("NOAUTH", f"Redis refuses the credentials: {error}") from error
    except (errors.TimeoutError, TimeoutError) as error:
        stop_if_cancelled()
        raise RedisTimeoutError(f"Redis does not answer: {error}") from error
    except (errors.ConnectionError, errors.InvalidResponse, OSError) as error:
        stop_if_cancelled()
        raise RedisAwayError(f"Redis is away: {error}") from error
    except errors.RedisError as error:
        code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
        if code in _NOT_EVEN_PING:
            raise RedisAwayError(f"Redis cannot serve now ({code}): {error}") from error
        if code in _NOT_THIS_NOW:
            raise RedisNotNowError(f"Redis cannot serve now ({code}): {error}") from error
        raise RedisReplyError(str(code), f"Redis refuses ({code}): {error}") from error
