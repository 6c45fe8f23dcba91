"""Rules as people really type them: what is ambiguous or cannot match is asked back, and nothing is silent."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import FIELDS, Choice, Range, Rule, Words
from domain.filters.rules import parse_rule
from domain.filters.values import CHAINS, EXCHANGES, LAUNCHPADS, Names, offered
from domain.matching.matcher import Matcher
from handlers.conversation.base import Services
from sandbox.market.traits import draw_traits
from tests.conversation.conftest import NOW, KnownChannels
from tests.conversation.reading import alert, button, only, words
from tests.conversation.telegram_wire import USER_ID, Person
from tests.texts.hostile import hostile_text


@pytest.fixture
async def started(ann: Person) -> Person:
    """Ann with one empty filter, number 1."""
    await ann.writes("/start")
    await ann.taps("addset")
    return ann


async def rules(services: Services) -> dict[str, Rule]:
    (filter_set,) = (await services.subscribers.subscribers.require(USER_ID)).filter_sets
    return filter_set.rules


@pytest.mark.parametrize(
    ("typed", "said", "rule"),
    [
        ("\u202a20k\u202c", "≥ $20k", Range(20_000.0)),
        ("20к", "≥ $20k", Range(20_000.0)),
        ("10⁶", "≥ $1M", Range(1e6)),
        ("-2M", "≤ $2M", Range(None, 2e6)),
        ("between 20k and 2 million", "$20k – $2M", Range(20_000.0, 2e6)),
        ("from 20k to 2M", "$20k – $2M", Range(20_000.0, 2e6)),
        ("from 20k-2M", "$20k – $2M", Range(20_000.0, 2e6)),
        ("at least 20k", "≥ $20k", Range(20_000.0)),
        ("more than twenty thousand", "≥ $20k", Range(20_000.0)),
        ("20k or more", "≥ $20k", Range(20_000.0)),
        ("under 2m", "≤ $2M", Range(None, 2e6)),
        ("no more than two million", "≤ $2M", Range(None, 2e6)),
        ("2M or less", "≤ $2M", Range(None, 2e6)),
        ("٢٠٬٠٠٠ - ٥٠٬٠٠٠", "$20k – $50k", Range(20_000.0, 50_000.0)),
        ("20k min", "≥ $20k", Range(20_000.0)),
        ("2M max", "≤ $2M", Range(None, 2e6)),
        ("2M at most", "≤ $2M", Range(None, 2e6)),
        ("8k-60k mc", "$8k – $60k", Range(8_000.0, 60_000.0)),
        ("8k mc to 60k mc", "$8k – $60k", Range(8_000.0, 60_000.0)),
        ("MCAP > 20k", "≥ $20k", Range(20_000.0)),
        ("market cap: under 50k", "≤ $50k", Range(None, 50_000.0)),
    ],
)
async def test_what_was_understood_is_said(
    started: Person, services: Services, typed: str, said: str, rule: Range
) -> None:
    await started.taps("field:1:market_cap_usd")
    assert f"✅ Market cap: {said}" in words(await started.writes(typed))
    assert await rules(services) == {"market_cap_usd": rule}


@pytest.mark.parametrize(
    ("key", "typed", "rule"),
    [
        ("liquidity_usd", "at least 10k liquidity", Range(10_000.0)),
        ("holders", "holders > 500", Range(500.0)),
        ("holders", "500 holders", Range(500.0)),
        ("volume_1h_usd", "vol 20k+", Range(20_000.0)),
        ("token_age_s", "less than 2h old", Range(None, 7_200.0)),
        ("token_age_s", "younger than 2h", Range(None, 7_200.0)),
        ("token_age_s", "older than 1 day", Range(86_400.0)),
        ("calling_channels", "2+ channels", Range(2.0)),
        ("top10_percent", "top 10 under 30%", Range(None, 30.0)),
        ("top10_percent", "30% max", Range(None, 30.0)),
    ],
)
def test_a_figure_may_be_named_beside_its_numbers(key: str, typed: str, rule: Range) -> None:
    [field] = [field for field in FIELDS if field.key == key]
    assert parse_rule(typed, field) == rule


async def test_a_power_that_is_none_of_ten_is_refused_as_it_was_typed(started: Person, services: Services) -> None:
    await started.taps("field:1:market_cap_usd")
    assert "I cannot read “5²” as a number" in words(await started.writes("5²"))
    assert await rules(services) == {}


async def test_twenty_thousand_or_twenty(started: Person, services: Services) -> None:
    await started.taps("field:1:market_cap_usd")
    asked = await started.writes("20.000 - 50.000")
    assert "do you mean $20k – $50k or $20 – $50?" in words(asked)
    assert await rules(services) == {}
    tap = button(asked, "$20k – $50k")
    assert "✅ Market cap: $20k – $50k" in words(await started.taps(tap), "edited")
    await started.taps(tap)
    assert await rules(services) == {"market_cap_usd": Range(20_000.0, 50_000.0)}
    await started.taps("missing:1:market_cap_usd:pass:0")
    asked = await started.writes("1.500")
    await started.taps(only(asked, "sent").buttons["≥ $1.5"] or "")
    assert await rules(services) == {"market_cap_usd": Range(1.5, missing="pass")}
    assert "out of date" in alert(await started.taps(tap))


async def test_another_answer_may_follow_instead_of_a_tap(started: Person, services: Services) -> None:
    await started.taps("field:1:market_cap_usd")
    asked = await started.writes("20.000")
    assert "✅ Market cap: ≥ $20k" in words(await started.writes("20k"))
    await started.taps("field:1:holders")
    await started.writes("20.000")
    assert "out of date" in alert(await started.taps(button(asked, "≥ $20k")[:-1] + "9"))
    assert await rules(services) == {"market_cap_usd": Range(20_000.0)}


async def test_an_age_without_a_unit(started: Person, services: Services) -> None:
    await started.taps("field:1:token_age_s")
    asked = await started.writes("10")
    assert "Add a unit: 10m, 10h, 10d" in words(asked)
    assert list(only(asked, "sent").buttons)[:3] == ["≤ 10m", "≤ 10h", "≤ 10d"]
    await started.taps(button(asked, "≤ 10h"))
    assert await rules(services) == {"token_age_s": Range(None, 36_000.0)}


@pytest.mark.parametrize(
    ("field", "typed", "rule"),
    [
        ("chain", "sol", Choice(frozenset({"solana"}))),
        ("chain", "eth, BNB, -Base", Choice(frozenset({"ethereum", "bsc"}), frozenset({"base"}))),
        ("chain", "SOLANA", Choice(frozenset({"solana"}))),
        ("chain", "s\u043el\u200b", Choice(frozenset({"solana"}))),
        ("launchpad", "pumpfun, -letsbonk.fun", Choice(frozenset({"pump.fun"}), frozenset({"bonk"}))),
        ("launchpad", "Pump-Fun; Raydium LaunchLab", Choice(frozenset({"pump.fun", "launchlab"}))),
        ("chain", "Solana only", Choice(frozenset({"solana"}))),
        ("chain", "only solana", Choice(frozenset({"solana"}))),
        ("chain", "just sol", Choice(frozenset({"solana"}))),
        ("chain", "only on sol or eth", Choice(frozenset({"solana", "ethereum"}))),
        ("chain", "sol and eth, not base", Choice(frozenset({"solana", "ethereum"}), frozenset({"base"}))),
        ("chain", "no base", Choice(excluded=frozenset({"base"}))),
        ("chain", "not base and no bnb chain", Choice(excluded=frozenset({"base", "bsc"}))),
        ("chain", "all but eth", Choice(excluded=frozenset({"ethereum"}))),
        ("chain", "all chains except eth or base", Choice(excluded=frozenset({"ethereum", "base"}))),
        ("launchpad", "only pump.fun", Choice(frozenset({"pump.fun"}))),
        ("launchpad", "no lets bonk", Choice(excluded=frozenset({"bonk"}))),
        ("dex", "just ray", Choice(frozenset({"raydium"}))),
        ("dex", "ray, Meteora DLMM, pump swap", Choice(frozenset({"raydium", "meteora", "pumpswap"}))),
    ],
)
async def test_what_people_call_it_is_understood(
    started: Person, services: Services, field: str, typed: str, rule: Choice
) -> None:
    await started.taps(f"field:1:{field}")
    assert "✅" in words(await started.writes(typed))
    assert await rules(services) == {field: rule}


@pytest.mark.parametrize(
    ("field", "typed", "named"),
    [
        ("chain", "trx", "tron"),
        ("chain", "sol, blah", "blah"),
        ("chain", "only blah", "only blah"),
        ("chain", "no tron", "tron"),
        ("launchpad", "pumpfunn", "pumpfunn"),
        ("dex", "jupiter", "jupiter"),
        ("dex", "-jupiter", "jupiter"),
        ("channel", "@nobody_calls", "nobody_calls"),
    ],
)
async def test_what_can_never_match_is_asked_about_and_may_be_kept(
    started: Person, services: Services, field: str, typed: str, named: str
) -> None:
    await started.taps(f"field:1:{field}")
    asked = await started.writes(typed)
    assert "I don't know “" in words(asked)
    assert named in words(asked)
    assert "✅" not in words(asked)
    assert await rules(services) == {}
    keep = button(asked, "Keep it anyway")
    assert "✅" in words(await started.taps(keep), "edited")
    kept = await rules(services)
    await started.taps(keep)
    assert await rules(services) == kept
    (rule,) = kept.values()
    assert isinstance(rule, Choice)
    assert any(named in value for value in rule.included | rule.excluded)
    await started.taps(f"field:1:{field}")
    assert "✅" in words(await started.writes(typed)), "asked once, not again"


async def test_what_is_tapped_instead_is_the_value_itself_and_only_while_it_is_asked(
    started: Person, services: Services
) -> None:
    solana = {"chain": Choice(frozenset({"solana"}))}
    await started.taps("field:1:chain")
    await started.writes("sol")
    await started.taps("field:1:chain")
    asked = await started.writes("sool")
    tap = button(asked, "solana")
    for _ in range(2):
        assert "✅ Chain: solana" in words(await started.taps(tap), "edited")
        assert await rules(services) == solana
    assert "out of date" in alert(await started.taps(button(asked, "Keep it anyway")))
    assert "out of date" in alert(await started.taps(button(asked, "base")))
    await started.taps("field:1:chain")
    asked = await started.writes("sool")
    assert "✅" in words(await started.writes("solana"))
    for label in ("Keep it anyway", "solana", "base"):
        assert "Nothing has changed" in alert(await started.taps(button(asked, label)))
    assert await rules(services) == solana


async def test_a_value_in_an_older_menu_becomes_what_it_says(started: Person, services: Services) -> None:
    older = await started.taps("field:1:chain")
    for _ in range(2):
        await started.taps(button(older, "solana"))
        assert await rules(services) == {"chain": Choice(frozenset({"solana"}))}


async def test_known_values_are_tapped(started: Person, services: Services) -> None:
    shown = await started.taps("field:1:launchpad")
    assert list(only(shown, "edited").buttons)[:5] == ["pump.\u2060fun", "bonk", "launchlab", "moonshot", "believe"]
    shown = await started.taps(button(shown, "bonk"))
    assert "✅ Launchpad: bonk" in words(shown, "edited")
    assert await rules(services) == {"launchpad": Choice(frozenset({"bonk"}))}
    shown = await started.taps(button(shown, "✓ bonk"))
    assert await rules(services) == {"launchpad": Choice(frozenset(), frozenset({"bonk"}))}
    shown = await started.taps(button(shown, "✗ bonk"))
    assert await rules(services) == {}
    assert "✅" in words(await started.writes("pumpfun")), "the question is open still"
    for forged in (
        "value:1:launchpad:blah:in",
        "value:1:chain:tron:in",
        "value:1:chain:base:x",
        "value:1:channel:@x:in",
    ):
        assert "out of date" in alert(await started.taps(forged))


async def test_a_channel_is_found_by_its_title_and_its_link(
    started: Person, services: Services, channels: KnownChannels
) -> None:
    channels.channels = [
        Channel(id="@alpha_calls", title="Alpha Calls 🚀"),
        Channel(id="@beta", title="Twins"),
        Channel(id="@gamma", title="Twins"),
    ]
    await started.taps("field:1:channel")
    assert "✅" in words(await started.writes("alpha calls, https://t.me/beta, -@GAMMA"))
    assert await rules(services) == {"channel": Choice(frozenset({"@alpha_calls", "@beta"}), frozenset({"@gamma"}))}
    await started.taps("field:1:channel")
    assert "Known here: @\u2060alpha_calls" in words(await started.writes("Twins"))


@pytest.mark.parametrize(
    ("key", "typed", "told"),
    [
        ("name_words", "-inu", 1),
        ("name_words", "without inu", 1),
        ("message_words", "-presale, -vip", 1),
        ("chain", "-base", 1),
        ("chain", "solana, -base", 0),
        ("name_words", "cat, -inu", 0),
        ("channel", "-@alpha_calls", 0),
        ("holders", "150 -", 0),
    ],
)
async def test_a_rule_that_only_excludes_says_what_it_makes_of_what_is_not_known(
    started: Person, services: Services, channels: KnownChannels, key: str, typed: str, told: int
) -> None:
    channels.channels = [Channel(id="@alpha_calls", title="Alpha Calls")]
    await started.taps(f"field:1:{key}")
    said, how = await started.writes(typed), "sent"
    if "✅" not in words(said):  # it is asked whether a word is meant to be excluded
        excluded = next(data for label, data in said[-1].buttons.items() if "without" in label)
        said, how = await started.taps(excluded or ""), "edited"
    assert words(said, how).count("bring no alert either") == told
    await started.taps(f"missing:1:{key}:pass:0")
    await started.taps(f"group:1:{next(field.group for field in FIELDS if field.key == key)}")
    await started.taps(f"field:1:{key}")
    said = await started.writes(typed)
    assert "no alert either" not in words(said), "it was chosen otherwise, and stays so"
    assert (await rules(services))[key].missing == "pass"


async def test_a_word_that_was_typed_with_hidden_signs_finds_what_is_shown(
    started: Person, services: Services, matcher: Matcher
) -> None:
    await started.taps("field:1:name_words")
    assert "✅ Name or symbol: “cat”, without “inu”" in words(await started.writes("ca\u200bt, -i\u00adnu"))
    assert await rules(services) == {"name_words": Words(("cat",), ("inu",))}

    def passes(name: str) -> bool:
        call = Call(
            id=name,
            token=Token(address=name, name=name),
            channel=Channel(id="@a"),
            called_at=NOW,
            received_at=NOW,
        )
        return bool(list(matcher.decide(call, NOW).accepted))

    assert passes("C\u2060at")
    assert not passes("Cat I\u200bnu")


async def test_each_word_or_a_phrase_is_asked_and_a_phrase_is_shown_in_quotes(
    started: Person, services: Services
) -> None:
    await started.taps("field:1:name_words")
    asked = await started.writes("penguin, walrus raccoon")
    assert "is each word enough by itself" in words(asked)
    assert await rules(services) == {}
    assert list(only(asked, "sent").buttons)[:2] == ["“penguin”, “walrus”, “raccoon”", "“penguin”, “walrus raccoon”"]
    answer = await started.taps(button(asked, "“penguin”, “walrus raccoon”"))
    assert "✅ Name or symbol: “penguin”, “walrus raccoon”" in words(answer, "edited")
    assert await rules(services) == {"name_words": Words(("penguin", "walrus raccoon"))}


async def test_a_word_that_says_nothing_elsewhere_is_seen_to_be_a_word(started: Person) -> None:
    await started.taps("field:1:name_words")
    assert "✅ Name or symbol: “nothing”\n" in words(await started.writes("nothing"))
    assert "• Name or symbol: “nothing”\n" in words(await started.taps("set:1"), "edited")


async def test_a_dash_that_excludes_nothing_is_asked_about(started: Person, services: Services) -> None:
    for typed in ("asdf;;; -", "cat, -, dog", "cat,-"):
        await started.taps("field:1:name_words")
        assert "nothing follows a dash" in words(await started.writes(typed))
    assert await rules(services) == {}


async def test_a_long_list_is_said_as_it_was_understood(started: Person) -> None:
    await started.taps("field:1:name_words")
    assert "✅ Name or symbol: “cat”, “dog”, “frog”, “pepe”, without “inu”" in words(
        await started.writes("cat, dog, frog, pepe, -inu")
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    typed=hostile_text | st.text("0123456789.,- kмh\u200b٣²", min_size=1, max_size=12),
    key=st.sampled_from([field.key for field in FIELDS]),
)
async def test_every_button_of_an_answer_can_be_tapped(
    started: Person, services: Services, typed: str, key: str
) -> None:
    await started.taps(f"field:1:{key}")
    said = await started.writes(typed)
    for label, data in [(text, data or "") for one in said for text, data in one.buttons.items()]:
        if data.startswith(("reading:", "keep:")):
            answer = words(await started.taps(data), "edited")
            assert "✅" in answer
            assert data.startswith("keep:") or label.removesuffix("…") in answer


def test_every_alias_leads_to_one_value() -> None:
    for known in (CHAINS, LAUNCHPADS, EXCHANGES):
        names = Names(known)
        for one in known:
            assert [names.find(alias) for alias in (one.name, one.name.upper(), *one.aliases)] == [one.name] * (
                2 + len(one.aliases)
            )


def test_what_the_sandbox_launches_is_known() -> None:
    drawn = [
        draw_traits(Random(seed), mint="m", name=None, created_at_s=0.0, called_at_s=1.0, is_sound=True)
        for seed in range(300)
    ]
    assert {traits.launchpad for traits in drawn} - {None} <= set(offered(LAUNCHPADS))
    assert {traits.exchange for traits in drawn} <= set(offered(EXCHANGES))
