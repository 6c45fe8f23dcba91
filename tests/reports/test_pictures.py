"""The process that draws: what it is given is drawn or refused, and whatever becomes of it, the bot goes on."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from domain.reports.pictures import (
    Bar,
    Distribution,
    Equity,
    Fact,
    Heading,
    Line,
    Order,
    Picture,
    PriceSince,
    Ranking,
    ShareCard,
)
from managers.pictures import charts
from managers.pictures.canvas import WIDTH, Canvas, size_px
from managers.pictures.fonts import covered, drawable
from managers.pictures.maker import PictureError, PictureMaker
from managers.pictures.process import draw
from tests.texts.hostile import HOSTILE, hostile_text

SCRIPTS = "Pump 🐶🚀👩‍🚀🇩🇪 狗狗币 ドージ 강아지 عملة القمر מטבע हिन्दी ไทย ქართული Ωμέγα Русский ☃★→≥"


def card(name: str) -> ShareCard:
    return ShareCard(name=name, multiple="12.4x", is_gain=True, facts=(Fact("called by", name),), sign="@bot")


def pictures(name: str) -> list[Picture]:
    heading = Heading(title=name, subtitle=name, note=name * 3, sign="@bot")
    return [
        card(name),
        Ranking(heading=heading, bars=(Bar(label=name, value=3, shown="3x"), Bar(label=name, value=0, shown="0x"))),
        Distribution(
            heading=heading, multiples=(0, 0.3, 1, 2, 1e6), x_label="x", y_label=name, median_label="m", mean_label="a"
        ),
        Equity(heading=heading, at=(1e9,), lines=(Line(label=name, values=(0.0,)),), y_label="won"),
        PriceSince(
            heading=heading, after_s=(0, 60, 9e6), multiples=(1, 80, 1e-6), call_label=name, x_label="x", y_label="y"
        ),
    ]


def environment_of(pid: int) -> set[str]:
    """The names of what a process was told by its environment."""
    told = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {one.partition(b"=")[0].decode() for one in told if one}


@pytest.fixture
async def maker() -> AsyncIterator[PictureMaker]:
    async with PictureMaker(deadline_s=60) as maker:
        yield maker


async def test_a_picture_is_wide_enough_for_a_phone_and_the_process_is_asked_again(maker: PictureMaker) -> None:
    first = await maker.draw(card(SCRIPTS), dark=True)
    pid = maker.pid
    second = await maker.draw(card(SCRIPTS), dark=False)
    assert first.startswith(b"\x89PNG")
    assert int.from_bytes(first[16:20]) == WIDTH >= 1080
    assert first != second
    assert maker.pid == pid
    assert maker.counts == {"started": 1, "drawn": 2}
    assert pid
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert environment_of(pid) <= {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MPLCONFIGDIR", "LC_CTYPE"}


async def test_it_is_started_again_when_it_dies_or_hangs_and_stays_when_it_refuses(maker: PictureMaker) -> None:
    await maker.draw(card("a"), dark=True)
    assert maker.pid
    os.kill(maker.pid, signal.SIGKILL)
    assert await maker.draw(card("b"), dark=True)
    os.kill(maker.pid, signal.SIGSTOP)
    maker.deadline_s = 0.2
    with pytest.raises(PictureError, match="too long"):
        await maker.draw(card("c"), dark=True)
    maker.deadline_s = 60
    bad = Equity(heading=Heading(title=""), at=(1.0, 2.0), lines=(Line(label="", values=(1.0,)),), y_label="")
    with pytest.raises(PictureError, match="could not be drawn"):
        await maker.draw(bad, dark=True)
    assert await maker.draw(card("d"), dark=True)
    assert maker.counts == {"started": 3, "drawn": 3, "late": 1, "died": 1, "refused": 1}


async def test_it_ends_when_nobody_wants_a_picture_and_only_so_many_wait() -> None:
    async with PictureMaker(idle_s=0.01, max_waiting=2, deadline_s=60) as maker:
        one, two = (asyncio.create_task(maker.draw(card("a"), dark=True)) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(PictureError, match="waited for"):
            await maker.draw(card("b"), dark=True)
        await asyncio.gather(one, two)
        async with asyncio.timeout(20):
            while maker.pid:  # noqa: ASYNC110 - a process, not an event
                await asyncio.sleep(0.01)
        assert await maker.draw(card("c"), dark=True)
        assert maker.counts["started"] == 2


class Watched(Canvas):
    """Remembers its axes."""

    def axes(self, *, left: float, top: float, right: float, bottom: float) -> Axes:
        made = super().axes(left=left, top=top, right=right, bottom=bottom)
        self.made = [*getattr(self, "made", []), made]
        return made


def test_what_stands_beside_a_chart_can_be_read_on_a_phone() -> None:
    drawn: dict[type[Picture], Callable[[Any, Canvas], None]] = {
        Distribution: charts.distribution,
        Equity: charts.equity,
        PriceSince: charts.price,
    }
    for picture in pictures("Moon Cat"):
        if type(picture) not in drawn:
            continue
        canvas = Watched(dark=True)
        drawn[type(picture)](picture, canvas)
        labels = [label for axes in canvas.made for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        assert labels
        assert min(size_px(float(label.get_fontsize())) for label in labels) * 390 / WIDTH >= 12


def test_every_script_has_a_font_and_is_kept() -> None:
    assert drawable(SCRIPTS) == SCRIPTS
    assert all(ord(one) in covered() for one in SCRIPTS)


@given(hostile_text)
@settings(max_examples=60)
def test_nothing_that_no_font_has_is_drawn(text: str) -> None:
    kept = drawable(text)
    assert all(ord(one) in covered() for one in kept)
    assert "\n" not in kept
    assert len(kept) <= 2_000


@pytest.mark.parametrize("name", ["".join(HOSTILE)[:400], "$\\frac{1}{0}$\U0010ffff 狗 عملة " + "W" * 200])
def test_whatever_the_names_nothing_is_missing_in_the_picture(name: str) -> None:
    """Matplotlib warns of a box; here a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for picture in pictures(name):
            assert draw(Order(picture=picture, dark=True)).startswith(b"\x89PNG")
        assert draw(Order(picture=card(SCRIPTS), dark=False))


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_multiple_is_refused(value: float) -> None:
    picture = Distribution(
        heading=Heading(title=""), multiples=(value,), x_label="", y_label="", median_label="", mean_label=""
    )
    with pytest.raises(ValueError, match="finite"):
        draw(Order(picture=picture, dark=True))


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
@settings(max_examples=3)
def test_any_multiples_can_be_drawn(multiples: list[float]) -> None:
    picture = Distribution(
        heading=Heading(title="a"),
        multiples=tuple(multiples),
        x_label="",
        y_label="",
        median_label="m",
        mean_label="a",
    )
    assert draw(Order(picture=picture, dark=False))
