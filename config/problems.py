"""What is wrong with a value, in a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

HTTP_URL: Final = r"^https?://[^\s/]+\S*$"
WEB_SOCKET_URL: Final = r"^wss?://[^\s/]+\S*$"
REDIS_URL: Final = r"^(rediss?|unix)://\S+$"
POSTGRES_URL: Final = r"^postgres(ql)?://\S+$"
BASE58_KEY: Final = r"^[1-9A-HJ-NP-Za-km-z]{32,44}$"
EXPECTED: Final[Mapping[str, str]] = {
    HTTP_URL: "an address that begins with http:// or https://",
    WEB_SOCKET_URL: "an address that begins with ws:// or wss://",
    REDIS_URL: "an address such as redis://localhost:6379/0",
    POSTGRES_URL: "an address such as postgresql://user:password@localhost/bot",
    BASE58_KEY: "an address of Solana: 32 to 44 letters and digits, without 0, O, I and l",
}
"""By pattern: what it asks for."""
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_KINDS: Final[Mapping[str, str]] = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_SHOWN_LENGTH: Final = 40


def sentence(problem: ErrorDetails, secrets: Collection[str]) -> str:
    """Say which variable is wrong and what it must be; a value is shown unless the variable is among the `secrets`."""
    name = str(problem["loc"][0]).upper() if problem["loc"] else ""
    expected = _expected(problem)
    if expected is None:
        context = problem.get("ctx", {})
        said = str(context.get("error") or problem["msg"])
        return f"{name}: {said}" if name else said
    shown = f", not “{_shown(problem['input'])}”" if name.lower() not in secrets else ""
    each = "each of its values must" if len(problem["loc"]) > 1 else "it must"
    return f"{name}: {each} be {expected}{shown}"


def _expected(problem: ErrorDetails) -> str | None:
    kind, context = problem["type"], _context(problem)
    if kind == "string_pattern_mismatch":
        return EXPECTED.get(str(context["pattern"]), "written as .env.example shows it")
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {context[bound]:g}"
    return _KINDS.get(kind.partition("_")[0])


def _context(problem: ErrorDetails) -> dict[str, Any]:
    return problem.get("ctx", {})


def _shown(value: object) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
