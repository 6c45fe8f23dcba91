"""Telethon, which is installed only where accounts listen."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from runtime.errors import FatalError


def telethon() -> Any:
    """Return the library with its errors, events and requests. `FatalError` where it is not installed."""
    try:
        library = import_module("telethon")
        import_module("telethon.tl.functions")
    except ImportError as error:
        raise FatalError(
            "Accounts listen by Telethon, which is not installed: pip install -r requirements-session.txt"
        ) from error
    return library
