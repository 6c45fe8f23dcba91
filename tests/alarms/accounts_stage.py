"""An account that listens, for the scenes that need one: Telethon is an extra, and asked for only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from composition.connections import Connections
from managers.channels.session import TelegramSession

FILE = "ada.session"


def listened_to(connections: Connections, parts: dict[str, Any], data_dir: Path) -> Connections:
    """Add an account, and Telegram's side of it as `parts["accounts"]`."""
    pytest.importorskip("telethon")
    from tests.channels.telegram_account import Client, Telegram

    telegram = parts["accounts"] = Telegram()
    file = data_dir / FILE
    file.write_text("the first login")
    account = TelegramSession("ada", lambda: Client(telegram, "ada"), file=file)
    return replace(connections, accounts=[account])
