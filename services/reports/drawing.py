"""Pictures for those who ask for one, and the pictures that everybody gets: made once, then sent by their file id."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from cachetools import LRUCache

from domain.delivery.messages import Media
from domain.reports.figures import Figures, Window
from domain.reports.pictures import Picture
from managers.pictures.maker import PictureError, PictureMaker
from services.delivery.media import MediaFiles
from services.reports.pictures import PictureWords
from services.reports.showing import Reader

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_KEPT: Final = 16
"""Shared pictures in memory, each about 100 kB: those that Telegram does not have yet."""


class Drawing:
    def __init__(self, maker: PictureMaker, words: PictureWords, files: MediaFiles) -> None:
        self.words = words
        self._maker = maker
        self._files = files
        self._kept: LRUCache[str, bytes] = LRUCache(_KEPT)
        self._alone = asyncio.Lock()

    async def draw(self, picture: Picture, *, light: bool) -> bytes:
        """Return a PNG. `PictureError`: without it, then."""
        return await self._maker.draw(picture, dark=not light)

    async def shared(self, reader: Reader, figures: Figures, window: Window, what: str, *, light: bool) -> Media | None:
        """The picture that stands above a report that everybody gets; `None`: it goes without one."""
        name = _name(reader, window, what, light=light)
        media = Media("photo", name)
        known = await self._files.known(media)
        if known is None or known is not media:
            return None if known is None else media
        async with self._alone:
            if name not in self._kept:
                picture = self.words.shared(reader, figures, window)
                if picture is None:
                    return None
                try:
                    self._kept[name] = await self.draw(picture, light=light)
                except PictureError as error:
                    log.warning("report_without_picture", what=what, reason=str(error))
                    return None
        return Media("photo", name, self._kept[name])


def _name(reader: Reader, window: Window, what: str, *, light: bool) -> str:
    """Tell a picture from every other one: the same for all who read it in the same language, on the same clock."""
    style = "light" if light else "dark"
    end = window.end.astimezone(reader.zone)
    return f"report {what} {window.days} {end.isoformat()} {reader.language} {style}"
