"""What Redis answers, read into what it means."""

from __future__ import annotations

from typing import cast

Reply = bytes | int | list["Reply"] | None


class StreamEntry:
    """One entry of a stream; `fields` is empty when the entry was deleted while somebody still held it."""

    __slots__ = ("fields", "id")

    def __init__(self, entry_id: str, fields: dict[str, bytes]) -> None:
        self.id = entry_id
        self.fields = fields

    @property
    def added_at_ms(self) -> int:
        """Milliseconds since the epoch, by the clock of the server."""
        return int(self.id.partition("-")[0])


def text(reply: Reply) -> str:
    return cast("bytes", reply).decode()


def pairs(reply: Reply) -> dict[str, bytes]:
    """Read a flat list of names and values; `None` stands for a deleted entry."""
    flat = cast("list[bytes]", reply or [])
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def info(reply: Reply) -> dict[str, str]:
    """Read what INFO says."""
    lines = (line.partition(":") for line in text(reply).splitlines())
    return {name: value for name, colon, value in lines if colon}


def entries(reply: Reply) -> list[StreamEntry]:
    found: list[StreamEntry] = []
    for item in cast("list[list[Reply] | None]", reply or []):
        if item is not None:
            entry_id, fields = item
            found.append(StreamEntry(text(entry_id), pairs(fields)))
    return found


def entries_of_one_stream(reply: Reply) -> list[StreamEntry]:
    return entries(cast("list[list[Reply]]", reply)[0][1]) if reply else []
