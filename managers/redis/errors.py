"""What can go wrong with Redis, split by what it says about the server.

The word at the head of an error reply decides, wherever a version puts it: Redis 6.2 wraps what stopped a script into
`ERR Error running script (call to f_…): @user_script:3: @user_script: 3: -OOM …`, EXEC answers `EXECABORT Transaction
discarded because of: …`. Only a word that is known to be about what was asked says that asking again cannot help; one
that nobody has documented (a proxy before Redis, a version to come) leaves the outcome open, and is tried again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import Final

from redis import exceptions as errors

from runtime.cancellation import stop_if_cancelled
from runtime.errors import FatalError, TransientError

_NOT_EVEN_PING: Final = frozenset({"LOADING", "BUSY", "MISCONF", "MASTERDOWN"})
"""A server that says this to a command says it to PING too."""
_NOT_THIS_NOW: Final = frozenset(
    {
        "READONLY",  # a replica: it was the leader before, or will be
        "UNBLOCKED",  # the leader became a replica during a blocked read, or CLIENT UNBLOCK
        "REDIRECT",  # as READONLY, with the address of the leader
        "NOMASTERLINK",
        "NOREPLICAS",
        "INPROG",  # a fail-over is under way
        "OOM",
        "IOERR",
        "CLUSTERDOWN",
        "TRYAGAIN",
    }
)
_ABOUT_WHAT_WAS_ASKED: Final = frozenset(
    {
        "ERR",
        "WRONGTYPE",
        "NOSCRIPT",
        "EXECABORT",
        "NOGROUP",
        "BUSYGROUP",
        "BUSYKEY",
        "NOSUB",
        "NOTBUSY",
        "UNKILLABLE",
        "INVALIDOBJ",
        "NOPROTO",
        # Who we are and where we asked: nothing but a change of the settings helps.
        "NOAUTH",
        "NOPERM",
        "WRONGPASS",
        "DENIED",
        "MOVED",
        "ASK",
        "CROSSSLOT",
    }
)
ELSEWHERE: Final = frozenset({"READONLY", "UNBLOCKED", "REDIRECT", "NOMASTERLINK", "MASTERDOWN"})
"""The leader may be another server by now: the same address, asked anew, leads there."""

_NESTED: Final = re.compile(r"(?:@\w+: ?\d+: |because of: |call to \w+\): )-?(?P<reply>[A-Z]{2,} .*)\Z", re.DOTALL)
"""A reply within a reply; greedy in what comes before it, so that the innermost is found."""
_STOPPED_A_SCRIPT: Final = "Error running script"
_NO_PERMISSION: Final = re.compile(r"ACL failure in script|user executing the script can't")
_KILLED: Final = "Script killed by user"
_TOO_MANY_CLIENTS: Final = "max number of clients"
_PROXY_CANNOT: Final = tuple(
    map(
        os.strerror,
        (
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.ETIMEDOUT,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.EPIPE,
        ),
    )
)
"""What a proxy such as twemproxy puts behind ERR when it cannot reach the server."""


class RedisUnavailableError(TransientError):
    """No answer, or "not now". Whether the command was executed is not known."""


class RedisTimeoutError(RedisUnavailableError):
    """No answer in time: every further question would cost as long."""


class RedisNotServingError(RedisUnavailableError):
    """It answers, and says to every question, even to PING, that it cannot serve: `code` is its word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RedisBusyError(RedisUnavailableError):
    """It answers, and refuses this command for now (a full memory, a replica, no free connection of ours)."""


class RedisReplyError(FatalError):
    """Redis refuses what it was asked; asking again cannot help. `code` is its word, like `WRONGTYPE`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: Exception) -> str:
    """Return the word that an error reply is about, `ERR` where it has none of its own."""
    status: str | None = getattr(error, "status_code", None)
    message = str(error)
    return _code_in(f"{status} {message}" if status else message)


def _code_in(reply: str) -> str:
    code, _, text = reply.partition(" ")
    if (code == "EXECABORT" or text.startswith(_STOPPED_A_SCRIPT)) and (nested := _NESTED.search(text)):
        return _code_in(nested["reply"])
    if code != "ERR":
        return code
    if _NO_PERMISSION.search(text):
        return "NOPERM"
    if _KILLED in text or text.startswith(_PROXY_CANNOT):
        return "TRYAGAIN"
    return code


def meaning_of(error: Exception, own_codes: Collection[str] = ()) -> RedisUnavailableError | RedisReplyError:
    """Return our error for an error reply. `own_codes`: what the script that was run may answer itself."""
    code = code_of(error)
    if _TOO_MANY_CLIENTS in str(error):
        return RedisUnavailableError(f"Redis takes no more connections: {error}")
    if code in _NOT_EVEN_PING:
        return RedisNotServingError(code, f"Redis cannot serve now ({code}): {error}")
    if code in _ABOUT_WHAT_WAS_ASKED or code in own_codes:
        return RedisReplyError(code, f"Redis refuses ({code}): {error}")
    if code in _NOT_THIS_NOW:
        return RedisBusyError(f"Redis cannot serve now ({code}): {error}")
    return RedisBusyError(f"Redis, or what answers for it, says something unknown ({code}): {error}")


@contextmanager
def wrapped_errors(own_codes: Collection[str] = ()) -> Generator[None]:
    """Turn the driver's errors into ours, keeping the cause. A cancellation that the driver swallowed is raised."""
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError
    except (errors.AuthenticationError, errors.AuthorizationError) as error:
        # A subclass of redis-py's ConnectionError, but no waiting mends a wrong password.
        code = code_of(error)
        raise RedisReplyError("NOAUTH" if code == "ERR" else code, f"Redis refuses the credentials: {error}") from error
    except (errors.TimeoutError, TimeoutError) as error:
        stop_if_cancelled()
        raise RedisTimeoutError(f"Redis does not answer: {error}".removesuffix(": ")) from error
    except errors.BusyLoadingError as error:  # a ConnectionError in redis-py, and an answer all the same
        stop_if_cancelled()
        raise meaning_of(error) from error
    except (errors.ConnectionError, errors.InvalidResponse, OSError) as error:
        stop_if_cancelled()
        raise RedisUnavailableError(f"Redis is unavailable: {error}") from error
    except errors.RedisError as error:
        raise meaning_of(error, own_codes) from error
