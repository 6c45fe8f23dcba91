"""TokenFilterBot's entrance: `run`, `doctor`, `migrate`, `login`. What the bot is made of stands in `composition/`."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from bot.arguments import arguments
from bot.console import SPEED_EXPLAINED, Part, Terminal, summarise
from bot.doctor.examining import examine
from bot.doctor.surroundings import surroundings
from bot.lacking import lacks
from bot.roles import SENDING, Role
from composition import (
    Addresses,
    Composition,
    NowPaymentsAccess,
    OwnFeed,
    ProcessConfig,
    SolanaAccess,
    connect,
)
from composition.addresses import (
    DEXSCREENER_URL,
    GECKOTERMINAL_URL,
    GOPLUS_URL,
    JUPITER_URL,
    PREVIEW_URL,
    PUMPPORTAL_URL,
    RUGCHECK_URL,
    ChannelAccess,
    session_access,
)
from composition.doctor import asked_for_figures, paid_by, read_from
from composition.login import login
from config.logging import configure_logging
from config.redaction import Redactor
from config.settings import MAINNET_URL, Settings, load_settings, unread_names
from managers.storage.postgres import PostgresSchemaError
from migrations import downgrade, migrate
from runtime.clock import now
from runtime.errors import FatalError, TransientError, flatten
from runtime.fault_points import points
from runtime.pace import pace
from runtime.private_files import keep_private
from runtime.retry import retry_until_done
from sandbox.world.world import POSTGRES, Wants, World, open_world
from services.claims.left import Left, count_left
from services.cluster.members import Shard
from services.monitoring.group import MonitoringServices
from services.stores import keys
from services.stores.journal import Journal
from services.stores.spool import Spool
from web.app import create_app
from web.server import HttpServer

DRAIN_S = 20.0
LAST_POLL_S = 5.0


def wants(settings: Settings) -> Wants:
    return Wants(
        telegram=not settings.has_real_telegram,
        feed=not settings.has_real_feed and settings.source != "channels",
        channels=settings.source == "channels" and not (settings.preview_url or settings.has_real_telegram),
        prices=settings.price_api_url is None and not settings.has_real_telegram,
        redis=settings.redis_url is None,
        postgres=settings.database_url is None,
        solana=plays_shop(settings) and settings.solana_wallet is None,
        nowpayments=plays_shop(settings) and settings.nowpayments_api_key is None,
    )


def plays_shop(settings: Settings) -> bool:
    return settings.takes_crypto and not settings.has_real_telegram


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
        dexscreener_url=world.dexscreener.url if world.dexscreener else settings.dexscreener_url or DEXSCREENER_URL,
        geckoterminal_url=world.gecko.url if world.gecko else settings.geckoterminal_url or GECKOTERMINAL_URL,
        redis_url=world.redis_url or settings.redis_url or "",
        database_url=world.postgres_dsn or settings.database_url or "",
        listen_token=settings.listen_token.get_secret_value() if settings.listen_token else secrets.token_urlsafe(24),
        channels=channel_access(settings, world),
        rugcheck_url=world.rugcheck.url if world.rugcheck else settings.rugcheck_url or RUGCHECK_URL,
        goplus_url=world.goplus.url if world.goplus else settings.goplus_url or GOPLUS_URL,
        birdeye_url=settings.birdeye_url,
        birdeye_key=settings.birdeye_api_key.get_secret_value() if settings.birdeye_api_key else "",
        sessions=session_access(settings),
        messages_per_s=settings.telegram_messages_per_second,
        solana=solana_access(settings, world),
        nowpayments=nowpayments_access(settings, world),
    )


def channel_access(settings: Settings, world: World) -> ChannelAccess:
    played, per_minute = world.channels, settings.channel_requests_per_minute
    return ChannelAccess(
        url=played.url if played else settings.preview_url or PREVIEW_URL,
        channels=settings.channels or (played.names if played else ()),
        requests_per_s=(per_minute or (1200 if played else 120)) / 60,
        pause_s=settings.channel_pause_s or (1.0 if played else 10.0),
    )


def solana_access(settings: Settings, world: World) -> SolanaAccess | None:
    if world.solana:
        played = world.solana
        return SolanaAccess(wallet=played.merchant, usdc_mint=played.usdc_mint, rpc_urls=(played.chain.url,))
    if settings.solana_wallet is None or not settings.takes_crypto:
        return None
    return SolanaAccess(
        wallet=settings.solana_wallet,
        usdc_mint=settings.solana_usdc_mint,
        rpc_urls=settings.solana_rpc_urls or (MAINNET_URL,),
    )


def nowpayments_access(settings: Settings, world: World) -> NowPaymentsAccess | None:
    processor, key, secret = world.nowpayments, settings.nowpayments_api_key, settings.nowpayments_ipn_secret
    if processor:
        return NowPaymentsAccess(url=processor.url, api_key=processor.api_key, **processor.credentials)
    if key is None or not settings.takes_crypto:
        return None
    password = settings.nowpayments_password
    return NowPaymentsAccess(
        url=settings.nowpayments_api_url,
        api_key=key.get_secret_value(),
        ipn_secret=secret.get_secret_value() if secret else "",
        email=settings.nowpayments_email or "",
        password=password.get_secret_value() if password else "",
    )


def place(settings: Settings, role: Role, shard: Shard | None) -> ProcessConfig:
    """Name this process: the same after a restart, another in every data directory, role and share."""
    path = settings.data_dir / "instance"
    if not path.exists():
        path.write_text(secrets.token_hex(4))
    share = f"-{shard.index}of{shard.count}" if shard else ""
    return ProcessConfig(
        role=role, shard=shard, owner=f"{path.read_text().strip()}-{role}{share}", directory=settings.data_dir
    )


@asynccontextmanager
async def http_edge(settings: Settings, composition: Composition) -> AsyncGenerator[HttpServer]:
    """Serve /healthz, /readyz and /metrics, and what features bring."""
    token = settings.metrics_token
    app = create_app(
        alive=composition.alive,
        health=composition.of(MonitoringServices).monitor.health_document,
        metrics=composition.metrics.registry,
        routes=composition.routes,
        token=token.get_secret_value() if token else None,
    )
    async with HttpServer(app, settings.http_host, settings.http_port) as server:
        yield server


async def run(settings: Settings, at_place: ProcessConfig, *, seconds: float | None, terminal: Terminal) -> int:
    """Start everything, work until Ctrl-C, SIGTERM or `seconds` have passed, drain, and give the exit code."""
    started_at = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    async with AsyncExitStack() as stack:
        if at_place.role != "all" and (lacking := lacks(settings, at_place.role)):
            raise FatalError(" ".join(lacking))
        world = await stack.enter_async_context(world_of(settings, terminal))
        at = addresses(settings, world)
        terminal.show_parts(part_list(settings, at))
        local_store = settings.data_dir / "local.sqlite" if at_place.role == "all" else None
        written = settings.data_dir / f"redis-written-{at_place.owner}"
        parts = await connect(at, stack, local_store=local_store, data_dir=settings.data_dir, written=written)
        composition = Composition(settings, parts, terminal, at_place)
        loop.add_signal_handler(signal.SIGHUP, composition.of(MonitoringServices).log_level.reread)
        await prepare_schema(at.database_url, composition, terminal)
        if world.redis_lacks_writes:
            terminal.say("The machine went down while Redis ran: it is filled from PostgreSQL.")
        if at_place.role in SENDING:
            await stack.enter_async_context(composition.connections.telegram.opened())
        server = await stack.enter_async_context(http_edge(settings, composition))
        composition.of(OwnFeed).serves_at(settings.http_host, server.port)
        if world.telegram:
            composition.edge.listens_at(f"http://{settings.http_host}:{server.port}")
        terminal.say(f"Health: http://{settings.http_host}:{server.port}/healthz")
        if world.telegram:
            terminal.say(f"Chat page: {world.telegram.url}/")
        terminal.say(f"Ready after {time.monotonic() - started_at:.1f} s. Ctrl-C ends it.")
        terminal.say(SPEED_EXPLAINED)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        await composition.bot.run(stop, drain_s=DRAIN_S)
        summary = summarise(
            composition.metrics,
            left=await left_in_outbox(composition),
            twice=world.sent_twice,
            is_all=at_place.role == "all",
        )
    terminal.show_summary(summary)
    return summary.exit_code


async def left_in_outbox(composition: Composition) -> Left:
    """Count what is sent at the next start; an embedded Redis may just be coming back."""
    count = partial(count_left, composition.connections.redis, composition.of(Spool))
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_POLL_S):
            return await retry_until_done(count)
    return await count()


async def prepare_schema(database_url: str, composition: Composition, terminal: Terminal) -> None:
    """Bring the schema up to date, or let the journal do it when PostgreSQL can be reached."""
    try:
        await migrate(database_url)
    except PostgresSchemaError as error:
        raise FatalError(f"{error}: create the database that DATABASE_URL names, or correct it.") from error
    except TransientError as error:
        terminal.say(f"PostgreSQL cannot be reached; trying on. ({error})")
        composition.of(Journal).prepare = partial(migrate, database_url)


def world_of(
    settings: Settings, terminal: Terminal, *, is_shown: bool = True, joins: bool = False
) -> AbstractAsyncContextManager[World]:
    """Start what has no address. `is_shown`: the chat page on its own port; `joins`: beside a bot that runs."""
    return open_world(
        wants(settings),
        data_dir=settings.data_dir,
        port=settings.sandbox_port if is_shown else 0,
        demo=is_shown,
        calls_per_s=settings.sandbox_calls_per_minute / 60,
        redis_complete_key=keys.EPOCH.of(),
        joins=joins,
        say=terminal.say,
    )


async def doctor(settings: Settings, terminal: Terminal) -> int:
    """Check every dependency, say what is wrong and how to mend it; 1 if anything is."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(world_of(settings, terminal, is_shown=False, joins=True))
        at = addresses(settings, world)
        parts = await connect(at, stack)
        findings = await examine(
            data_dir=settings.data_dir,
            redis=parts.redis,
            postgres=parts.postgres,
            telegram=parts.telegram,
            source=None if at.source == "channels" else parts.source,
            sol_price=parts.sol_price,
            surroundings=surroundings(settings),
            more={
                **read_from(settings, parts, at.source),
                **asked_for_figures(parts),
                **paid_by(settings, parts, is_sandbox=world.nowpayments is not None),
            },
        )
    terminal.show_findings(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def migrate_only(settings: Settings, terminal: Terminal, *, back_to: str | None) -> int:
    async with AsyncExitStack() as stack:
        database_url = settings.migrations_database_url or settings.database_url
        if database_url is None:
            world = await stack.enter_async_context(world_of(settings, terminal, is_shown=False))
            database_url = addresses(settings, world).database_url
        await (downgrade(database_url, back_to) if back_to else migrate(database_url))
    terminal.say(f"The schema is that of {back_to} again." if back_to else "The schema is up to date.")
    return 0


def feed_part(at: Addresses, missing: Wants) -> Part:
    if at.source == "channels" and at.channels:
        return Part(f"channels ({len(at.channels.channels)} configured)", not missing.channels, at.channels.url)
    return Part(f"feed ({at.source})", not missing.feed, at.feed_url)


def part_list(settings: Settings, at: Addresses) -> list[Part]:
    missing = wants(settings)
    return [
        Part("Telegram", not missing.telegram, at.telegram_api_base),
        feed_part(at, missing),
        *([Part("SOL price", not missing.prices, at.price_api_url)] if at.source == "pumpportal" else []),
        Part("Redis", not missing.redis, at.redis_url),
        Part("PostgreSQL", not missing.postgres, at.database_url),
        *([Part("Solana", not missing.solana, at.solana.rpc_urls[0])] if at.solana else []),
        *([Part("NOWPayments", not missing.nowpayments, at.nowpayments.url)] if at.nowpayments else []),
    ]


def main() -> int:
    chosen, terminal = arguments(__doc__), Terminal()
    try:
        settings = load_settings()
        if settings.fault_point:
            points.arm(settings.fault_point)
        if settings.fault_clock_file:
            now.shift_by(settings.fault_clock_file)
        pace.factor = settings.fault_pace
        keep_private(settings.data_dir, passed_by=frozenset({POSTGRES}))
        ours = filter(None, (settings.solana_wallet, settings.solana_usdc_mint))
        is_asked = chosen.command == "doctor"  # its table is the answer; what else there is to say is in the files
        configure_logging(
            level=settings.log_level,
            directory=settings.logs,
            stream=None if is_asked else sys.stderr,
            form=settings.log_format,
            redactor=Redactor(settings.secrets, ours),
        )
        with asyncio.Runner(loop_factory=event_loop) as runner:
            match chosen.command:
                case "doctor":
                    return runner.run(doctor(settings, terminal))
                case "login":
                    return login(settings, terminal, chosen.name, runner)
                case "migrate":
                    return runner.run(migrate_only(settings, terminal, back_to=chosen.to))
                case _:
                    for one in unread_names():
                        terminal.say(str(one))
                    if chosen.role == "listen":
                        settings = settings.for_listener()
                    here = place(settings, chosen.role, chosen.shard)
                    return runner.run(run(settings, here, seconds=chosen.seconds, terminal=terminal))
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
