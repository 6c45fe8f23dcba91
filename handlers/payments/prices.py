"""Prices and times, as invoices and plans show them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal


def price(price_usd: Decimal) -> str:
    whole = price_usd == price_usd.to_integral_value()
    return f"${price_usd:,.0f}" if whole else f"${price_usd:,.2f}"


def ends(at: datetime, now: datetime) -> str:
    """Return the time of day in UTC; the day, too, unless it is today."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M}" if at.date() == now.astimezone(UTC).date() else f"{at:%d %b %H:%M}"
