"""A number with the word that fits it, for the terminal and for logs: `1 subscriber`, `2,000 subscribers`.

What people read in the chat is in `texts/`, where a text has both words itself.
"""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """`many`: where it is not the same with an s."""
    return f"{count:,} {fitting(count, one, many)}"


def fitting(count: int, one: str, many: str | None = None) -> str:
    """Return the word alone, as in `is` or `are`."""
    return one if count == 1 else many or f"{one}s"
