"""A token of Base, from the feed's socket to the chat: told, filtered, explained, watched and muted like Solana's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from msgspec.structs import replace

from composition import Composition
from domain.calls.events import Call, Channel, Origin, Token
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from sandbox.world.world import copied_addresses
from services.stores.journal import Journal
from tests.e2e.conftest import set_filter, subscribe, text_of

_numbers = count(1)


def written(number: int) -> str:
    """An address with the capitals of a checksum, as sites show it."""
    return f"0x{number:02}AbCdEf{number:032x}"


def a_call(**token: Any) -> Call:
    number, at = next(_numbers), datetime.now(UTC)
    figures: dict[str, Any] = {
        "address": written(number),
        "chain": "base",
        "name": "Based Cat",
        "symbol": "BCAT",
        "market_cap_usd": 250_000.0,
        "price_usd": 0.00025,
        "liquidity_usd": 60_000.0,
        "dex": "aerodrome",
        "origins": {"market_cap_usd": Origin("dexscreener", at - timedelta(seconds=20))},
    }
    return Call(
        id=f"base-{number}",
        token=Token(**figures | token),
        channel=Channel(id="@base_calls", title="Base Calls"),
        called_at=at,
        received_at=at,
        link=f"https://t.me/base_calls/{number}",
    )


async def alert_of(user: SandboxUser, call: Call) -> JsonObject:
    return await user.next_message(where=lambda m: call.token.address.lower() in copied_addresses(m))


def buttons(message: JsonObject) -> list[str]:
    return [button["callback_data"] for button in callback_buttons(message)]


def urls(message: JsonObject) -> set[str]:
    rows = message["reply_markup"]["inline_keyboard"]
    return {button["url"] for row in rows for button in row if "url" in button}


async def test_a_call_on_base_is_told_explained_watched_and_muted(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann = telegram.user("Ann")
    await subscribe(ann, "everything")
    saved = await set_filter(ann, "market_cap_usd", "50k - 900k")
    assert "$50k" in text_of(saved)
    call = feed.publish(a_call())
    address = call.token.address.lower()
    alert = await alert_of(ann, call)
    assert "⛓ Base\n" in text_of(alert)
    assert address in text_of(alert)
    assert urls(alert) == {f"https://dexscreener.com/base/{address}", f"https://basescan.org/token/{address}"}

    await ann.tap_data(alert, next(data for data in buttons(alert) if data.startswith("why:")))
    explained = text_of(await ann.next_message(where=lambda m: "within" in text_of(m)))
    assert "\n⛓ Base\n" in explained
    assert "✓ Market cap $250k within $50k – $900k (DexScreener, 2" in explained
    await ann.send(f"/why https://basescan.org/token/{call.token.address}")
    assert text_of(await ann.next_message()).startswith(explained.partition("\n")[0])
    await ann.send(f"/why {written(99)}")
    assert written(99).lower() in text_of(await ann.next_message(where=lambda m: "Nobody called" in text_of(m)))

    await bot.of(Journal).drain_all()  # so that the token's name is known
    await ann.send(f"/watch {call.token.address} 2x")
    begun = await ann.next_message(where=lambda m: "BCAT" in text_of(m))
    assert "2x" in text_of(begun)
    await ann.tap_data(alert, f"mute:{address}")
    asked = await ann.next_message(where=lambda m: any(data.startswith("mhere:") for data in buttons(m)))
    toast = await ann.tap_data(asked, f"mhere:token:{address}")
    assert "is muted until" in toast["text"]
    row = await bot.connections.postgres.fetch_row("SELECT * FROM calls WHERE token_address = $1", address)
    assert row is not None
    assert '"base"' in row["document"]
    assert call.link is not None
    assert call.link in row["document"]


async def test_a_filter_on_the_chain_takes_its_aliases(
    bot: Composition, telegram: TelegramSandbox, feed: FeedSandbox
) -> None:
    ann, bob = telegram.user("Ann"), telegram.user("Bob")
    for person, typed, said in ((ann, "eth, bnb", "bsc, ethereum"), (bob, "-base", "base")):
        await subscribe(person, "everything")
        assert said in text_of(await set_filter(person, "chain", typed))
    for_nobody = feed.publish(a_call())
    for_both = feed.publish(a_call(chain="bsc"))
    for_bob = feed.publish(replace(a_call(), token=feed.market.next_call(datetime.now(UTC)).token))
    last = feed.publish(a_call(chain="ethereum"))
    for person in (ann, bob):
        alert = await alert_of(person, last)
        assert "⛓ Ethereum" in text_of(alert)
    told = {
        name: {one for m in person.messages for one in copied_addresses(m)}
        for name, person in (("ann", ann), ("bob", bob))
    }
    assert told["ann"] == {for_both.token.address.lower(), last.token.address.lower()}
    assert told["bob"] == told["ann"] | {for_bob.token.address}
    assert for_nobody.token.address.lower() not in told["bob"]
