"""Where every outside part is, and the connections to them. Opens nothing that cannot be reopened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from bot.roles import Role
from composition.addresses import Addresses, ChannelAccess, NowPaymentsAccess, SessionAccess, SolanaAccess, variables_of
from composition.figures import figure_providers, lookups
from managers.channels.base import ChannelReader, ListeningAccount
from managers.channels.preview import TelegramPreview
from managers.channels.session import TelegramSession, files_in
from managers.feed.sources.base import Source
from managers.feed.sources.native import NativeSource
from managers.feed.sources.pumpportal import PumpPortalSource
from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from managers.payments.solana_rpc import SolanaRpcManager
from managers.pictures.maker import PictureMaker
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.figures import FigureProvider
from managers.providers.geckoterminal import GeckoTerminalManager
from managers.providers.jupiter import JupiterManager, SolPrice
from managers.providers.lookup import TokenLookup
from managers.redis.client import RedisManager
from managers.redis.written import WrittenNote
from managers.storage.postgres import PostgresManager
from managers.storage.sqlite import SqliteManager
from managers.telegram.client import TelegramManager
from managers.telegram.rate_limiter import Limit, TelegramRateLimiter
from managers.telegram.send_windows import OVERALL
from runtime.errors import FatalError
from runtime.waiting import passed_s
from services.cluster.members import Shard
from services.payments.rates import SolPrices
from services.providers.price_source import PriceProvider
from services.providers.price_sources import Candles
from services.stores.local_store import LocalStore

OWN_FEED_URL = "ws://127.0.0.1/feed"


@dataclass(frozen=True, slots=True)
class ChannelConnection:
    reader: ChannelReader
    access: ChannelAccess


@dataclass(frozen=True, kw_only=True, slots=True)
class SolanaConnection:
    access: SolanaAccess
    rpc: SolanaRpcManager
    prices: tuple[SolPrices, SolPrices]
    """Independent of each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NowPaymentsConnection:
    access: NowPaymentsAccess
    manager: NowPaymentsManager


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessConfig:
    """Which part of the work this process has."""

    role: Role = "all"
    shard: Shard | None = None
    owner: str = "bot"
    """The same after a restart, different for every process."""
    directory: Path | None = None
    """Where this process may keep something of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connections:
    redis: RedisManager
    postgres: PostgresManager
    telegram: TelegramManager
    api: APIRetryManager
    source: Source
    sol_price: SolPrice | None
    """Only a feed that counts in SOL needs it."""
    limiter: TelegramRateLimiter
    database_url: str
    pictures: PictureMaker
    solana: SolanaConnection | None = None
    nowpayments: NowPaymentsConnection | None = None
    figure_providers: Sequence[FigureProvider] = ()
    """Who may be asked about tokens; nobody where the feed says all there is."""
    price_providers: Sequence[PriceProvider] = ()
    """Who may be asked for prices, in the order of trust."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """By host, what to check where it does not let us in."""
    candles: Candles | None = None
    listen_token: str = ""
    channels: ChannelConnection | None = None
    accounts: Sequence[ListeningAccount] = ()
    """Accounts of Telegram that may listen to channels."""
    lookups: Sequence[TokenLookup] = ()
    """Who may be asked what a pool trades, in the order of trust."""
    store: LocalStore | None = None
    """Where a process that does everything goes on without Redis."""
    data_dir: Path | None = None
    """Where this process keeps what it has to know again after a restart."""


async def connect(
    at: Addresses,
    stack: AsyncExitStack,
    *,
    local_store: Path | None = None,
    data_dir: Path | None = None,
    written: Path | None = None,
) -> Connections:
    """Make every connection; `stack` closes them. Telegram is entered later, when its handlers stand.

    `written`: where it is noted that Redis may lack what it has answered.
    """
    session = await stack.enter_async_context(aiohttp.ClientSession())
    api = APIRetryManager(session, clock=passed_s)
    redis = await stack.enter_async_context(RedisManager(at.redis_url, written=_note(written, stack)))
    postgres = await stack.enter_async_context(PostgresManager(at.database_url))
    telegram, limiter = _telegram(at)
    jupiter = JupiterManager(api, at.price_api_url) if at.price_api_url else None
    providers = _providers(api, at)
    source, sol_price = _feed(at, api, jupiter)
    sol_prices = [one for one in (jupiter, *providers) if isinstance(one, JupiterManager | DexScreenerManager)]
    return Connections(
        source=source,
        sol_price=sol_price,
        figure_providers=figure_providers(at, api, jupiter),
        lookups=lookups(at, api),
        channels=ChannelConnection(TelegramPreview(session, at.channels.url), at.channels) if at.channels else None,
        accounts=_accounts(at.sessions) if at.sessions else (),
        variables=variables_of(at),
        price_providers=[*([jupiter] if jupiter else ()), *providers],
        candles=next((one for one in providers if isinstance(one, GeckoTerminalManager)), None),
        redis=redis,
        postgres=postgres,
        database_url=at.database_url,
        listen_token=at.listen_token,
        telegram=telegram,
        pictures=await stack.enter_async_context(PictureMaker()),
        api=api,
        limiter=limiter,
        solana=await _solana(at.solana, sol_prices, stack) if at.solana else None,
        nowpayments=_nowpayments(at.nowpayments, api) if at.nowpayments else None,
        store=await _store(local_store, stack) if local_store else None,
        data_dir=data_dir,
    )


def _note(path: Path | None, stack: AsyncExitStack) -> WrittenNote:
    note = WrittenNote(path)
    stack.callback(note.close)
    return note


def _telegram(at: Addresses) -> tuple[TelegramManager, TelegramRateLimiter]:
    limiter = TelegramRateLimiter(overall=Limit(at.messages_per_s, OVERALL.period_s), private=at.private_chats)
    return TelegramManager(token=at.telegram_token, api_base=at.telegram_api_base, limiter=limiter), limiter


async def _store(path: Path, stack: AsyncExitStack) -> LocalStore:
    return await stack.enter_async_context(LocalStore(await stack.enter_async_context(SqliteManager(path))))


def _feed(at: Addresses, api: APIRetryManager, jupiter: JupiterManager | None) -> tuple[Source, SolPrice | None]:
    if at.source == "channels":
        # Where it is served is known when it is.
        url, token = OWN_FEED_URL, at.listen_token
        return NativeSource(url, name=at.source, api_url=url, token=token, api=api, has_figures=False), None
    if at.source == "native":
        return NativeSource(at.feed_url, api_url=at.feed_api_url, token=at.feed_token, api=api), None
    jupiter = jupiter or JupiterManager(api)
    sol_price = SolPrice(jupiter)
    source = PumpPortalSource(sol_price_usd=sol_price.value, url=at.feed_url, api_key=at.feed_token)
    return source, sol_price


def _accounts(access: SessionAccess) -> list[TelegramSession]:
    files = files_in(access.places)
    if twice := {file.stem for file in files if [other.stem for other in files].count(file.stem) > 1}:
        raise FatalError(f"Two session files are called {min(twice)}: rename one, the name is that of its account.")
    return [TelegramSession.of_file(file, access.api_id, access.api_hash) for file in files]


def _providers(api: APIRetryManager, at: Addresses) -> list[DexScreenerManager | GeckoTerminalManager]:
    found: list[DexScreenerManager | GeckoTerminalManager] = []
    if at.dexscreener_url:
        found.append(DexScreenerManager(api, at.dexscreener_url))
    if at.geckoterminal_url:
        found.append(GeckoTerminalManager(api, at.geckoterminal_url))
    return found


async def _solana(access: SolanaAccess, prices: Sequence[SolPrices], stack: AsyncExitStack) -> SolanaConnection:
    """`prices`: who may be asked what SOL costs, two of them at least."""
    if len(prices) < 2:  # noqa: PLR2004 - one has to agree with the other
        raise FatalError("Plans are sold for SOL only where Jupiter and DexScreener can be asked what it costs.")
    rpc = await stack.enter_async_context(SolanaRpcManager(access.rpc_urls))
    return SolanaConnection(access=access, rpc=rpc, prices=(prices[0], prices[1]))


def _nowpayments(access: NowPaymentsAccess, api: APIRetryManager) -> NowPaymentsConnection:
    manager = NowPaymentsManager(
        api, api_key=access.api_key, base_url=access.url, email=access.email, password=access.password
    )
    return NowPaymentsConnection(access=access, manager=manager)
