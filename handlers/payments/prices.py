"""Prices and times, as invoices and plans show them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from domain.delivery.quiet import zone_of
from domain.subscribers.zones import show_zone


def price(price_usd: Decimal) -> str:
    whole = price_usd == price_usd.to_integral_value()
    return f"${price_usd:,.0f}" if whole else f"${price_usd:,.2f}"


def ends(at: datetime, now: datetime, zone: str) -> str:
    """Return the time of day in somebody's zone, which it names; the day, too, unless it is today."""
    local = at.astimezone(zone_of(zone))
    is_today = local.date() == now.astimezone(zone_of(zone)).date()
    return f"{local:%H:%M} ({show_zone(zone)})" if is_today else f"{local:%d %b %H:%M} ({show_zone(zone)})"
