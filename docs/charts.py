"""Draws every chart and card in dark and light, with names that are chosen to break them, onto one sheet.

`python docs/charts.py [FILE]`, by default docs/images/charts.png. What is shown is made up.
"""  # noqa: INP001 - a script beside the documents, not a package

from __future__ import annotations

import asyncio
import io
import math
import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from domain.reports.pictures import (  # noqa: E402 - found beside this script's folder
    AlertsByDay,
    Bar,
    Distribution,
    Equity,
    Fact,
    Heading,
    Line,
    Part,
    Picture,
    PriceSince,
    Ranking,
    Series,
    SeriesByDay,
    ShareCard,
)
from managers.pictures.maker import PictureMaker  # noqa: E402

SHEET = ROOT / "docs" / "images" / "charts.png"
SIDE: Final = 540
PER_ROW: Final = 4
SIGN: Final = "@TokenFilterBot"
DAY_S: Final = 86_400.0
BEGAN: Final = 1_795_000_000.0
NAMES: Final = (
    "Moon Cat",
    "🐶🚀 Doge 👩‍🚀 to the 🌕 💎🙌🏽 🇩🇪",
    "狗狗币 ドージコイン 강아지 코인",
    "عملة القمر token 🚀 2026",
    "מטבע הירח (MOON) 🌙",
    "हिन्दी सिक्का · ไทย เหรียญ · ქართული",
    "𝕯𝖔𝖌𝖊 Ｆｕｌｌ $\\frac{1}{0}$ \u202egnp.exe Z\u0300\u0301\u0302\u0303\u0304\u0305algo \U0010ffff\ue000\U000e0041",
    "A name of two hundred characters, which somebody chose to see what happens to a card: " + "very long " * 12,
    "W" * 200,
)


