"""Pictures and films of tokens: which goes with a card, and under which id Telegram already has it.

Nothing is ever fetched here: Telegram gets the address, or the id that it gave us for an earlier message.
"""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import urlsplit

import structlog

from domain.calls.events import Token
from domain.delivery.messages import Media, MediaKind
from managers.redis.client import RedisManager
from managers.storage.cache import SmartCache
from runtime.errors import TransientError
from services.stores import keys

log = structlog.get_logger(__name__)

MAX_ADDRESS_LENGTH: Final = 2_048
REFUSED: Final = ""
"""Stands for the file id of an address that Telegram could not use; kept in memory only."""


def media_of(token: Token) -> Media | None:
    """Choose the liveliest of what the token has and Telegram could fetch."""
    offered: tuple[tuple[MediaKind, str | None], ...] = (
        ("video", token.video_url),
        ("animation", token.animation_url),
        ("photo", token.image_url),
    )
    return next((Media(kind, url) for kind, url in offered if url and is_fetchable(url)), None)


def is_fetchable(url: str) -> bool:
    """Whether this is a plain http(s) address of a host that everybody could reach, and nothing else."""
    if len(url) > MAX_ADDRESS_LENGTH or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and "." in (host or "") and parts.username is None


class MediaFiles:
    """What Telegram has by now. Losing all of it costs nothing but an upload from the address."""

    def __init__(self, redis: RedisManager, cache: SmartCache[str, str | None]) -> None:
        self._redis = redis
        self._cache = cache

    async def known(self, media: Media) -> Media | None:
        """Return the media by its file id where there is one; `None` where Telegram refused it lately."""
        try:
            file_id = await self._cache.get_or_load(_digest(media), self._load)
        except TransientError as error:
            log.warning("media_file_unknown", reason=str(error))
            return media
        if file_id == REFUSED:
            return None
        return Media(media.kind, file_id) if file_id else media

    async def note(self, media: Media, file_id: str) -> None:
        """Remember the id under which Telegram now has the file of this address."""
        digest = _digest(media)
        self._cache.put(digest, file_id)
        try:
            await self._redis.set(keys.MEDIA_FILE.of(digest), file_id, ex_s=keys.MEDIA_FILE.expires_s)
        except TransientError as error:
            log.warning("media_file_forgotten", reason=str(error))

    async def refuse(self, media: Media) -> None:
        """Do without this address for as long as the cache keeps it, and forget its file id."""
        digest = _digest(media)
        self._cache.put(digest, REFUSED)
        try:
            await self._redis.delete(keys.MEDIA_FILE.of(digest))
        except TransientError as error:
            log.warning("media_file_kept", reason=str(error))

    async def _load(self, digest: str) -> str | None:
        value = await self._redis.get(keys.MEDIA_FILE.of(digest))
        return None if value is None else value.decode()


def _digest(media: Media) -> str:
    return hashlib.blake2b(f"{media.kind} {media.source}".encode(), digest_size=16).hexdigest()
