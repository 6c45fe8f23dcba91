"""A dozen ways to write a call. Each channel has one of them and keeps to it.

Names of tokens are whatever their makers chose, so they are escaped and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from random import Random

from domain.calls.events import Token
from sandbox.channels.posts import Media, Origin
from sandbox.providers.pools import pool_of

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCall:
    """A call in a channel's own way."""

    html: str
    later: str | None = None
    """What it says after an edit: only then is the address in it."""
    is_pool: bool = False
    """It names the pool alone."""
    media: Media | None = None
    origin: Origin | None = None
    buttons: tuple[tuple[str, str | None], ...] = ()


Style = Callable[[Random, Token], WrittenCall]


def usd(value: float | None) -> str:
    """As people write it: "45.2K"."""
    if value is None:
        return "?"
    for unit, of in (("M", 1e6), ("K", 1e3)):
        if value >= of:
            return f"{value / of:.1f}{unit}"
    return f"{value:.0f}"


def name_of(token: Token) -> str:
    return escape((token.name or "this one")[:_LONGEST_NAME], quote=False)


def ticker_of(token: Token) -> str:
    return escape((token.symbol or "it")[:_LONGEST_NAME], quote=False)


def _form(words: tuple[str, ...], html: str, *, is_pool: bool = False, media: Media | None = None) -> Style:
    """A text that is always the same, but for one of `words`."""

    def style(random: Random, token: Token) -> WrittenCall:
        said = html.format(
            word=random.choice(words),
            name=name_of(token),
            ticker=ticker_of(token),
            address=token.address,
            lowered=token.address.lower(),
            pool=pool_of(token.address),
            cap=usd(token.market_cap_usd),
            liquidity=usd(token.liquidity_usd),
            holders=token.holders or "未知",
        )
        return WrittenCall(html=said, is_pool=is_pool, media=media)

    return style


def _trading_terminal(random: Random, token: Token) -> WrittenCall:
    handle = random.randint(1000, 99999)
    link = f"https://photon-sol.tinyastro.io/en/lp/{pool_of(token.address)}?handle={handle}"
    return WrittenCall(
        html=f'{name_of(token)} is moving\n<a href="{escape(link)}">Trade on Photon</a> ⚡', is_pool=True
    )


def _hidden_links(random: Random, token: Token) -> WrittenCall:
    links = [
        ("Chart", f"https://dexscreener.com/solana/{pool_of(token.address)}"),
        ("Birdeye", f"https://birdeye.so/token/{token.address}?chain=solana&tab=trades"),
        ("X", "https://x.com/search?q=%24TOKEN&f=live"),
    ]
    random.shuffle(links)
    shown = " · ".join(f'<a href="{escape(link)}">{label}</a>' for label, link in links)
    return WrittenCall(html=f"🔔 <b>{name_of(token)}</b>\n\nMarket cap: ${usd(token.market_cap_usd)}\n{shown}")


def _start_payload(random: Random, token: Token) -> WrittenCall:
    bot = random.choice(("quickbuy_bot", "sniperking_bot", "fastswap_bot"))
    link = f"https://t.me/{bot}?start={random.randint(10, 99)}_{token.address}"
    return WrittenCall(html=f'We like {name_of(token)} here.\n\n<a href="{link}">👉 Buy it in one tap</a>')


def _card_of_a_bot(random: Random, token: Token) -> WrittenCall:
    bot, sponsor = random.sample(("trojan_swaps_bot", "maestro_swaps_bot", "bonk_swaps_bot"), 2)
    holders, score = token.holders or random.randint(80, 900), random.randint(10, 99)
    return WrittenCall(
        html=f"💊 {name_of(token)} | ${ticker_of(token)}\n<code>{token.address}</code>\n"
        f"├ MC: ${usd(token.market_cap_usd)}  Liq: ${usd(token.liquidity_usd)}\n"
        f"├ Holders: {holders}  Top 10: {token.top10_percent or 21.5}%\n├ Score {score}/100 · scans 490/1000\n"
        f"└ Win rate of this caller: {random.randint(20, 60)}% of {random.randint(100, 900)} calls\n\n"
        f'<a href="https://t.me/{bot}?start=ref_abc_{token.address}">Buy</a> | '
        f'<a href="https://solscan.io/token/{token.address}">Scan</a>\n'
        f'Ad: <a href="https://t.me/{sponsor}?start=ref_daily">the fastest bot, fees −10%</a>',
        buttons=(("🚀 Buy", f"https://t.me/{bot}?start=15_{token.address}"), ("🔄 Refresh", None)),
    )


