"""Somebody is to be forgotten: what is written down about that, before anything is deleted."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Erasure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    number: str
    """On the receipt; unique."""
    user_id: int
    chat_id: int
    language: str
    born_at: datetime | None
    """When their document was made; it tells that one from one that they may have later. `None`: they had none."""
    asked_at: datetime
