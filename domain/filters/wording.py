"""Lists as people say them: `contains cat or dog`, `white dog`, `cat but not inu`. Each way to read one, as a list.

What stands in quotes, and a word alone, can be meant in one way. Of the rest each word may do by itself, or what stands
between such words as `or` is a phrase, or all of it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from domain.reading.typed import DASHES
from domain.reading.visible import compared_word

_NO: Final = r"(?:no|not|without|excluding|exclude|except|never)"
NEGATED: Final = re.compile(rf" *{_NO} +(?P<rest>\S.*)", re.IGNORECASE)
"""As people write what they do not want."""
_SAID: Final = (
    r"contains?|containing|includes?|including|has|having|with|or|and|like|(?:any|all|one) of|either|but|the words?"
)
_BETWEEN: Final = re.compile(rf"(?:^| )(?:{_SAID})(?= |$)| [|&/+]+(?= )| (?=[{DASHES}]\S)| (?={_NO} )", re.IGNORECASE)
"""What parts a list as it is said, and is no part of it."""


_ALL_BUT: Final = re.compile(
    r"(?:all|any|anything|everything)(?: \w+)? (?:but|except|besides)(?: for)? +(?P<rest>\S.*)", re.IGNORECASE
)
_ONLY: Final = re.compile(
    r"(?:(?:only|just|solely|nothing but)(?: on)? +)?(?P<rest>\S.*?)(?: +(?:only|alone))?", re.IGNORECASE
)
_AND: Final = re.compile(r" (?:and|or|nor|&|\|) (?:(?:no|not) )?", re.IGNORECASE)


class Typed(Struct, frozen=True):
    """One item as it was typed, without what parts it from the next one."""

    text: str
    is_excluded: bool
    is_quoted: bool

    @property
    def is_open(self) -> bool:
        """Whether it can be meant in several ways."""
        return not self.is_quoted and has_space(self.text)


Item = tuple[str, bool]
"""And whether it is excluded."""


def has_space(item: str) -> bool:
    return any(character.isspace() for character in item)


def says_no(items: Iterable[Typed]) -> bool:
    """Whether some of it may be what is not wanted, though no minus says so."""
    return any(excluded and not one.is_excluded for one in items if one.is_open for _, excluded in _segments(one))


def readings(items: Sequence[Typed]) -> Iterator[tuple[Item, ...]]:
    """Each way to read a list, the likeliest first; none with the same item wanted and excluded, and none empty."""
    ways = (_by_word, _segments, _whole)
    seen: set[tuple[Item, ...]] = set()
    for way in ways:
        read = tuple(item for one in items for item in (way(one) if one.is_open else _whole(one)))
        wanted, excluded = ({compared_word(text) for text, no in read if no == which} for which in (False, True))
        if read and read not in seen and not wanted & excluded:
            seen.add(read)
            yield read


def as_said(one: Typed, is_known: Callable[[str], bool]) -> Iterator[Item]:
    """Read `solana only`, `no base`, `all but eth or bsc`, where all of it is known; else as it stands."""
    text, excluded = one.text, one.is_excluded
    if not one.is_open or is_known(text):
        yield from _whole(one)
        return
    if found := _ALL_BUT.fullmatch(text) or NEGATED.fullmatch(text):
        text, excluded = found["rest"], True
    elif found := _ONLY.fullmatch(text):
        text = found["rest"]
    named = [part.strip() for part in _AND.split(text)]
    if all(map(is_known, named)):
        yield from ((part, excluded) for part in named)
    else:
        yield from _whole(one)


def _whole(one: Typed) -> Iterator[Item]:
    yield one.text, one.is_excluded


def _segments(one: Typed) -> Iterator[Item]:
    for part in _BETWEEN.split(one.text):
        text, excluded = part.strip(), one.is_excluded
        while found := NEGATED.fullmatch(text):
            text, excluded = found["rest"].strip(), True
        if text[:1] in DASHES:
            text, excluded = text[1:].strip(), True
        if text:
            yield text, excluded


def _by_word(one: Typed) -> Iterator[Item]:
    for text, excluded in _segments(one):
        for word in text.split():
            if word.strip(DASHES):
                yield word, excluded