def _invisible_marks(random: Random, token: Token) -> WrittenCall:
    at = random.randint(5, 30)
    address = f"{token.address[:at]}\u200b{token.address[at:]}"
    return WrittenCall(html=f"${ticker_of(token)}\nC\u200dA:\u200e {address}\u2060\n💎 hold tight")


def _address_alone(random: Random, token: Token) -> WrittenCall:  # noqa: ARG001 - the same form as the others
    return WrittenCall(html=f"<tg-spoiler>{token.address}</tg-spoiler>")


def _address_later(random: Random, token: Token) -> WrittenCall:
    """First come, first served: those who watch the channel see the address a little before anybody reads it."""
    before = random.choice(("CA in 10 seconds, get ready 🔥", "Gem loading… stay in the channel"))
    return WrittenCall(html=before, later=f"🔥 ${ticker_of(token)}\n\n<code>{token.address}</code>\nGO GO GO")


def _forwarded(random: Random, token: Token) -> WrittenCall:
    number = random.randint(100, 9000)
    origin = random.choice(
        (Origin(title="Inner Circle 🎯", channel="inner_circle_alpha", number=number), Origin(title="Whale Joe"))
    )
    return WrittenCall(html=f"{name_of(token)} looks strong\n\nca: {token.address}", origin=origin)


def _past_results_below(random: Random, token: Token) -> WrittenCall:
    past = "\n".join(
        f"${old} {random.randint(2, 40)}x ✅" for old in random.sample(("WIFE", "MOODY", "CHAD", "PONKE"), 3)
    )
    return WrittenCall(
        html=f"⚡️ NEW CALL ⚡️\n{name_of(token)}\n\n{token.address}\n\nEntry: {usd(token.market_cap_usd)}\n\n"
        f"Latest results of VIP:\n{past}"
    )


STYLES: dict[str, Style] = {
    "code_block": _form(
        ("New one", "Fresh entry", "Small bag here", "In"),
        "<b>{word}: ${ticker}</b> 🟢\n<pre>{address}</pre>\nMC {cap} | Liq {liquidity}",
    ),
    "contract_label": _form(
        ("CA", "Contract", "Mint"),
        "{name} (${ticker})\n\nDev looks active, chart is clean. MCap: ${cap}\n\n{word}: {address}\n\nNFA, DYOR ⚠️",
    ),
    "pool_link_alone": _form(
        ("watching this one", "looks ready", "taking a position", "early 👀"),
        "{word}\nhttps://dexscreener.com/solana/{pool}",
        is_pool=True,
    ),
    "launchpad_link": _form(
        ("coin/", ""), "{name} just launched, aping a little 🦍\nhttps://pump.fun/{word}{address}", media="photo"
    ),
    "labelled_terminal_link": _form(
        ("eye1", "k7Wq2", "wolf"),
        "${ticker} — smart money is in 🧠\nentry {cap}\nhttps://gmgn.ai/sol/token/{word}_{address}",
    ),
    "trading_terminal": _trading_terminal,
    "hidden_links": _hidden_links,
    "start_payload": _start_payload,
    "card_of_a_bot": _card_of_a_bot,
    "damaged_link": _form(
        ("https://dexscreener.com/solana/", "https://birdeye.so/token/"),
        "{name} — second wave loading\n{address}\n{word}{lowered}",
        media="video",
    ),
    "invisible_marks": _invisible_marks,
    "russian": _form(
        ("Беру немного", "Новая точка входа", "Зашёл на мелочь"),
        "{word}: {name} 🔥\n\nКапа {cap}, ликвидность {liquidity}\nКонтракт: <code>{address}</code>\n\n"
        "Не финансовый совет.",
    ),
    "chinese": _form(
        ("新币预警", "聪明钱买入", "早期机会"),
        "🚨{word} ${ticker}\n市值：{cap}\n合约：{address}\n持有人：{holders}",
    ),
    "spanish_quote": _form(
        ("Entrada nueva", "Compré un poco", "Ojo con esta"),
        "<b>{word}: {name}</b>\n<blockquote>Contrato: {address}</blockquote>\nCap {cap}. Gestiona tu riesgo.",
    ),
    "address_alone": _address_alone,
    "address_later": _address_later,
    "forwarded": _forwarded,
    "past_results_below": _past_results_below,
    "great_hopes": _form(
        (
            "This one could do 10x from here, easily.",
            "Took profit on the last one at 4x and rotated in here.",
            "If it holds 40k I expect a 5x by tonight.",
            "Same team as the one that did 80x last month!",
        ),
        "{word}\n\n${ticker}\nca <code>{address}</code>\nTP1 2x, TP2 5x, SL -40%",
    ),
}
"""By name, in the order in which channels are given them."""
