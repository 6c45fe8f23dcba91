"""Asks every dependency once and says in one sentence what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import structlog

from bot.doctor.feed import feed_check, past_check
from bot.doctor.surroundings import Check, Finding, UnhealthyError
from managers.feed.sources.base import Source
from managers.providers.jupiter import SolPrice
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from managers.telegram.client import TelegramManager
from runtime.errors import BotError, FatalError
from runtime.reasons import in_short

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TIMEOUT_S = 15.0
MIN_REDIS = (6, 2)
MIN_POSTGRES = 140_000


async def examine(
    *,
    data_dir: Path,
    redis: RedisManager,
    postgres: PostgresManager,
    telegram: TelegramManager,
    source: Source | None,
    sol_price: SolPrice | None,
    surroundings: Mapping[str, Check],
    more: Mapping[str, Check],
) -> list[Finding]:
    """Ask everything at once; each part answers for itself. `surroundings`: what no connection is needed for.

    `source`: `None` where the calls come from channels, which are among `more`.
    """
    checks: dict[str, Check] = {
        **surroundings,
        "data directory": partial(_writable, data_dir),
        "Redis": partial(_redis, redis),
        "PostgreSQL": partial(_postgres, postgres),
        "Telegram": partial(_telegram, telegram),
    }
    if source:
        checks["feed"] = partial(feed_check, source)
        if source.replays:
            checks["feed's HTTP side"] = partial(past_check, source)
    if sol_price:
        checks["SOL price"] = partial(_sol_price, sol_price)
    checks |= more
    return list(await asyncio.gather(*(_examine_one(part, check) for part, check in checks.items())))


async def _examine_one(part: str, check: Check) -> Finding:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return Finding(part, ok=True, sentence=await check())
    except TimeoutError:
        return Finding(part, ok=False, sentence=f"No answer within {TIMEOUT_S:g} s: check address and network.")
    except BotError as error:
        return Finding(part, ok=False, sentence=str(error))
    except Exception as error:
        log.exception("check_failed", part=part)
        return Finding(part, ok=False, sentence=f"This check broke ({in_short(repr(error))}): see the log, bot.log.")


async def _writable(directory: Path) -> str:
    try:
        with tempfile.TemporaryFile(dir=directory):
            return str(directory)
    except OSError as error:
        raise UnhealthyError(
            f"{directory} cannot be written ({error.strerror}): change its owner or DATA_DIR."
        ) from error


async def _redis(redis: RedisManager) -> str:
    try:
        version = await redis.server_version()
    except BotError as error:
        raise UnhealthyError(
            f"Redis does not answer ({in_short(error)}): check REDIS_URL and that the server runs."
        ) from error
    if version < MIN_REDIS:
        raise UnhealthyError(f"Redis {_dotted(version)} is too old: 6.2 or newer is needed.")
    return f"version {_dotted(version)}"


async def _postgres(postgres: PostgresManager) -> str:
    try:
        row = await postgres.fetch_row("SELECT current_setting('server_version_num')::int AS version")
    except BotError as error:
        raise UnhealthyError(
            f"PostgreSQL does not answer ({in_short(error)}): check DATABASE_URL and that the server runs."
        ) from error
    version = row["version"] if row else 0
    if version < MIN_POSTGRES:
        raise UnhealthyError(f"PostgreSQL {version // 10_000} is too old: 14 or newer is needed.")
    return f"version {version // 10_000}.{version % 10_000}"


async def _telegram(telegram: TelegramManager) -> str:
    try:
        async with telegram:
            me = await telegram.me()
    except FatalError as error:
        raise UnhealthyError(f"{str(error).rstrip('.')}: check TELEGRAM_BOT_TOKEN.") from error
    except BotError as error:
        raise UnhealthyError(
            f"Telegram cannot be reached ({in_short(error)}): check the network, and TELEGRAM_API_BASE if it is set."
        ) from error
    return f"@{me.username}"


async def _sol_price(sol_price: SolPrice) -> str:
    try:
        await sol_price.refresh()
    except BotError as error:
        raise UnhealthyError(
            f"No SOL price ({in_short(error)}): without it launches have no value in dollars; check PRICE_API_URL."
        ) from error
    return f"{sol_price.value():g} USD"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
