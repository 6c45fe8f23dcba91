"""Names of variables that nobody reads: what somebody probably meant."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream
from msgspec import Struct

from runtime.errors import FatalError

_ALIKE: Final = 0.85
"""In the environment, which other programs share: only what can hardly be anything else."""
_ALIKE_IN_FILE: Final = 0.7
_OTHERS: Final = frozenset({"POSTGRES_PASSWORD"})
"""Not read by the bot, but rightly in `.env`: docker-compose.yml reads it there."""
_OTHERS_PREFIX: Final = ("COMPOSE_", "DOCKER_")


class Unread(Struct, frozen=True, kw_only=True):
    """A name that the bot does not read."""

    name: str
    where: str
    nearest: str | None
    """What the bot reads that looks most like it."""

    def __str__(self) -> str:
        if self.nearest is None:
            return f"{self.name} ({self.where}) is no variable of the bot: remove it, or see .env.example."
        return f"{self.name} ({self.where}) is no variable of the bot: did you mean {self.nearest}?"


def unread(known: Collection[str], environment: Iterable[str], file: Path) -> list[Unread]:
    """Find misspelt names in the environment, and in the file everything that is not `known`, whatever its case.

    `FatalError` when the file cannot be read.
    """
    names = {name.upper() for name in known}
    found = [
        Unread(name=name, where="environment", nearest=nearest)
        for name in environment
        if name.upper() not in names and (nearest := _nearest(name, names, _ALIKE))
    ]
    for name in dict.fromkeys(_names_in(file)):
        if name.upper() in names | _OTHERS or name.upper().startswith(_OTHERS_PREFIX):
            continue
        nearest = _of_the_same_words(name, names) or _nearest(name, names, _ALIKE_IN_FILE)
        found.append(Unread(name=name, where=str(file), nearest=nearest))
    return found


def _names_in(file: Path) -> Iterator[str]:
    logging.getLogger("dotenv").setLevel(logging.ERROR)  # it would warn of lines that are named here
    try:
        if not file.is_file():
            return
        with file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except UnicodeDecodeError as error:
        raise FatalError(f"{file} is not a text file in UTF-8: save it as one.") from error
    except OSError as error:
        raise FatalError(f"{file} cannot be read ({error.strerror}): change its owner or its mode.") from error
    for binding in bindings:
        if binding.error:
            raise FatalError(f"Line {binding.original.line} of {file} cannot be read: write NAME=value.")
        if binding.key:
            yield binding.key


def _nearest(name: str, names: Collection[str], alike: float) -> str | None:
    def likeness(known: str) -> float:
        return SequenceMatcher(None, name.upper(), known, autojunk=False).ratio()

    best = max(sorted(names), key=likeness)
    return best if likeness(best) >= alike else None


def _of_the_same_words(name: str, names: Collection[str]) -> str | None:
    """Find the shortest name that has all these words: `BOT_TOKEN` for `TELEGRAM_BOT_TOKEN`."""
    words = _words(name)
    fitting = [known for known in names if len(words) > 1 and words <= _words(known)]
    return min(fitting, key=lambda known: (len(known), known), default=None)


def _words(name: str) -> set[str]:
    return {word.removesuffix("S") for word in name.upper().split("_") if word}
