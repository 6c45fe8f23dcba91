"""What a token is besides its price: who holds it, what its contract allows, where it was launched, its links."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from random import Random

from sandbox.market.words import HOSTILE_NAMES

HOSTILE_LINKS: tuple[str, ...] = (
    "javascript:alert(1)",
    "https://x.com@claim.invalid/",
    'https://claim.invalid/"><script>alert(1)</script>',
    "https://claim.invalid/" + "a" * 600,
    "tg://resolve?domain=free_sol_now",
    "http://[::1",
    "@everyone",
    "ftp://claim.invalid/\u202egpj",
)

_LAUNCHPADS: tuple[tuple[str | None, float], ...] = (
    ("pump.fun", 0.64),
    ("bonk", 0.14),
    ("moonshot", 0.05),
    ("believe", 0.04),
    (None, 0.13),
)
_EXCHANGES = {"pump.fun": "pumpswap", "bonk": "raydium", "moonshot": "meteora", "believe": "meteora"}
_INDEXED_AFTER_S = 20.0
_SCANNED_ON_CALL_SHARE = 0.3
_LEARNED: tuple[tuple[str, ...], ...] = (
    ("liquidity_usd", "dex"),
    (
        *("buys_1h", "sells_1h", "volume_5m_usd", "volume_1h_usd", "volume_24h_usd"),
        *("price_change_5m_percent", "price_change_1h_percent", "price_change_24h_percent"),
    ),
    ("holders", "top10_percent", "developer_percent"),
    ("snipers_percent", "lp_locked_percent", "buy_tax_percent", "sell_tax_percent"),
    ("risk_score",),
)
"""What data providers come to know of a young token, step by step."""
_LETTERS = re.compile(r"[^a-z0-9]")


@dataclass(slots=True, kw_only=True)
class Traits:
    fdv_share: float
    """Fully diluted valuation over market cap."""
    earlier_multiple: float
    """How far the price had come from the launch to the first call."""
    turnover_per_s: float
    """Share of the market cap that changes hands."""
    trade_usd: float
    top10_percent: float
    developer_percent: float
    snipers_percent: float
    lp_locked_percent: float
    mint_revoked: bool
    freeze_revoked: bool
    metadata_immutable: bool
    buy_tax_percent: float
    sell_tax_percent: float
    risk_score: float
    launchpad: str | None
    exchange: str
    """Where it trades once it has left its launchpad's curve."""
    website: str
    x_handle: str
    telegram: str
    picture: str | None
    """`png`, `gif` or `mp4`: the richest one there is."""
    known_from_s: dict[str, float]
    """Unix time from which data providers know a figure; one that is absent is known from the launch."""


def draw_traits(
    random: Random, *, mint: str, name: str | None, created_at_s: float, called_at_s: float, is_sound: bool
) -> Traits:
    """Draw them. `is_sound`: it will survive or at least rise; the others show it more often, never surely."""
    worse = 1.0 if is_sound else 1.7
    top10 = _percent(random.lognormvariate(math.log(17 * worse), 0.35))
    developer = _percent(random.lognormvariate(math.log(1.4 * worse**2), 0.9), at_most=top10)
    snipers = _percent(random.lognormvariate(math.log(6 * worse), 0.8))
    locked = 100.0 if random.random() < (0.95 if is_sound else 0.6) else _percent(random.uniform(0, 90))
    mint_revoked = random.random() < (0.99 if is_sound else 0.88)
    freeze_revoked = random.random() < (0.99 if is_sound else 0.9)
    taxed = random.random() < (0.01 if is_sound else 0.08)
    tax = _percent(random.uniform(1, 30)) if taxed else 0.0
    launchpad = random.choices([place for place, _ in _LAUNCHPADS], [share for _, share in _LAUNCHPADS])[0]
    risk = 0.7 * top10 + 2 * developer + 0.4 * snipers + (100 - locked) / 4 + tax
    risk += 25 * (not mint_revoked) + 20 * (not freeze_revoked) + random.gauss(0, 6)
    website, x_handle, telegram = _links(random, mint, name)
    return Traits(
        fdv_share=1.0 if random.random() < 0.85 else round(random.uniform(1.01, 1.8), 3),  # noqa: PLR2004 - a share
        earlier_multiple=max(0.2, random.lognormvariate(math.log(1.6), 0.7)),
        turnover_per_s=random.lognormvariate(math.log(0.0004), 0.6),
        trade_usd=random.lognormvariate(math.log(120), 0.5),
        top10_percent=top10,
        developer_percent=developer,
        snipers_percent=snipers,
        lp_locked_percent=locked,
        mint_revoked=mint_revoked,
        freeze_revoked=freeze_revoked,
        metadata_immutable=random.random() < (0.97 if is_sound else 0.85),
        buy_tax_percent=tax,
        sell_tax_percent=_percent(tax * random.uniform(1, 2)),
        risk_score=_percent(risk),
        launchpad=launchpad,
        exchange=_EXCHANGES.get(launchpad or "", "") or random.choice(("raydium", "meteora", "orca")),
        website=website,
        x_handle=x_handle,
        telegram=telegram,
        picture=random.choices(("png", "gif", "mp4", None), (0.6, 0.06, 0.04, 0.3))[0],
        known_from_s=_known_from(random, created_at_s, called_at_s),
    )


def _known_from(random: Random, created_at_s: float, called_at_s: float) -> dict[str, float]:
    indexed_at_s = created_at_s + random.uniform(0.2, 1) * _INDEXED_AFTER_S
    holders_at_s = indexed_at_s + random.uniform(5, 40)
    scanned_at_s = holders_at_s + random.uniform(5, 60)
    rated_at_s = scanned_at_s + random.uniform(10, 120)
    if random.random() < _SCANNED_ON_CALL_SHARE:
        # Some scanners look only once people talk.
        rated_at_s = max(rated_at_s, called_at_s + random.uniform(5, 60))
    steps = (created_at_s + random.uniform(0, 3), indexed_at_s, holders_at_s, scanned_at_s, rated_at_s)
    return {figure: at_s for figures, at_s in zip(_LEARNED, steps, strict=True) for figure in figures}


def _links(random: Random, mint: str, name: str | None) -> tuple[str, str, str]:
    """Website, X and Telegram; empty where it has none. Hostile names come with hostile links."""
    if name in HOSTILE_NAMES:
        website, x_handle, telegram = random.sample(HOSTILE_LINKS, 3)
        return website, x_handle, telegram
    slug = _LETTERS.sub("", (name or "").lower()) or f"token{mint[:6].lower()}"
    return (
        f"https://{slug}.example/" if random.random() < 0.45 else "",  # noqa: PLR2004 - shares
        slug[:15] if random.random() < 0.7 else "",  # noqa: PLR2004 - likewise
        f"t_{slug[:20]}" if random.random() < 0.4 else "",  # noqa: PLR2004 - likewise
    )


def _percent(value: float, at_most: float = 100.0) -> float:
    return round(min(at_most, max(0.0, value)), 2)
