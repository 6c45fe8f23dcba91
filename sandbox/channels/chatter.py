"""What channels post beside calls: nothing of it is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from random import Random

from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.calls.events import Token
from sandbox.channels.posts import Media
from sandbox.channels.styles import name_of, ticker_of, usd
from sandbox.market.words import HOSTILE_NAMES

_HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    '</div></div></section><div class="tgme_widget_message" data-post="somebody/1">CA: ',
    "\u202eevif ytxis\u202c &lt;b&gt; &amp;amp; \u0000",
    "\u200b" * 300 + "a" * 2_000,
    "https://user:password@[::1/x https://%zz/%00 tg://resolve?domain=free_sol_now javascript:alert(1)",
)

_HOSTILE_TEXTS = (*_HOSTILE, *(name for name in HOSTILE_NAMES if name.strip()))
"""Telegram takes no empty post."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenChatter:
    html: str = ""
    media: Media | None = None
    is_service: bool = False


Chatter = Callable[[Random, list[Token]], WrittenChatter]
"""`called`: what the channel has called, lately last; never empty."""


def _brag(random: Random, called: list[Token]) -> WrittenChatter:
    token, times = random.choice(called), random.randint(2, 30)
    cap = token.market_cap_usd or 40_000.0
    return WrittenChatter(
        html=f"🚀 {times}x from my call! ${ticker_of(token)} {usd(cap)} → {usd(cap * times)}\nDid you listen?",
        media="photo",
    )


def _result(random: Random, called: list[Token]) -> WrittenChatter:
    """With the address once more."""
    token, times = random.choice(called), random.randint(2, 12)
    return WrittenChatter(
        html=f"✅ {times}x achieved! {name_of(token)}\n<code>{token.address}</code>\nCongrats to all holders"
    )


def _board(random: Random, called: list[Token]) -> WrittenChatter:
    lines = [f"{place}. ${ticker_of(token)} {random.randint(2, 90)}x" for place, token in enumerate(called[-5:], 1)]
    lines += [f"{place}. $OLD{place} {random.randint(2, 9)}x" for place in range(len(lines) + 1, 6)]
    return WrittenChatter(html="🏆 <b>TOP CALLS 24h</b>\n" + "\n".join(lines))


def _dip(random: Random, called: list[Token]) -> WrittenChatter:
    token = random.choice(called)
    return WrittenChatter(
        html=f"📉 Dip alert: ${ticker_of(token)} is down {random.randint(20, 70)}% from the top\n{token.address}"
    )


def _invite(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - the same form as the others
    return WrittenChatter(
        html=f"VIP is 50% off until midnight 💎 {random.randint(3, 20)} seats left\n"
        "https://t.me/+Zm9yYmlkZGVu\n@vip_support_desk"
    )


def _transaction(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    signature = Signature(random.randbytes(64))
    return WrittenChatter(html=f"Profit taken, proof:\nhttps://solscan.io/tx/{signature}")


def _wallet(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    wallet = Pubkey(random.randbytes(32))
    return WrittenChatter(html=f"Whale wallet to follow: <code>{wallet}</code>\nhttps://solscan.io/account/{wallet}")


def _talk(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    return WrittenChatter(
        html=random.choice(
            (
                "gm ☀️ big day ahead",
                "GM DEGENS BUY NOW OR CRY LATER",
                "Market is slow, I will wait for a better setup.",
                "Новости: завтра стрим в 20:00",
                "No calls today. Rest is part of the game.",
            )
        )
    )


def _hostile(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    return WrittenChatter(html=escape(random.choice(_HOSTILE_TEXTS), quote=False))


def _no_words(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    media: tuple[Media, ...] = ("photo", "video", "poll", "sticker")
    return WrittenChatter(media=random.choice(media))


def _service(random: Random, called: list[Token]) -> WrittenChatter:  # noqa: ARG001 - likewise
    return WrittenChatter(html=random.choice(("pinned a photo", "Channel photo updated")), is_service=True)


CHATTER: dict[str, Chatter] = {
    kind.__name__.strip("_"): kind
    for kind in (*(_brag, _result, _board, _dip, _invite, _transaction, _wallet, _talk, _hostile, _no_words, _service),)
}
