"""Where people and processors reach this process from outside."""

from __future__ import annotations


class EdgeAddress:
    def __init__(self, public_url: str | None = None) -> None:
        self._url = public_url

    def at(self, path: str) -> str | None:
        """Return the URL of a path; `None` where nobody outside reaches it."""
        return f"{self._url.rstrip('/')}{path}" if self._url else None

    def listens_at(self, url: str) -> None:
        """Say where it can be reached although nobody named an address: on this machine, in the sandbox."""
        self._url = self._url or url
