"""Entries as GeckoTerminal writes them (JSON:API): what they are, and whom they name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from managers.http.answers import Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from managers.providers.bodies import Body

HEADERS: Final = {"Accept": "application/json;version=20230302"}
TIMEOUT_S: Final = 5.0


class Entries(Struct):
    data: list[Any]
    included: list[Any] = []


_SHAPE: Final[Shape] = msgspec.json.Decoder(Entries)


async def ask(api: APIRetryManager, url: str, include: str) -> Entries | None:
    """Ask once; `None` for what it does not know. `TransientError`."""
    params = {"include": include}
    body = await api.get(url, params=params, headers=HEADERS, timeout_s=TIMEOUT_S, attempts=1, shape=_SHAPE)
    return None if body is None else decoded(_SHAPE, body)


class Entry:
    def __init__(self, value: object) -> None:
        body = Body(value)
        self.id = body.get("id")
        self.kind = body.get("type")
        self.attributes = body.body("attributes")
        self._relations = body.body("relationships")

    def named(self, relation: str) -> object:
        """Id of the one entry that this one names."""
        return self._relations.body(relation).body("data").get("id")

    def all_named(self, relation: str) -> list[object]:
        return [one.get("id") for one in self._relations.body(relation).bodies("data")]


def by_id(entries: Iterable[object], kind: str) -> dict[str, Entry]:
    read = (Entry(entry) for entry in entries)
    return {entry.id: entry for entry in read if entry.kind == kind and isinstance(entry.id, str)}
