"""What every menu is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from domain.admins.controls import Feature
from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.filters.lists import show_list
from domain.filters.presets import Preset
from domain.filters.registry import FIELDS, Choice, FilterField, FilterSet, Rule, Words
from domain.filters.rules import show_rule
from handlers.conversation.base import Services, Turn
from runtime.errors import UserFacingError
from services.cards.names import Names
from texts.markup import MAX_CALLBACK_ANSWER_UTF16, Html, join, to_plain, utf16_length
from texts.renderer import Texts

LIST_BUDGET_UTF16 = 2_800
"""Room for a list of any length in a message of 4096 units."""
LISTED_UP_TO = 60
"""Characters for the items of a choice or of words at a glance; those beyond are counted."""

RULES_AT_A_GLANCE = 110
"""Characters for the rules of one filter among others."""

Keyboard = tuple[tuple[Button, ...], ...]


class View(Struct, frozen=True, kw_only=True):
    """Words in one language; everything a menu needs besides its data."""

    texts: Texts
    language: str
    preset: Callable[[str], Preset | None] = lambda _key: None
    """Finds one as it is now."""

    def html(self, key: str, /, **arguments: object) -> Html:
        return self.texts.render(key, self.language, **arguments)

    def plain(self, key: str, /, **arguments: object) -> str:
        return self.texts.plain(key, self.language, **arguments)

    def label(self, family: str, key: str) -> str:
        return self.texts.label(family, key, self.language)

    def button(self, key: str, data: CallbackData, /, **arguments: object) -> Button:
        return Button(text=self.plain(key, **arguments), data=data.pack())

    def rule(self, rule: Rule | None, field: FilterField) -> str:
        """A rule at a glance; of a long list as much as there is room for, and how many more there are."""
        full = self.full_rule(rule, field)
        if not isinstance(rule, Choice | Words) or len(full) <= LISTED_UP_TO:
            return full
        room = LISTED_UP_TO // 2 if rule.included and rule.excluded else LISTED_UP_TO
        wanted = self._some(_wanted(rule), room)
        unwanted = self._some([f"“{word}”" for word in _in_order(rule.excluded)], room)
        without = self.plain("value.without_words", words=unwanted) if unwanted else ""
        return ", ".join(part for part in (wanted, without) if part)

    def _some(self, items: Sequence[str], room: int) -> str:
        kept = len(items)
        while kept > 1 and len(", ".join(items[:kept])) > room:
            kept -= 1
        shown = ", ".join(items[:kept])
        return self.plain("value.and_more", items=shown, count=len(items) - kept) if kept < len(items) else shown

    def full_rule(self, rule: Rule | None, field: FilterField) -> str:
        """A rule with all that it lists; what it excludes says so."""
        if not isinstance(rule, Choice | Words) or not (rule.included or rule.excluded):
            return self.plain("value.any") if rule is None else show_rule(rule, field)
        wanted = ", ".join(_wanted(rule))
        if not rule.excluded:
            return wanted
        without = self.plain("value.without_words", words=", ".join(f"“{word}”" for word in _in_order(rule.excluded)))
        return f"{wanted}, {without}" if wanted else without

    def missing(self, rule: Rule) -> str:
        """What a rule does about a call without a value."""
        match rule.missing:
            case "fail":
                return self.plain("value.missing_fail")
            case "pass":
                return self.plain("value.missing_pass")
            case "wait":
                return self.plain("value.missing_wait", minutes=rule.wait_minutes)

    def set_name(self, filter_set: FilterSet) -> str:
        return Names(self.texts, self.preset).of_set(filter_set, self.language)

    def name(self, name: str) -> str:
        """Name a preset as it is called now, by its key; whatever is no key stays as it is."""
        return Names(self.texts, self.preset).of_preset(name, self.language)

    def preset_name(self, preset: Preset) -> str:
        return preset.name or self.label("preset", preset.key)

    def listed(self, lines: Iterable[Html], separator: str = "\n") -> Html:
        """As many lines as one message has room for, and how many were left out."""
        lines = tuple(lines)
        used = 0
        for position, line in enumerate(lines):
            used += utf16_length(to_plain(line)) + len(separator)
            if used > LIST_BUDGET_UTF16:
                more = self.html("list.more", count=len(lines) - position)
                return join(separator, (*lines[:position], more))
        return join(separator, lines)

    def rules(self, rules: Mapping[str, Rule]) -> Html:
        """Every rule in words, one line each, in the order of the registry."""
        return self.listed(
            self.html(
                "rule.line" if rules[field.key].missing == "fail" else "rule.line_missing",
                label=self.label("filter", field.key),
                value=self.rule(rules[field.key], field),
                missing=self.missing(rules[field.key]),
            )
            for field in FIELDS
            if field.key in rules
        ) or self.html("rule.none")

    def rules_short(self, rules: Mapping[str, Rule], room: int | None = None) -> str:
        """The rules on one line: whole ones, as many as there is `room` for, and how many more there are."""
        shown = [
            self.plain(
                "value.rule_or_unknown" if rules[field.key].missing == "pass" else "value.rule",
                label=self.label("filter", field.key),
                value=self.rule(rules[field.key], field),
            )
            for field in FIELDS
            if field.key in rules
        ]
        kept = len(shown)
        while room is not None and kept > 1 and len(", ".join(shown[:kept])) > room:
            kept -= 1
        more = [self.plain("value.more_rules", count=len(shown) - kept)] if kept < len(shown) else []
        return ", ".join((*shown[:kept], *more))


def _wanted(rule: Choice | Words) -> list[str]:
    """What a rule asks for; words in quotes, for they may be any: “nothing”, “any”."""
    if isinstance(rule, Words):
        return [f"“{word}”" for word in rule.included]
    return [show_list([item], ()) for item in _in_order(rule.included)]


def _in_order(items: frozenset[str] | tuple[str, ...]) -> Iterable[str]:
    """A choice is in alphabetical order, words in the order in which they were typed."""
    return sorted(items) if isinstance(items, frozenset) else items


def require_on(services: Services, feature: Feature) -> None:
    """Refuse (`UserFacingError`) what an admin has turned off."""
    if services.conversation.standing.is_off(feature):
        raise UserFacingError("maintenance.off")


def view_of(services: Services, turn: Turn) -> View:
    def preset(key: str) -> Preset | None:
        return services.subscribers.presets.get(key)

    return View(texts=services.conversation.texts, language=turn.language, preset=preset)


def message(*paragraphs: Html, keyboard: Keyboard = ()) -> Message:
    return Message(html=str(join("\n\n", (text for text in paragraphs if text))), keyboard=keyboard)


def lines(*parts: Html) -> Html:
    """Put under one another what there is to say."""
    return join("\n", (text for text in parts if text))


def as_toast(*parts: Html) -> str:
    """What there is to say when a button was tapped, the most telling first: as many lines of it as fit, whole."""
    shown = ""
    for line in (line for part in parts for line in to_plain(part).splitlines()):
        longer = "\n".join(text for text in (shown, line) if text)
        shown = longer if utf16_length(longer) <= MAX_CALLBACK_ANSWER_UTF16 else shown
    return shown


def in_rows(buttons: Iterable[Button], per_row: int) -> Keyboard:
    buttons = tuple(buttons)
    return tuple(buttons[start : start + per_row] for start in range(0, len(buttons), per_row))
