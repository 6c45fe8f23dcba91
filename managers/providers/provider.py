"""What everybody who tells of tokens has in common: where it is asked, and how often it may be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from managers.http.api import APIRetryManager
from managers.http.hosts import HostHealth
from managers.http.request_budget import Limit, Room
from runtime.clock import now


class Provider:
    base_url: ClassVar[str]
    """Where it is, unless told otherwise."""
    limit: Limit
    is_guess: ClassVar[bool] = False
    """Nobody has said what the limit is."""

    def __init__(
        self, api: APIRetryManager, base_url: str | None = None, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._api = api
        self._url = (self.base_url if base_url is None else base_url).rstrip("/")
        self._clock = clock
        self.unreadable = 0
        """What stood in its answers and could not be read, and was skipped, since the start."""
        api.limit(self._url, self.limit, is_guess=self.is_guess)

    def host(self) -> HostHealth:
        """How it answers whoever asks it from here."""
        return self._api.health_of(self._url)

    def room(self) -> Room:
        return self._api.room(self._url)
