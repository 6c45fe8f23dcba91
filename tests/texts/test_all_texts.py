"""Every text at its longest, every key used, every key there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from domain.admins.controls import FEATURES, TOLD, WHOLE
from domain.admins.roles import ROLES
from domain.broadcasts.segments import SEGMENTS
from domain.delivery.policy import HoldReason, HoldsBack
from domain.filters.presets import load_presets
from domain.filters.registry import FIELDS
from domain.payments.amounts import METHODS
from domain.payments.invoices import STAGES, Ruling
from domain.payments.invoices import State as PaymentState
from domain.payments.plans import load_plans
from domain.payments.stars import Refusal
from domain.posts.reasons import NEAR_MISSES, REASONS
from domain.posts.understanding import Verdict as PostVerdict
from domain.subscribers.subscriber import ALL_BUTTONS, REPORTS, CardField, MessageKind
from domain.tracking.outcome import Ending
from domain.tracking.records import WINDOWS
from domain.watches.conditions import Side
from handlers.admin.payment_menus import ACTIONS
from handlers.admin.running.reading_menus import WHICH as LISTED
from handlers.conversation.routing import Topic
from handlers.payments.invoice_menus import NETWORKS, OWN_NAMES
from handlers.payments.ways import Way
from handlers.reports.menus import MINE, SUBJECTS
from services.broadcasts.rows import State as BroadcastState
from services.cards.sources import SOURCES
from services.channels.conditions import UNREADABLE
from services.channels.polling import CLOSED
from services.channels.resolving import CHAINS
from services.channels.rows import State as ChannelState
from services.export.contents import CONTENTS
from services.payments.notices import Settled
from services.payments.settling.search import Which
from services.payments.settling.settling import Verdict
from services.payments.solana_claims import Verdict as PastedVerdict
from services.reports.sending import SEGMENTS as REPORTED_TO
from services.running.channels import WHICH
from services.running.operating import PARTS
from services.statistics.statistics import WHATS
from services.subscribers.roster import State
from services.tracking.book import Measure
from services.tracking.records.corrections import ACTIONS as ACTIONS_OF_RECORDS
from services.watches.watches import Outcome
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_harmless, assert_sendable, parse, units
from texts import Texts
from texts.markup import Html
from texts.renderer import Placeholder

ROOT = Path(__file__).parents[2]
TEXTS = Texts.load()
PACKAGES = ("bot", "composition", "config", "domain", "handlers", "managers", "services", "web")
RENDERERS = {"because", "render", "plain", "html", "button", "text", "figure"}

KEY = re.compile(r"[a-z_]+(\.[a-z_]+)+(?<!\.toml)")


def family_of(key: str) -> str:
    return key.partition(".")[0]


FAMILIES = sorted({family_of(key) for key in TEXTS})
PLAIN_FAMILIES = ("button.", "help.", "user_state.", "value.")
PLAIN_LABELS = ("filter.", "preset.", "plan.")
DIFFERENCES = (
    *("not_recorded", "recorded_not_there", "amount", "not_credited", "unreadable", "unavailable"),
    *("refund_not_recorded", "refund_not_there"),
)
STATES = ("state", "their_state")
TYPED_SETTINGS = ("zone", "quiet", "level", "cap")
HTML_KEYS = {"help.title", "help.line"}
MAX_COMMAND_DESCRIPTION = 256
MAX_BUTTON = 64


def declared_elsewhere() -> set[str]:
    """Keys whose last part is the key of something declared as data; all of them are optional but these."""
    presets = [preset.key for preset in load_presets((ROOT / "config/presets.toml").read_text())]
    plans = load_plans((ROOT / "config/plans.toml").read_text())
    return {
        *(f"filter.{field.key}{about}" for field in FIELDS for about in ("", ".about")),
        *(f"preset.{key}{about}" for key in presets for about in ("", ".about")),
        *(f"{family}.{state}" for state in PaymentState.__args__ for family in ("payment", "invoices.state", "page")),
        *(f"payment.settled.{what}" for what in ("overpaid", *Settled.__args__)),
        *(f"invoices.state.{state}" for state in ("settled", "nothing")),
        *(f"plan.{key}" for key in ("free", "trial", *(plan.key for plan in plans.sold))),
        *(f"unit.{field.unit}" for field in FIELDS),
        *(f"exported.{content.name}" for content in CONTENTS),
        *(f"group.{field.group}{about}" for field in FIELDS for about in ("", ".about")),
        *(f"kind.{kind}" for kind in MessageKind.__args__),
        *(f"field.{field}" for field in CardField.__args__),
        *(f"button.{button}" for button in ALL_BUTTONS),
        *(
            f"{family}.{what}"
            for family in ("delivery.ask", "delivery.saved", "button.ask", "button.clear")
            for what in TYPED_SETTINGS
        ),
        *(f"button.snooze.{how_long}" for how_long in ("1h", "8h", "morning", "off")),
        *(f"report_name.{report}" for report in REPORTS),
        *(f"{family}.{subject}" for subject in SUBJECTS for family in ("report_about", "report.none")),
        *(f"chart.{part}.{subject}" for subject in SUBJECTS if subject != MINE for part in ("title", "note")),
        *(f"digest.title.{reason}" for reason in {*HoldReason.__args__} - {"kept"}),
        *(f"source.{source}" for source in SOURCES),
        *(f"card.{figure}" for figure in ("liquidity", "age", "holders", "price")),
        *(f"card.{share}" for share in ("lp", "top10", "developer", "snipers")),
        *(f"card.{flag}_{state}" for flag in ("mint", "freeze") for state in ("safe", "open")),
        *payments_admin(),
        *administration(),
        *running(),
        *listening(),
        *(f"value.died.{ending}" for ending in Ending.__args__ if ending != "age"),
        *(f"value.window.{window}" for window in WINDOWS),
        *(f"{family}.correct.{action}" for family in ("value", "button") for action in ACTIONS_OF_RECORDS),
        *(f"correct.ask.{measure}" for measure in Measure.__args__),
        *(f"button.way.{way}" for way in Way.__args__),
        *(f"paid.{verdict}" for verdict in PastedVerdict.__args__ if verdict != "recorded"),
        *(f"network.{network}" for network in NETWORKS),
        *(f"network.own.{network}" for network in OWN_NAMES),
        *(f"stars.refused.{reason}" for reason in Refusal.__args__),
        *(f"watch.{outcome}" for outcome in Outcome.__args__),
        *(f"watch.ask.{what}" for what in ("price", "market_cap")),
        *(f"watch.{what}_{side}" for what in ("price", "market_cap") for side in Side.__args__),
        *(f"{family}.{state}" for state in State.__args__ for family in ("state", "their_state", "user_state")),
        *(f"{said}.{reason}" for reason in (*HoldsBack.__args__, "no_filter", "disabled") for said in STATES),
    }


def administration() -> set[str]:
    return {
        *(f"{family}.{role}" for role in ROLES for family in ("role", "button.role")),
        *(f"topic.{topic}" for topic in Topic.__args__),
        *(f"segment.{segment}" for segment in SEGMENTS),
        *(f"broadcast_state.{state}" for state in BroadcastState.__args__),
        *(f"{family}.{what}" for what in WHATS for family in ("button.stats", "stats.title", "stats.y", "stats.note")),
        *(f"stats_way.{method}" for method in METHODS),
        *(f"stats_part.{part}" for part in ("sent", "digest", "not_sent")),
    }


def running() -> set[str]:
    return {
        *(f"{family}.{name}" for name in (*WHOLE, "feature") for family in ("maintenance.sure", "button.control_yes")),
        *(f"alarm.control.{name}" for name in TOLD),
        *(f"control.{name}" for name in (*WHOLE, "source")),
        *(f"feature.{name}" for name in FEATURES),
        *(f"sources.sure.{kind}" for kind in ("feed", "feed_without_past", "prices", "figures")),
        *(f"sources.{kind}" for kind in ("feed", "pages", "prices", "figures")),
        *(f"caches.key.{name}" for name in ("settings", "channels", "permissions", "media")),
        *(f"button.reconnect.{part}" for part in PARTS),
        *(f"{family}.{which}" for which in WHICH for family in ("channels_admin", "button.channels")),
        *(f"button.report.{segment}" for segment in REPORTED_TO),
    }


def listening() -> set[str]:
    problems = (*CLOSED, UNREADABLE)
    return {
        *(f"{family}.{which}" for which in LISTED for family in ("button.reading", "reading.title", "reading.none")),
        *(f"{family}.{problem}" for problem in problems for family in ("reading.problem", "alarm.channel")),
        *(f"reading.state.{state}" for state in ChannelState.__args__),
        *(f"post.not_read.{state}" for state in (*ChannelState.__args__, "first", "yet")),
        *(
            f"channel_is.{state}"
            for state in (*ChannelState.__args__, "calls", "muted", "blocked", "unread", "none_read")
            if state != "removed"
        ),
        *(f"token.left_out.{reason}" for reason in ("stable_coin", "wrapped_coin")),
        *(f"post.verdict.{verdict}" for verdict in PostVerdict.__args__),
        *(f"post_reason.{reason}" for reason in REASONS),
        *(f"alarm.silent.{reason}" for reason in NEAR_MISSES),
        *(f"chain.{chain}" for chain in (*CHAINS, "unknown")),
    }


def payments_admin() -> set[str]:
    by_family: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(("paying.ask", "button.pay_yes"), ACTIONS),
        "button.pay_action": ("refund", "returned"),
        "paying.type": ("dismiss", "returned"),
        "admin.may": ROLES,
    }
    return {
        *(f"{family}.{action}" for family, actions in by_family.items() for action in actions),
        *(f"paying.verdict.{verdict}" for verdict in Verdict.__args__),
        *(f"paying.waiting.{which}" for which in Which.__args__),
        *(f"paying.state.{state}" for state in PaymentState.__args__),
        *(f"paying.came.{state}" for state in (*STAGES, *Ruling.__args__, "refunded")),
        *(f"pay_method.{method}" for method in METHODS),
        *(f"paying.source.{source}" for source in ("solana", "nowpayments", "stars")),
        *(f"pay_differs.{what}" for what in DIFFERENCES),
    }


def trees() -> Iterator[ast.AST]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            yield ast.parse(path.read_text(encoding="utf-8"))


@cache
def literals() -> set[str]:
    return {
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


_OF_THE_COMMAND_LINE = {"add_argument", "add_parser"}


@cache
def calls() -> tuple[tuple[str, str, set[str] | None], ...]:
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Every (function, key, arguments) in the sources; the arguments are `None` where they are passed on."""
    for tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            keywords = {keyword.arg for keyword in node.keywords}
            key = node.args[0] if node.args else None
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield name, key.value, None if None in keywords else {k for k in keywords if k}
            for keyword in node.keywords:
                if (
                    keyword.arg == "help"
                    and name not in _OF_THE_COMMAND_LINE
                    and isinstance(keyword.value, ast.Constant)
                ):
                    yield "help", str(keyword.value.value), set()


