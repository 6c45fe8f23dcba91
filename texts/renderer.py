"""What people read, by key and language: loaded and checked once at start, escaped here and nowhere else.

A text is a TOML string in Telegram HTML with placeholders. `{name}` takes anything from outside, cut to 64
UTF-16 units; `{name:200}` cuts at 200; `{name:html}` takes only what this renderer made itself;
`{count:call|calls}` is the word that fits the number, which stands beside it as `{count}`. A value directly
behind `<code>` is left as it is to copy: clients make nothing tappable there.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from msgspec import Struct

from runtime.errors import FatalError
from texts.markup import Html, MarkupError, cut, to_plain
from texts.sanitise import escape_outside

FALLBACK_LANGUAGE = "en"
DEFAULT_LIMIT_UTF16 = 64
TEXTS_DIRECTORY = Path(__file__).parent


class Placeholder(Struct, frozen=True):
    name: str
    limit_utf16: int | None
    """Longest shown value; `None` takes `Html` whole."""
    copyable: bool = False
    words: tuple[str, str] | None = None
    """Shown instead of the value: the first where it is 1."""


class Template(Struct, frozen=True):
    parts: tuple[str | Placeholder, ...]

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def arguments(self) -> frozenset[str]:
        return frozenset(placeholder.name for placeholder in self.placeholders)


class Texts:
    """Read-only. `load` raises `FatalError` with all problems of all files together."""

    def __init__(self, languages: Mapping[str, Mapping[str, Template]]) -> None:
        self._languages = languages
        self._fallback = languages[FALLBACK_LANGUAGE]

    @classmethod
    @cache
    def load(cls, directory: Path = TEXTS_DIRECTORY) -> Texts:
        """Read `<directory>/<language>/*.toml`, once in a process."""
        problems: list[str] = []
        languages: dict[str, dict[str, Template]] = {}
        for folder in sorted(path for path in directory.iterdir() if any(path.glob("*.toml"))):
            languages[folder.name] = _load_language(folder, problems)
        if FALLBACK_LANGUAGE not in languages:
            problems.append(f"{directory} has no texts in {FALLBACK_LANGUAGE!r}")
        if problems:
            raise FatalError("texts: " + "; ".join(problems))
        texts = cls(languages)
        texts.check()
        return texts

    def check(self, required: Iterable[str] = ()) -> None:
        """Refuse (`FatalError`) a required key without a text, and a language unlike the fallback."""
        problems = [f"no text {key!r}" for key in sorted(set(required) - set(self._fallback))]
        for language, texts in self._languages.items():
            problems += (
                f"{key!r} is not in every language (see {language!r})"
                for key in sorted(set(texts) ^ set(self._fallback))
            )
            problems += (
                f"{key!r} takes other arguments in {language!r}"
                for key in sorted(set(texts) & set(self._fallback))
                if texts[key].arguments != self._fallback[key].arguments
            )
        if problems:
            raise FatalError("texts: " + "; ".join(problems))

    def __contains__(self, key: object) -> bool:
        return key in self._fallback

    def __iter__(self) -> Iterator[str]:
        return iter(self._fallback)

    def template(self, key: str, language: str = FALLBACK_LANGUAGE) -> Template:
        """Find the text in a language, else in the fallback. Raises `KeyError`."""
        # "pt-br" is read by somebody who reads "pt".
        texts = self._languages.get(language) or self._languages.get(language.partition("-")[0], self._fallback)
        return texts.get(key) or self._fallback[key]

    def render(self, key: str, /, language: str = FALLBACK_LANGUAGE, **arguments: object) -> Html:
        """Fill in a text.

        Arguments that it does not name are ignored. Raises `KeyError` for a missing key or argument,
        `TypeError` for outside text where rendered text belongs and the other way round.
        """
        return Html(
            "".join(
                [
                    part if isinstance(part, str) else _fill(key, part, arguments[part.name])
                    for part in self.template(key, language).parts
                ]
            )
        )

    def plain(self, key: str, /, language: str = FALLBACK_LANGUAGE, **arguments: object) -> str:
        """Fill in a text for a button or a toast, where Telegram parses no HTML."""
        return to_plain(self.render(key, language, **arguments))

    def label(self, family: str, key: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Name what is declared elsewhere: `label("filter", "holders")`. Without a text, its key in words."""
        full_key = f"{family}.{key}"
        if full_key in self:
            return self.plain(full_key, language)
        return cut(key.replace("_", " ").strip().capitalize(), DEFAULT_LIMIT_UTF16)


def _fill(key: str, placeholder: Placeholder, value: object) -> str:
    if placeholder.words is not None:
        return placeholder.words[str(value) != "1"]
    if placeholder.limit_utf16 is None:
        if not isinstance(value, Html):
            raise TypeError(f"{key!r} takes only rendered text as {placeholder.name!r}")
        return value
    if isinstance(value, Html):
        raise TypeError(f"{key!r} would escape rendered text given as {placeholder.name!r}")
    return escape_outside(str(value), placeholder.limit_utf16, copyable=placeholder.copyable)


def _load_language(folder: Path, problems: list[str]) -> dict[str, Template]:
    templates: dict[str, Template] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{folder.name}/{path.name}: {error}")
            continue
        for key, text in document.items():
            where = f"{folder.name}/{path.name} {key!r}"
            if key in templates:
                problems.append(f"{where}: stands twice")
            if not isinstance(text, str):
                problems.append(f'{where}: is not a string (write the key in quotes: "a.b")')
                continue
            try:
                templates[key] = parse_template(text)
            except ValueError as error:
                problems.append(f"{where}: {error}")
    return templates


def parse_template(text: str) -> Template:
    """Parse a text with placeholders. Raises `ValueError` for one that could not be rendered and sent."""
    parts: list[str | Placeholder] = []
    for literal, name, spec, conversion in string.Formatter().parse(text.strip("\n")):
        if literal:
            parts.append(literal)
        if name is None:
            continue
        if not name.isidentifier() or conversion:
            raise ValueError(f"{{{name}}} is not a plain name")
        parts.append(_placeholder(name, spec or "", copyable=literal.endswith("<code>")))
    if not parts:
        raise ValueError("is empty")
    _check_markup(parts)
    return Template(tuple(parts))


def _placeholder(name: str, spec: str, *, copyable: bool) -> Placeholder:
    if "|" not in spec:
        return Placeholder(name, _limit(name, spec), copyable)
    words = spec.split("|")
    if len(words) != 2 or not all(words) or set(spec) & set("<>&"):  # noqa: PLR2004
        raise ValueError(f"{{{name}:{spec}}} should be two words, for one and for several")
    return Placeholder(name, DEFAULT_LIMIT_UTF16, words=(words[0], words[1]))


def _limit(name: str, spec: str) -> int | None:
    if spec == "html":
        return None
    if spec and not (spec.isdecimal() and int(spec) > 0):
        raise ValueError(f"{{{name}:{spec}}} should end in a length or in html")
    return int(spec or DEFAULT_LIMIT_UTF16)


def _check_markup(parts: Iterable[str | Placeholder]) -> None:
    # A value inside a tag would need other rules of escaping; the probe makes such a tag unparsable.
    probe = "".join(part if isinstance(part, str) else '&lt;"' for part in parts)
    try:
        to_plain(probe)
    except MarkupError as error:
        raise ValueError(str(error)) from error