def pictures() -> Iterator[Picture]:
    chance = random.Random(7)  # noqa: S311 - the same sheet every time
    multiples = tuple(round(math.exp(chance.gauss(0.35, 0.8)), 2) for _ in range(240))
    yield Distribution(
        heading=_heading("Your alerts: 7 days", "240 tokens · 43% reached 2x (37-49%) · all tracked: 31%"),
        multiples=multiples,
        x_label="highest multiple since the call",
        y_label="tokens",
        median_label="median 1.4x",
        mean_label="mean 2.0x",
    )
    yield _equity(multiples[:90])
    yield _price(NAMES[1])
    yield PriceSince(
        heading=_heading(NAMES[3], "called by Alpha Calls · 30 Nov, 14:03"),
        after_s=(0, 3_600, 9_000, 86_400),
        multiples=(1, 2.4, 5.1, 0.6),
        call_label="the call",
        x_label="after the call",
        y_label="times the price at the call",
    )
    yield Ranking(
        heading=_heading("Best of the day", "24 hours to 30 Nov, 21:00 Berlin"),
        bars=tuple(Bar(label=name, value=30 / n, shown=f"{30 / n:.1f}x") for n, name in enumerate(NAMES[:8], 1)),
    )
    yield Ranking(
        heading=_heading("Channels: 7 days", "share of tokens that reached 2x, by what it is at least"),
        bars=tuple(
            Bar(label=name, value=60 - 5 * n, shown=f"{60 - 5 * n}% of {40 + n}", low=44 - 5 * n, high=75 - 5 * n)
            for n, name in enumerate(NAMES[:5])
        ),
    )
    days = tuple(date(2026, 11, 1) + timedelta(days=n) for n in range(30))
    yield AlertsByDay(
        heading=_heading(f"{NAMES[1]}: alerts by day", "1,170 alerts on past calls"),
        days=days,
        won=Part(label="reached 2x", counts=tuple(8 + n * 7 % 11 for n in range(30))),
        lost=Part(label="did not", counts=tuple(14 + n * 5 % 13 for n in range(30))),
        unknown=Part(label="not known", counts=tuple(n // 4 for n in range(30))),
        y_label="alerts",
    )
    yield from _statistics(days)
    for number, name in enumerate(NAMES):
        yield _card(name, number)


def _statistics(days: tuple[date, ...]) -> Iterator[Picture]:
    yield SeriesByDay(
        heading=_heading("Revenue by day", "1 Nov to 30 Nov 2026, in UTC"),
        days=days,
        parts=tuple(
            Series(label=name, values=tuple(round(19.99 * ((n * 7 + step) % 9), 2) for n in range(30)))
            for step, name in enumerate(("SOL", "USDC", "other coins", "Stars", NAMES[2]), 1)
        ),
        y_label="USD",
        stacked=True,
    )
    yield SeriesByDay(
        heading=_heading("From frame to message", "1 Nov to 30 Nov 2026, in UTC"),
        days=days,
        parts=(
            Series(label="p50", values=tuple(None if n in (4, 5, 11) else 14.0 + n * 5 % 7 for n in range(30))),
            Series(label="p99", values=tuple(None if n in (4, 5, 11) else 60.0 + n * 37 % 83 for n in range(30))),
        ),
        y_label="milliseconds",
    )


def _heading(title: str, subtitle: str) -> Heading:
    note = "Each token once, by its first call. 12 of 240 are still open and may rise; 3 peaks may have been higher."
    return Heading(title=title, subtitle=subtitle, note=note, sign=SIGN)


def _equity(multiples: tuple[float, ...]) -> Equity:
    at = tuple(BEGAN + place * 5 * DAY_S / 90 for place in range(len(multiples)))
    best: list[float] = [0]
    held: list[float] = [0]
    for multiple in multiples[1:]:
        best.append(best[-1] + multiple * 0.8 - 1)
        held.append(held[-1] + multiple * 0.45 - 1)
    return Equity(
        heading=_heading("One stake in each alert", "bought as it was sent"),
        at=at,
        lines=(
            Line(label="sold at the highest price reached", values=tuple(best)),
            Line(label="held for a day", values=tuple(held)),
        ),
        y_label="stakes won or lost",
        offset_s=3_600,
    )


def _price(name: str) -> PriceSince:
    chance = random.Random(3)  # noqa: S311 - the same sheet every time
    after = tuple(float(minute * 300 - 3_600) for minute in range(200))
    multiples: list[float] = []
    now = 0.7
    for at in after:
        now *= math.exp(chance.gauss(0.02 if at < DAY_S / 3 else -0.01, 0.06))
        multiples.append(now)
    start = multiples[12]
    return PriceSince(
        heading=_heading(name, "called by 狗狗 Calls · 30 Nov, 14:03"),
        after_s=after,
        multiples=tuple(value / start for value in multiples),
        call_label="the call",
        x_label="after the call",
        y_label="times the price at the call",
        is_series=True,
    )


def _card(name: str, number: int) -> ShareCard:
    multiple = (12.4, 1_234.5, 0.42)[number % 3]
    return ShareCard(
        name=name,
        multiple=f"{multiple:,.4g}x",
        is_gain=multiple >= 1,
        caption="highest price since the call, at least",
        facts=(
            Fact("reached after", "3 h 12 min"),
            Fact("market cap", "$20k → $248k"),
            Fact("called by", NAMES[(number + 2) % len(NAMES)]),
            Fact("on", "30 Nov 2026, 14:03 UTC"),
        ),
        sign=SIGN,
    )


async def draw(path: Path) -> None:
    shown: list[Image.Image] = []
    async with PictureMaker(deadline_s=120) as maker:
        for picture in pictures():
            for dark in (True, False):
                png = await maker.draw(picture, dark=dark)
                shown.append(Image.open(io.BytesIO(png)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    rows = math.ceil(len(shown) / PER_ROW)
    sheet = Image.new("RGB", (PER_ROW * SIDE, rows * SIDE), "#808080")
    for place, one in enumerate(shown):
        sheet.paste(one, (place % PER_ROW * SIDE, place // PER_ROW * SIDE))
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]) if len(sys.argv) > 1 else SHEET))