def test_every_key_in_the_sources_has_a_text() -> None:
    asked = {key for name, key, _ in calls() if name in {*RENDERERS, "UserFacingError", "help"}}
    assert asked
    assert sorted(key for key in asked | declared_elsewhere() if key not in TEXTS) == []


def test_whatever_looks_like_a_key_is_one() -> None:
    looks = {text for text in literals() if KEY.fullmatch(text) and family_of(text) in FAMILIES}
    assert sorted(key for key in looks if key not in TEXTS) == []


def test_every_text_is_used() -> None:
    assert sorted(set(TEXTS) - literals() - declared_elsewhere()) == []


def test_every_text_gets_the_arguments_that_it_names() -> None:
    implied = {"figure": {"value"}}
    lacking = [
        (key, needed - given)
        for name, key, arguments in calls()
        if name in {*RENDERERS, "UserFacingError", "help"} and arguments is not None and key in TEXTS
        for needed, given in [(TEXTS.template(key).arguments, arguments | implied.get(name, set()))]
        if needed - given
    ]
    assert lacking == []


COUNTED = re.compile(
    r"(?:</[biu]>)? (?:(?:other|more|open|final|personal) )?(?:accounts|alerts|calls|changes"
    r"|channels|days|filters|minutes|months|hours|names|payments|people|posts|rules|tokens|transactions)\b"
)
"""What may stand behind a number only where there cannot be one of it."""
NO_NUMBERS, LIMITS = {"channel"}, {"least", "limit", "largest"}
NEVER_OF_ONE = {
    *("health.confirmed", "reading.too_many", "why.set_passed", "why.set_waiting", "why.set_failed"),
    *("used_up", "used_up_all", "state.kept", "their_state.kept"),
}
"""Texts for several: of one another text is said, or there is a limit of several."""


