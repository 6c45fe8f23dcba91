"""`docs/filters.md`: every filter there is, from the registry and the texts that people read in the chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from domain.filters.registry import FIELDS, FilterField, Group, Unit
from domain.filters.values import Known
from texts.markup import to_plain
from texts.renderer import Texts

_HEAD: Final = """\
# Filters

<!-- Made by `make docs` from domain/filters/registry.py and texts/en: change it there. -->

A *filter* is a named list of rules over the fields below. A call passes when it meets every rule; a subscriber has
several filters, each on or off, and gets a call once when any of them passes; its card names those that did.
`/settings` changes them.

When a call does not say a value, the rule decides: *no alert* (at first), *let it pass*, or *wait* 5, 10, 15 or 60
minutes and look again when the value arrives. This holds of rules that only exclude as well: with `-inu` alone a token
that has no name yet brings no alert, until the rule says *let it pass*.
"""
_KINDS: Final[dict[Unit, str]] = {
    "usd": "range, US dollars",
    "percent": "range, percent",
    "change": "range, percent up or down",
    "multiple": "range, multiple",
    "ratio": "range, number",
    "count": "range, whole number",
    "duration": "range, time",
    "score": "range, 0 to 100",
    "flag": "yes or no",
    "choice": "list",
    "text": "words",
}


def filters_document() -> str:
    """Text of `docs/filters.md`. Raises `FatalError` for a field without a label or an explanation."""
    texts = Texts.load()
    texts.check(f"filter.{field.key}{part}" for field in FIELDS for part in ("", ".about"))
    return "\n".join((_HEAD, *_how_to_type(texts), *_known_values(texts), *_groups(texts)))


def _how_to_type(texts: Texts) -> Iterator[str]:
    yield "## How values are typed"
    yield ""
    yield "A range is `20k - 2M`, `20k -` or `>20k` (at least), `-2M` or `<2M` (at most); `any` takes the rule away."
    yield "Digits of every script are read alike, signs that cannot be seen are left out, and the answer shows what was"
    yield "understood. What can be meant in two ways is asked back: `20.000` (20 thousand, or 20), `10` for an age."
    yield ""
    yield "Words are looked for as a card shows the text: in any case, without what cannot be seen, in the name and in"
    yield "the symbol each for itself."
    yield ""
    yield "| Kind | In the chat |"
    yield "|---|---|"
    for unit in get_args(Unit):
        yield f"| {_KINDS[unit]} | {_cell(to_plain(texts.render(f'unit.{unit}')))} |"
    yield ""


def _known_values(texts: Texts) -> Iterator[str]:
    yield "## Known values"
    yield ""
    yield "What calls are known to say. A value that is not in the list may be kept, but whoever types it is asked:"
    yield "a rule on it alone lets nothing through. Spaces, dots, dashes and case do not matter."
    yield ""
    yield "| Filter | Value | Also typed as |"
    yield "|---|---|---|"
    for field in FIELDS:
        yield from (_value(texts, field, known) for known in field.known)
    yield ""


def _value(texts: Texts, field: FilterField, known: Known) -> str:
    aliases = ", ".join(f"`{alias}`" for alias in known.aliases)
    remark = " (no call here has it)" if known.elsewhere else ""
    return f"| {texts.label('filter', field.key)} | `{known.name}`{remark} | {aliases} |"


def _groups(texts: Texts) -> Iterator[str]:
    for group in get_args(Group):
        yield f"## {texts.label('group', group)}"
        yield ""
        yield to_plain(texts.render(f"group.{group}.about"))
        yield ""
        yield "| Filter | Key | Kind | For example | What it is |"
        yield "|---|---|---|---|---|"
        yield from (_row(texts, field) for field in FIELDS if field.group == group)
        yield ""


def _row(texts: Texts, field: FilterField) -> str:
    about = _cell(texts.plain(f"filter.{field.key}.about"))
    label = texts.label("filter", field.key)
    return f"| {label} | `{field.key}` | {_KINDS[field.unit]} | `{field.example}` | {about} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
