"""A word that was typed with one slip."""

from __future__ import annotations

from collections.abc import Iterable


def one_slip_from(typed: str, known: Iterable[str]) -> str | None:
    """Return the one known word that is a letter away: one more, one less, another one, or two of them swapped.

    `None` where there is none, and where there are several.
    """
    near = [word for word in known if _is_one_slip(typed, word)]
    return near[0] if len(near) == 1 else None


def _is_one_slip(one: str, other: str) -> bool:
    """Whether they differ by one slip; equal ones do not."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1 or short == long:
        return False
    start = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = short[start : start + 2][::-1] + short[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or swapped == long[start:]
