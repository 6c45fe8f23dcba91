"""What data providers know of a token at a moment: all figures of `Token`, from its life and traits."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from domain.calls.events import Token
from sandbox.market import words as market_words
from sandbox.market.lives import SUPPLY, TokenLife, draw_life

_WINDOWS = (("5m", 300.0), ("1h", 3_600.0), ("24h", 86_400.0))
_SAMPLES = 5
_GRADUATES_AT_USD = 69_000.0
_REMEMBERED = 20_000


def describe(life: TokenLife, at_s: float, media_url: str | None = None) -> Token:
    """Describe it completely, as far as anybody knows it at `at_s`. `media_url`: where its pictures are served."""
    traits = life.traits
    price_usd = life.price_at(at_s)
    market_cap_usd = round(price_usd * SUPPLY, 2)
    figures: dict[str, Any] = {
        "name": life.name,
        "symbol": life.symbol,
        "price_usd": price_usd,
        "market_cap_usd": market_cap_usd,
        "fdv_usd": round(market_cap_usd * traits.fdv_share, 2),
        "liquidity_usd": round(market_cap_usd * life.liquidity_share, 2),
        "holders": int(life.holders * (price_usd / life.price_usd) ** 0.5),
        "created_at": datetime.fromtimestamp(life.created_at_s, UTC),
        "top10_percent": traits.top10_percent,
        "developer_percent": traits.developer_percent,
        "snipers_percent": traits.snipers_percent,
        "lp_locked_percent": traits.lp_locked_percent,
        "mint_revoked": traits.mint_revoked,
        "freeze_revoked": traits.freeze_revoked,
        "metadata_immutable": traits.metadata_immutable,
        "buy_tax_percent": traits.buy_tax_percent,
        "sell_tax_percent": traits.sell_tax_percent,
        "risk_score": traits.risk_score,
        "launchpad": traits.launchpad,
        "dex": _exchange(life, at_s),
        "website": traits.website,
        "x_handle": traits.x_handle,
        "telegram": traits.telegram,
        **_trading(life, at_s),
        **(_media(life, media_url) if media_url else {}),
    }
    for figure, known_from_s in traits.known_from_s.items():
        if at_s < known_from_s:
            figures[figure] = None
    return Token(address=life.mint, **figures)


def _trading(life: TokenLife, at_s: float) -> dict[str, float | int]:
    figures: dict[str, float | int] = {}
    price_usd, volume_usd, change = life.price_at(at_s), 0.0, 0.0
    for name, window_s in _WINDOWS:
        start_s = max(life.created_at_s, at_s - window_s)
        change = round(100 * (price_usd / _price(life, start_s) - 1), 2)
        # A longer window holds the shorter one.
        volume_usd = max(volume_usd, round(_volume(life, start_s, at_s), 2))
        figures[f"price_change_{name}_percent"] = change
        figures[f"volume_{name}_usd"] = volume_usd
        if name == "1h":
            trades = volume_usd / life.traits.trade_usd
            bought = 0.5 + math.tanh(change / 100) / 4
            figures |= {"buys_1h": int(trades * bought), "sells_1h": int(trades * (1 - bought))}
    return figures


def _volume(life: TokenLife, start_s: float, end_s: float) -> float:
    """US dollars traded: the more it is worth, the more changes hands."""
    step_s = (end_s - start_s) / _SAMPLES
    mean_price_usd = sum(_price(life, start_s + (n + 0.5) * step_s) for n in range(_SAMPLES)) / _SAMPLES
    return mean_price_usd * SUPPLY * life.traits.turnover_per_s * max(0.0, end_s - start_s)


def _price(life: TokenLife, at_s: float) -> float:
    """Price also before the first call: it came there from the launch at an even pace."""
    if at_s >= life.called_at_s:
        return life.price_at(at_s)
    left = (life.called_at_s - at_s) / (life.called_at_s - life.created_at_s)
    return life.price_usd * life.traits.earlier_multiple ** -min(1.0, left)


def _exchange(life: TokenLife, at_s: float) -> str:
    """Where it trades: on its launchpad's curve, until that is sold out."""
    traits = life.traits
    highest_usd = life.peak_price_usd if at_s >= life.peaks_at_s else max(life.price_usd, life.price_at(at_s))
    if traits.launchpad is None or highest_usd * SUPPLY >= _GRADUATES_AT_USD:
        return traits.exchange
    return traits.launchpad


def _media(life: TokenLife, media_url: str) -> dict[str, str]:
    """Every richer medium comes with a still picture."""
    address = f"{media_url}/{life.mint}"
    media = {} if life.traits.picture is None else {"image_url": f"{address}.png"}
    if life.traits.picture == "gif":
        media["animation_url"] = f"{address}.gif"
    if life.traits.picture == "mp4":
        media["video_url"] = f"{address}.mp4"
    return media


class InventedTokens:
    """Figures for tokens that the market did not launch, such as those of a recording; the same for a mint.

    A token's life begins when it is first asked for. The most recent 20,000 are remembered.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lives: OrderedDict[str, TokenLife] = OrderedDict()

    def token(self, mint: str) -> Token:
        at_s = self._clock().timestamp()
        life = self._lives.get(mint)
        if life is None:
            life = self._lives[mint] = _invent(mint, at_s)
            if len(self._lives) > _REMEMBERED:
                self._lives.popitem(last=False)
        return describe(life, at_s)


def _invent(mint: str, at_s: float) -> TokenLife:
    random = Random(mint)
    name, symbol = market_words.token_name(random)
    multiple = (1 - random.random()) ** -0.5
    return draw_life(random, random, mint=mint, name=name, symbol=symbol, at_s=at_s, multiple=multiple)
