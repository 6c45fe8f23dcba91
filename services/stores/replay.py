"""What was kept on disk while Redis was down, told to Redis when it is back, in the order in which it happened."""

from __future__ import annotations

from typing import Final

import structlog
from msgspec import Struct

from managers.redis.client import RedisManager, RedisReplyError
from runtime.waiting import Progress
from services.stores.local_store import LocalStore, LoggedOperation
from services.stores.operations import Operation, ScriptCall, Transaction

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_PAGE: Final = 200
_NOT_ABOUT_THE_OPERATION: Final = frozenset({"NOAUTH", "NOPERM", "WRONGPASS", "DENIED", "MOVED", "ASK", "CROSSSLOT"})
"""Redis refuses us, or is not the one we need, not what was asked: the next operation would fare no better."""


class Replayed(Struct, frozen=True, kw_only=True):
    executed: int
    refused: int


async def replay(store: LocalStore, redis: RedisManager, *, progress: Progress = lambda: None) -> Replayed:
    """Execute the log until it is empty, one operation after the other, each script as it was when it was written down.

    An operation is forgotten after it was executed, so it may be executed again when this was interrupted, by
    `RedisUnavailableError` or by a kill: just call it again. What Redis refuses for good is put aside and logged.
    """
    executed = refused = 0
    while page := await store.first(_PAGE):
        progress()
        done_up_to: int | None = None
        try:
            for logged in page:
                reason = await _execute(logged.operation, redis)
                if reason is None:
                    executed += 1
                else:
                    refused += 1
                    await _set_aside(store, logged, reason)
                done_up_to = logged.position
        finally:
            if done_up_to is not None:
                await store.forget(done_up_to)
    return Replayed(executed=executed, refused=refused)


async def _execute(operation: Operation | None, redis: RedisManager) -> str | None:
    """Return why it can never be executed, or `None` when it was."""
    try:
        match operation:
            case Transaction(commands=commands):
                await redis.transaction([tuple(command) for command in commands])
            case ScriptCall(script=script, keys=keys, args=args):
                await redis.script(script, keys, args)
            case None:
                return "unreadable"
    except RedisReplyError as error:
        if error.code in _NOT_ABOUT_THE_OPERATION:
            raise
        return str(error)
    return None


async def _set_aside(store: LocalStore, logged: LoggedOperation, reason: str) -> None:
    await store.refuse(logged.position, reason)
    operation = logged.operation
    kind = operation.script.name if isinstance(operation, ScriptCall) else type(operation).__name__
    log.error("operation_refused", position=logged.position, kind=kind, reason=reason)
