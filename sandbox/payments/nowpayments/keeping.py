"""What the processor remembers over a restart: payments, invoices, and the port of the pages that it has given out."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from sandbox.payments.nowpayments.records import Invoice, Payment

_KEPT = 500
"""Of the newest of each."""


class Kept(Struct, kw_only=True):
    port: int = 0
    payments: list[Payment] = []
    invoices: list[Invoice] = []


def load(path: Path) -> Kept:
    """Read what was kept; a file that cannot be read is as good as none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        return Kept()


def save(path: Path, kept: Kept) -> None:
    """Write it in the place of what was there, whole or not at all."""
    newest = Kept(port=kept.port, payments=kept.payments[-_KEPT:], invoices=kept.invoices[-_KEPT:])
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.encode(newest))
    written.replace(path)
