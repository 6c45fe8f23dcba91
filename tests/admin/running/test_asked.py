"""Everybody who is asked about tokens stands in /sources, and is red there and in /health while they do not answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from yarl import URL

from bot.console import Terminal
from bot.roles import Role
from composition import Addresses, Composition, ProcessConfig, connect
from config.settings import Settings
from domain.prices.readings import TokenRef
from handlers.admin.running.sources import line_of
from handlers.conversation.menus import View
from runtime.errors import TransientError
from sandbox.providers.birdeye import BirdeyeSandbox
from services.monitoring.alarms import AlarmsService
from services.monitoring.conditions import in_words
from services.monitoring.group import MonitoringServices
from services.providers import asked
from services.providers.figures import FiguresService
from services.running.controls import Controls
from services.running.processes import Processes, SourceState
from services.stores import keys
from tests.admin.people.house import OWNER
from texts import Texts

EVERYBODY = {"jupiter", "dexscreener", "geckoterminal", "rugcheck", "goplus", "birdeye"}


@asynccontextmanager
async def asking(redis_url: str, dsn: str, port: int, role: Role = "all") -> AsyncGenerator[Composition]:
    """Calls are those of channels; nobody answers at any provider's address."""
    hosts = {name: f"http://127.0.0.{number}:{port}" for number, name in enumerate(sorted(EVERYBODY), 1)}
    at = Addresses(
        telegram_token="1:A",
        telegram_api_base="http://127.0.0.1:9",
        source="channels",
        feed_url="",
        feed_api_url=None,
        feed_token=None,
        redis_url=redis_url,
        database_url=dsn,
        price_api_url=hosts["jupiter"],
        dexscreener_url=hosts["dexscreener"],
        geckoterminal_url=hosts["geckoterminal"],
        rugcheck_url=hosts["rugcheck"],
        goplus_url=hosts["goplus"],
        birdeye_url=hosts["birdeye"],
        birdeye_key="key",
    )
    async with AsyncExitStack() as stack:
        connections = await connect(at, stack)
        await connections.redis.set(keys.EPOCH.of(), "complete", nx=True)
        yield Composition(Settings(), connections, Terminal(), ProcessConfig(role=role))


async def states_of(made: Composition) -> dict[str, SourceState]:
    (own,) = await made.of(Processes).all()
    return {state.name: state for state in own.sources if state.kind != "feed"}


async def test_all_that_are_asked_stand_there_and_who_fails_is_red_on_both_pages(
    redis_url: str, postgres_dsn: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "FAILING_AFTER_S", 0.0001)
    async with asking(redis_url, postgres_dsn, unused_tcp_port) as made:
        states = await states_of(made)
        assert states.keys() == EVERYBODY
        assert {name for name, state in states.items() if state.kind == "figures"} == {"rugcheck", "goplus", "birdeye"}
        monitor, fails = made.of(MonitoringServices).monitor, {"rugcheck", "goplus"}
        assert next(part for part in (await monitor.health()).parts if part.name == "api").ok
        for provider in (one for one in made.connections.figure_providers if one.name in fails):
            for _ in range(4):
                with suppress(TransientError):
                    await provider.figures([TokenRef("Frog", "solana" if "Solana" in str(provider) else "base")])
        states = await states_of(made)
        assert {name for name, state in states.items() if not state.ok} == fails
        view = View(texts=Texts.load(), language="en")
        shown = str(line_of(view, "ann", states["goplus"]))
        assert shown.startswith("🔴 <b>goplus</b> · figures, asked by ann")
        assert "Cannot connect" in shown
        report = await monitor.health()
        api = next(part for part in report.parts if part.name == "api")
        assert not api.ok
        assert api.detail.startswith(("rugcheck has failed for", "goplus has failed for"))
        others = [part for part in report.parts if part.name not in {"api", "telegram", "feed", "updates", "channels"}]
        assert not api.is_vital
        assert all(part.ok for part in others)
        alarms = made.of(AlarmsService)
        alarms.poll()
        assert alarms._alarms["providers"].parts.keys() == fails  # pyright: ignore[reportPrivateUsage]


async def test_who_is_paused_is_not_asked_whoever_wants_it(
    redis_url: str, postgres_dsn: str, unused_tcp_port: int
) -> None:
    async with asking(redis_url, postgres_dsn, unused_tcp_port) as made:
        frog, figures, controls = TokenRef("Frog"), made.of(FiguresService), made.of(Controls)
        for name in EVERYBODY:
            assert figures.gives(frog)
            await controls.put("source", name, "", OWNER)
        assert all(state.rests for state in (await states_of(made)).values())
        assert figures.gives(frog) == frozenset()


@pytest.mark.parametrize(("role", "found"), [("match", EVERYBODY), ("send", set[str]())])
async def test_a_process_speaks_of_those_alone_that_it_asks(
    redis_url: str, postgres_dsn: str, unused_tcp_port: int, role: Role, found: set[str]
) -> None:
    async with asking(redis_url, postgres_dsn, unused_tcp_port, role) as made:
        assert (await states_of(made)).keys() == found


async def test_a_wrong_key_names_its_variable(redis_url: str, postgres_dsn: str) -> None:
    async with BirdeyeSandbox() as birdeye:
        port = URL(birdeye.url).port or 0
        async with asking(redis_url, postgres_dsn, port) as made:
            provider = next(one for one in made.connections.figure_providers if one.name == "birdeye")
            with suppress(TransientError):
                await provider.figures([TokenRef("So11111111111111111111111111111111111111112")])
            alarms = made.of(AlarmsService)
            alarms.poll()
            (said,) = alarms._alarms["access"].standing().values()  # pyright: ignore[reportPrivateUsage]
            assert in_words(said, Texts.load()).endswith("check BIRDEYE_API_KEY")
