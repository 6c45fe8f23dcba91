"""Which calls a filter set asks for, by the definition, one after the other: what the index is held against.

`has_word` says the same of words once more, by looking at what a card shows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from domain.calls.events import Call
from domain.filters.explanation import explain
from domain.filters.registry import FIELDS, FilterField, FilterSet
from texts.sanitise import inert


def passes(filter_set: FilterSet, call: Call, fields: Sequence[FilterField] = FIELDS) -> bool:
    return explain(filter_set, call, fields).passed


def has_word(texts: Sequence[str], word: str) -> bool:
    """Whether one of the texts, as a card shows it, holds a word that can be seen."""
    return any(_shown(word) in _shown(text) for text in texts)


def _shown(text: str) -> str:
    plain = unicodedata.normalize("NFKC", inert(text, 4096, copyable=True)).casefold()
    return " ".join(unicodedata.normalize("NFKC", plain).split())
