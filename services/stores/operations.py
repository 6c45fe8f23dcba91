"""What is done at Redis on the way of an alert, and can be written down to be done there later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from managers.redis.scripts import Script


class Transaction(Struct, frozen=True, kw_only=True, tag="transaction"):
    """Commands for one MULTI. May be repeated."""

    commands: Sequence[Sequence[Any]]
    """Of bytes, str, int and float, like `managers.redis.client.Command`."""


class ScriptCall(Struct, frozen=True, kw_only=True):
    """A script with its keys and arguments. May be repeated."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]
    """Of bytes, str, int and float."""


Operation = Transaction | ScriptCall


class _LoggedCall(Struct, frozen=True, kw_only=True, tag="script"):
    """A `ScriptCall` as it is written down: the source stands elsewhere, once."""

    script: str
    """What it is called in the logs. Nothing is looked up by it: a later version may have no such script."""
    keys: Sequence[str]
    args: Sequence[Any]


def encoded(operation: Operation) -> bytes:
    """Return all of it but the source of its script.

    Later versions read what this one wrote: a field may come, with a default; none goes, none changes its meaning.
    """
    if isinstance(operation, Transaction):
        return msgspec.msgpack.encode(operation)
    logged = _LoggedCall(script=operation.script.name, keys=operation.keys, args=operation.args)
    return msgspec.msgpack.encode(logged)


def decoded(payload: bytes, source: str | None) -> Operation | None:
    """Read what `encoded` has written, with the source of its script; `None` when that cannot be."""
    try:
        logged = msgspec.msgpack.decode(payload, type=Transaction | _LoggedCall)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if isinstance(logged, Transaction):
        return logged
    return ScriptCall(script=Script(source, logged.script), keys=logged.keys, args=logged.args) if source else None