def test_every_number_has_a_word_that_fits() -> None:
    wrong = [
        key
        for key in sorted(set(TEXTS) - NEVER_OF_ONE)
        for number, words in pairwise(TEXTS.template(key).parts)
        if isinstance(number, Placeholder) and number.words is None and number.name not in NO_NUMBERS | LIMITS
        if isinstance(words, str) and COUNTED.match(words)
    ]
    assert wrong == []


def longest(placeholder: Placeholder, hostile: str, nested: int) -> object:
    """Build a value longer than the text takes; rendered lists share the room that they are bounded to."""
    if placeholder.limit_utf16 is None:
        return Html("x" * (3_200 // nested))
    return hostile * (1 + placeholder.limit_utf16 // max(1, len(hostile)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_text_can_be_sent_at_its_longest(family: str) -> None:
    for key in (key for key in TEXTS if family_of(key) == family):
        template = TEXTS.template(key)
        nested = sum(placeholder.limit_utf16 is None for placeholder in template.placeholders)
        for hostile in (*HOSTILE, "W", "😀") if template.placeholders else ("",):
            html = TEXTS.render(key, "en", **{p.name: longest(p, hostile, nested) for p in template.placeholders})
            assert units("".join(parse(html).everything)) <= 4096, key
            html.encode()


def plain_keys() -> list[str]:
    labels = {key for key in declared_elsewhere() if key.startswith(PLAIN_LABELS)}
    return sorted(key for key in TEXTS if key in labels or (key.startswith(PLAIN_FAMILIES) and key not in HTML_KEYS))


@pytest.mark.parametrize("family", sorted({family_of(key) for key in plain_keys()}))
def test_texts_for_buttons_and_menus_are_plain_and_short(family: str) -> None:
    for key in (key for key in plain_keys() if family_of(key) == family):
        arguments = {placeholder.name: "W" * 16 for placeholder in TEXTS.template(key).placeholders}
        assert parse(TEXTS.render(key, **arguments)).tags == [], key
        longer = key.startswith("help.") or key.endswith(".about")
        assert units(TEXTS.plain(key, **arguments)) <= (MAX_COMMAND_DESCRIPTION if longer else MAX_BUTTON), key


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_no_hostile_argument_can_be_tapped(hostile: str) -> None:
    for key in TEXTS:
        template = TEXTS.template(key)
        commands = {part for part in template.parts if isinstance(part, str) and "/" in part.replace("</", "")}
        if commands or any(placeholder.limit_utf16 is None for placeholder in template.placeholders):
            continue
        html = TEXTS.render(key, **{placeholder.name: f"x{hostile}x" for placeholder in template.placeholders})
        assert_sendable(html)
        assert_harmless(html)
