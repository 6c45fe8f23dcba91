"""What people paste or type after a command is answered by what it is; what is not understood is named."""

from __future__ import annotations

import pytest

from domain.channels.names import bot_started, is_channel_link
from domain.delivery.policy import mute_channel
from services.channels.listed import ListedChannels
from services.running.controls import Controls
from services.subscribers.group import SubscriberServices
from tests.admin.people.conftest import house, victim
from tests.admin.people.house import VICTIM, House
from tests.conversation.reading import button
from tests.conversation.telegram_wire import Person, Said
from texts.markup import Html, to_plain

__all__ = ["house", "victim"]


def words(said: list[Said]) -> str:
    return to_plain(Html("\n".join(one.text or "" for one in said))).replace("\u2060", "")


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("So11111111111111111111111111111111111111112", "That is wrapped SOL: not something that channels call."),
        ("what of So11111111111111111111111111111111111111112?", "That is wrapped SOL"),
        ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "That is USDC, a stable coin: not something"),
        ("https://solscan.io/token/EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "That is USDC, a stable coin"),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "That is wrapped ETH"),
        ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "That is a program, a router"),
        ("epjfwdd5aufqssqem2qn1xzybapc8g4weggkzwytdt1v", "lost its capital letters"),
        ("hello what can you do", "Paste a token's address"),
        ("why didn't I get $GOODCAT?", "has the ticker GOODCAT."),
        ("$GOODCAT or $BADCAT?", "Paste a token's address"),
        ("I have $20k", "Paste a token's address"),
    ],
)
async def test_what_is_no_token_is_said_to_be_what_it_is(victim: Person, pasted: str, said: str) -> None:
    answer = words(await victim.writes(pasted))
    assert said in answer
    if "what can you do" in pasted:
        assert all(way in answer for way in ("$TICKER", "a link to a channel", "one of its posts", "/help"))


async def test_help_says_what_can_be_pasted(victim: Person) -> None:
    told = words(await victim.writes("/help"))
    assert "paste it here: a token's address, a link to it, its $TICKER, a link to a channel" in told


async def test_a_channel_that_is_pasted_is_told_of(house: House, victim: Person) -> None:
    for typed in ("https://t.me/alpha", "@Alpha", "t.me/s/alpha"):
        said = words(await victim.writes(typed))
        assert "@alpha" in said
        assert "I read it: its calls reach your filters." in said
        assert "No record yet: I have followed none of its calls so far. A rate takes 5 tokens" in said
        assert "Call → Channels, and choose it or exclude it." in said
    assert "I read no channels of Telegram here" in words(await victim.writes("https://t.me/candle_church"))
    await house.made.of(ListedChannels).suggest("@candle_church", 5)
    assert "Somebody has suggested it" in words(await victim.writes("https://t.me/candle_church"))


async def test_a_channel_that_reaches_nobody_or_not_them_is_said_to(house: House, victim: Person) -> None:
    preferences = house.made.of(SubscriberServices).subscribers
    await preferences.change_preferences(VICTIM, lambda before: mute_channel(before, "@alpha", "Alpha"))
    muted = await victim.writes("https://t.me/alpha")
    assert "🔇 You have muted it: none of your filters takes its calls" in words(muted)
    assert "reach your filters" not in words(muted)
    assert "choose it or exclude it" not in words(muted)
    assert button(muted, "All that is muted") == "dmuted:0"
    await house.made.of(Controls).put("blocked", "@alpha", "", 1)
    assert "⛔ The admins have blocked it: its calls reach nobody." in words(await victim.writes("@alpha"))


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("https://t.me/Candle_Church", "@candle_church"),
        ("@candle_church", "@candle_church"),
        ("t.me/s/candle_church?before=5", "@candle_church"),
        ("candle_church", None),
        ("t.me/candle_church/5", None),
        ("t.me/candle_church?start=f_abc", None),
        ("t.me/+abcdef", None),
        ("look at t.me/candle_church", None),
    ],
)
def test_what_is_the_link_to_a_channel(text: str, channel: str | None) -> None:
    assert is_channel_link(text) == channel


def test_a_link_that_starts_a_bot_is_found_in_a_text() -> None:
    assert bot_started("try this: https://T.me/My_Bot?start=f_AbC-1 !") == ("@my_bot", "f_AbC-1")
    assert bot_started("https://not.me/My_Bot?start=f_abc") is None
    assert bot_started("https://t.me/My_Bot") is None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/report banana", "“banana” is no length of time that I have reports of. Send /report with one of these: 1d"),
        (
            "/report 90d",
            "“90d” is no length of time that I have reports of. Send /report with one of these: 1d, 7d, 30d",
        ),
        ("/backtest 5 bananas", "/backtest takes nothing after it: I have left “5 bananas” out."),
        ("/settings <b>now</b>", "/settings takes nothing after it: I have left “<b>now</b>” out."),
        ("/recap 7d", "/recap takes nothing after it"),
        ("/why banana", "I found no token address in “banana”."),
        ("/pause banana", "“banana” is no length of time"),
        ("/suggest two words", "read no channels"),
        ("/watch banana", "banana"),
    ],
)
async def test_what_was_typed_after_a_command_and_not_understood_is_named(
    victim: Person, command: str, said: str
) -> None:
    assert said in words(await victim.writes(command))


async def test_every_command_says_what_it_leaves_out(house: House, victim: Person) -> None:
    for route in house.routes.commands.values():
        if route.admin is None and route.needs is None and not route.takes:
            said = words(await victim.writes(f"/{route.name} bananas"))
            assert f"/{route.name} takes nothing after it: I have left “bananas” out." in said
