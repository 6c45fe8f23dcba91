"""Lists as people type them: `cat, "white dog", -inu`, where `-` excludes; for choices and for words.

Commas, semicolons and line breaks part the items; quotes keep them, and spaces, in one item, and a quote within
quotes is typed twice. `no inu` may mean `-inu`, or the two words: only `"no inu"` is surely those (`wording.py`).
What was typed is kept for showing, but for what cannot be seen and runs of spaces; words are
compared by `compared_word`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from domain.filters.registry import Choice, Words
from domain.filters.values import Known, Names
from domain.filters.wording import Typed, as_said, has_space, readings, says_no
from domain.reading.typed import DASHES, MAX_TYPED, NOTHING, Unsure, clip
from domain.reading.visible import compared_word, visible

MAX_WORDS: Final = 20
MAX_WORD_LENGTH: Final = 50
MAX_CHOICES: Final = 100
MAX_CHOICE_LENGTH: Final = 64

_BREAKS: Final = re.compile(r"[\r\n\u2028\u2029]+")
_QUOTES: Final = str.maketrans(dict.fromkeys("“”„‟«»″＂", '"'))
_SEPARATORS: Final = ",;，、；،؛"
_ITEM: Final = re.compile(
    rf' ?(?P<dash>[{DASHES}]?) ?(?:"(?P<quoted>(?:[^"]|"")*)" ?(?=[{_SEPARATORS}]|$)|(?P<bare>[^{_SEPARATORS}]*))'
    rf"(?:[{_SEPARATORS}]|$)"
)
_STRAY: Final = re.compile(rf"[{_SEPARATORS}] ?[{DASHES}] ?(?:[{_SEPARATORS}]|$)")
"""A dash that excludes nothing."""


class Unreadable(Exception):  # noqa: N818 - never leaves this room
    """Carries the key of the error to show; what was typed and expected is added at the top."""

    def __init__(self, key: str, **arguments: object) -> None:
        super().__init__(key)
        self.key = key
        self.arguments = arguments


class Items(Struct, frozen=True):
    """Distinct items in the order they were typed."""

    included: tuple[str, ...]
    excluded: tuple[str, ...]


def read_list(text: str) -> Items:
    """The items of a text of at most `MAX_TYPED` characters; never fails, empty items are left out."""
    return _listed((item.text, item.is_excluded) for item in _parts(text))


def _listed(items: Iterable[tuple[str, bool]]) -> Items:
    included: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for text, is_excluded in items:
        (excluded if is_excluded else included)[text] = None
    return Items(tuple(included), tuple(excluded))


def _parts(text: str) -> Iterator[Typed]:
    for found in _ITEM.finditer(visible(_BREAKS.sub(",", text[:MAX_TYPED].translate(_QUOTES)))):
        quoted = found["quoted"]
        typed = (found["bare"] if quoted is None else quoted.replace('""', '"')).strip()
        if typed:
            yield Typed(typed, bool(found["dash"]), quoted is not None)


def show_list(included: Iterable[str], excluded: Iterable[str]) -> str:
    """`cat, "one, two", -inu`; `read_list` reads it back. Empty for no item."""
    return ", ".join([*map(_quoted, included), *("-" + _quoted(item) for item in excluded)])


def _quoted(item: str) -> str:
    if (
        any(sign in item for sign in _SEPARATORS)
        or item[0] in DASHES + '"'
        or item.lower() in NOTHING
        or has_space(item)
    ):
        return '"' + item.replace('"', '""') + '"'
    return item


def read_choice(text: str, known: Iterable[Known] = (), *, in_lower_case: bool) -> Choice | None:
    """A value gets the name by which it is known; launchpads and exchanges are in lower case. Raises `Unreadable`.

    `solana only` and `no base` are read as they are meant.
    """
    if _items(text, MAX_CHOICES, MAX_CHOICE_LENGTH) is None:
        return None
    names = Names(known)
    items = _listed(said for item in _parts(text) for said in as_said(item, lambda name: names.find(name) is not None))

    def named(item: str) -> str:
        return names.find(item) or (item.lower() if in_lower_case else item)

    included, excluded = (frozenset(map(named, some)) for some in (items.included, items.excluded))
    _refuse_contradiction(included, excluded)
    return Choice(included, excluded)


def read_words(text: str) -> Words | None:
    """Words are compared by `compared_word`: of those that are alike the first counts.

    Raises `Unreadable`, and `Unsure` where words may be a phrase, or be meant to be excluded.
    """
    items = _items(text, MAX_WORDS, MAX_WORD_LENGTH)
    if items is None:
        return None
    typed = [*_parts(text)]
    if any(item.is_open for item in typed):
        meant = [_listed(read) for read in readings(typed)]
        shown = [show_list(one.included, one.excluded) for one in meant if _fits(one)]
        if len(shown) > 1:
            raise Unsure("list.which" if says_no(typed) else "list.words", shown)
    included, excluded = ({compared_word(word): word for word in reversed(some)} for some in items)
    _refuse_contradiction(included.keys(), excluded.keys())
    return Words(tuple(reversed(included.values())), tuple(reversed(excluded.values())))


def _fits(items: Items) -> bool:
    both = items.included + items.excluded
    return len(both) <= MAX_WORDS and all(len(item) <= MAX_WORD_LENGTH for item in both)


def _items(text: str, largest: int, longest: int) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    if len(text) > MAX_TYPED:
        raise Unreadable("list.too_many", largest=largest)
    if visible(text).lower() in NOTHING:
        return None
    items = read_list(text)
    both = items.included + items.excluded
    if not both:
        raise Unreadable("list.unreadable")
    if len(both) > largest:
        raise Unreadable("list.too_many", largest=largest)
    if _STRAY.search(visible(text)):
        raise Unreadable("list.stray")
    too_long = next((item for item in both if len(item) > longest), None)
    if too_long is not None:
        raise Unreadable("list.too_long", item=clip(too_long), largest=longest)
    return items.included, items.excluded


def _refuse_contradiction(included: AbstractSet[str], excluded: AbstractSet[str]) -> None:
    both = included & excluded
    if both:
        raise Unreadable("list.contradiction", item=min(both))
