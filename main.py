"""TokenFilterBot's entrance: `run`, `doctor`, `migrate`. What the bot is made of stands in `composition.py`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from bot.console import Part, Terminal, summarise
from bot.doctor import examine
from composition import Addresses, Composition, connect
from config.logging import configure_logging
from config.settings import Settings, load_settings
from domain.errors import FatalError, TransientError, flatten
from migrations import migrate
from sandbox.world import Wants, World, open_world
from web.app import create_app
from web.server import HttpServer
from web.telegram_webhook import TelegramWebhook

JUPITER_URL = "https://api.jup.ag"
PUMPPORTAL_URL = "wss://pumpportal.fun/api/data"
DRAIN_S = 20.0


def wants(settings: Settings) -> Wants:
    return Wants(
        telegram=not settings.has_real_telegram,
        feed=not settings.has_real_feed,
        prices=settings.price_api_url is None and not settings.has_real_telegram,
        redis=settings.redis_url is None,
        postgres=settings.database_url is None,
    )


def addresses(settings: Settings, world: World) -> Addresses:
    """Real addresses where there are any, the sandbox's otherwise."""
    token, feed_token = settings.telegram_bot_token, settings.feed_token
    feed = world.feed
    return Addresses(
        telegram_token=world.telegram.token if world.telegram else token.get_secret_value() if token else "",
        telegram_api_base=world.telegram.url if world.telegram else settings.telegram_api_base,
        source=settings.source,
        feed_url=feed.ws_url if feed else settings.feed_url or PUMPPORTAL_URL,
        feed_api_url=feed.http_url if feed else settings.feed_api_url,
        feed_token=feed.token if feed else feed_token.get_secret_value() if feed_token else None,
        price_api_url=world.prices.url if world.prices else settings.price_api_url or JUPITER_URL,
        redis_url=world.redis_url or settings.redis_url or "",
        database_url=world.postgres_dsn or settings.database_url or "",
    )


@asynccontextmanager
async def http_edge(settings: Settings, composition: Composition) -> AsyncGenerator[HttpServer]:
    """Serve /healthz and /metrics and, with PUBLIC_URL, the webhook that brings Telegram's updates."""
    telegram, secret, webhook = composition.parts.telegram, settings.telegram_webhook_secret, None
    if settings.public_url and secret:
        webhook = TelegramWebhook(secret=secret.get_secret_value(), feed=telegram.feed_update)
    app = create_app(
        health=composition.monitoring.health_document,
        telegram_webhook=webhook,
        metrics=composition.metrics.registry,
    )
    async with HttpServer(app, settings.http_host, settings.http_port) as server:
        if settings.public_url and secret and webhook:
            url = settings.public_url.rstrip("/") + webhook.path
            await telegram.set_webhook(url, secret.get_secret_value())
        yield server


async def run(settings: Settings, *, seconds: float | None, terminal: Terminal) -> int:
    """Start everything, work until Ctrl-C, SIGTERM or `seconds` have passed, drain, and give the exit code."""
    started_at = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(settings))
        at = addresses(settings, world)
        terminal.show_parts(part_list(settings, at))
        await migrate(at.database_url)
        composition = Composition(settings, await connect(at, stack), terminal)
        try:
            await stack.enter_async_context(composition.parts.telegram)
        except TransientError as error:
            raise TransientError(f"Telegram cannot be reached ({error}): `main.py doctor` tells more.") from error
        await composition.publish_menus()
        server = await stack.enter_async_context(http_edge(settings, composition))
        terminal.say(f"Health: http://{settings.http_host}:{server.port}/healthz")
        if world.telegram:
            terminal.say(f"Chat page: {world.telegram.url}/")
        terminal.say(f"Ready after {time.monotonic() - started_at:.1f} s. Ctrl-C ends it.")
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        await composition.bot.run(stop, polling=settings.public_url is None, drain_s=DRAIN_S)
        summary = summarise(
            composition.metrics,
            waiting=await composition.outbox.size(),
            twice=world.sent_twice,
        )
    terminal.show_summary(summary)
    return summary.exit_code


def world_of(settings: Settings) -> AbstractAsyncContextManager[World]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return open_world(
        wants(settings),
        data_dir=settings.data_dir,
        port=settings.sandbox_port,
        calls_per_s=settings.sandbox_calls_per_minute / 60,
    )


async def doctor(settings: Settings, terminal: Terminal) -> int:
    """Check every dependency, say what is wrong and how to mend it; 1 if anything is."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(settings))
        at = addresses(settings, world)
        parts = await connect(at, stack)
        findings = await examine(
            data_dir=settings.data_dir,
            redis=parts.redis,
            postgres=parts.postgres,
            telegram=parts.telegram,
            source=parts.source,
            sol_price=parts.sol_price,
        )
    terminal.show_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def migrate_only(settings: Settings, terminal: Terminal) -> int:
    async with world_of(settings) as world:
        await migrate(addresses(settings, world).database_url)
    terminal.say("The schema is up to date.")
    return 0


def part_list(settings: Settings, at: Addresses) -> list[Part]:
    missing = wants(settings)
    return [
        Part("Telegram", not missing.telegram, at.telegram_api_base),
        Part(f"feed ({at.source})", not missing.feed, at.feed_url),
        *([Part("SOL price", not missing.prices, at.price_api_url)] if at.source == "pumpportal" else []),
        Part("Redis", not missing.redis, at.redis_url),
        Part("PostgreSQL", not missing.postgres, at.database_url),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="start the bot")
    run_command.add_argument("--seconds", type=float, help="end by itself after so many seconds")
    commands.add_parser("doctor", help="check the configuration and every dependency")
    commands.add_parser("migrate", help="bring the database schema up to date")
    return parser.parse_args()


def main() -> int:
    chosen, terminal = arguments(), Terminal()
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, directory=settings.logs)
        with asyncio.Runner(loop_factory=event_loop) as runner:
            match chosen.command:
                case "doctor":
                    return runner.run(doctor(settings, terminal))
                case "migrate":
                    return runner.run(migrate_only(settings, terminal))
                case _:
                    return runner.run(run(settings, seconds=chosen.seconds, terminal=terminal))
    except* (FatalError, TransientError) as group:
        for error in flatten(group):
            terminal.say(str(error))
    return 1


def event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop where it installs, asyncio's own elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    sys.exit(main())
