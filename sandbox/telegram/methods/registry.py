"""Methods of the Bot API: a parameter struct and a small function each.

To add one, write a `Params` struct and a function `(Cloud, params) -> result` under
`@method("name", Struct)` in one of the `methods_*` modules. The function raises `ApiError` to refuse;
its result is encoded as JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.methods.params import Params

P = TypeVar("P", bound=Params)
Function = Callable[[Cloud, P], Any]


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    params: type[Params]
    function: Callable[[Cloud, Any], Any | Awaitable[Any]]
    is_async: bool
    is_send: bool
    """Puts something into a chat, so a fault may swallow the answer after delivery."""


METHODS: dict[str, Method] = {}
"""By lower-case name: Telegram's method names are not case-sensitive."""


def method(name: str, params: type[P], *, is_send: bool = False) -> Callable[[Function[P]], Function[P]]:
    def register(function: Function[P]) -> Function[P]:
        METHODS[name.lower()] = Method(name, params, function, iscoroutinefunction(function), is_send)
        return function

    return register
