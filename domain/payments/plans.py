"""Plans: what can be bought, as the operator wrote it in `config/plans.toml`. Names are texts: `plan.<key>`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

from msgspec import Struct

from domain.filters.presets import read_tables, refuse_unknown
from runtime.errors import FatalError

FREE: Final = "free"
TRIAL: Final = "trial"
DAYS: Final = {1: 30, 3: 90, 6: 180, 12: 365}
"""By months that a plan can be bought for."""
MAX_TRIAL_DAYS: Final = 90
MAX_FILTER_SETS: Final = 100
MAX_ALERTS_PER_HOUR: Final = 100_000
MAX_WATCHES: Final = 1_000
WATCHES: Final = 10
"""Where a plan does not say it."""
MAX_DELAY_MINUTES: Final = 1_440
MAX_PRICE_USD: Final = 100_000
MAX_STARS: Final = 25_000
"""Telegram's limit for one invoice."""
_LIMITS: Final = {"filter_sets", "alerts_per_hour", "watches"}


class Offer(Struct, frozen=True, kw_only=True):
    """A plan for some months."""

    plan: str
    months: int
    days: int
    price_usd: Decimal
    """In whole cents, above zero."""
    stars: int | None = None
    """`None`: not sold for Stars."""


class Plan(Struct, frozen=True, kw_only=True):
    key: str
    filter_sets: int
    """How many filter sets a subscriber may have, from 1."""
    alerts_per_hour: int | None = None
    """`None`: as many as pass."""
    watches: int = WATCHES
    """How many personal alerts a subscriber may have at once."""
    delay: timedelta = timedelta(0)
    """Alerts are due so long after the decision."""
    offers: tuple[Offer, ...] = ()
    """Shortest first; none for what is not sold."""


class Plans(Struct, frozen=True, kw_only=True):
    free: Plan | None
    """What everybody has whose plan has ended; `None`: nothing."""
    trial: Plan
    trial_days: int
    sold: tuple[Plan, ...]
    """In the order of the file."""

    def of(self, key: str) -> Plan:
        """Return a plan; one that is sold no more holds what the trial does."""
        return next((plan for plan in self._all() if plan.key == key), self.trial)

    def offer(self, key: str, months: int) -> Offer | None:
        return next((one for plan in self.sold if plan.key == key for one in plan.offers if one.months == months), None)

    def _all(self) -> Iterator[Plan]:
        yield from self.sold
        yield self.trial
        if self.free:
            yield self.free


def load_plans(text: str) -> Plans:
    """Read the file. Raises `FatalError` naming the line or the key that is wrong."""
    tables = read_tables(text, "plans.toml")
    trial = tables.pop(TRIAL, None)
    if trial is None:
        raise FatalError(f"plans.toml: [{TRIAL}] is missing")
    free = tables.pop(FREE, None)
    days = _whole_number(trial.pop("days", None), MAX_TRIAL_DAYS, f"plans.toml: [{TRIAL}] days")
    return Plans(
        free=None if free is None else _free(free),
        trial=_plan(TRIAL, trial),
        trial_days=days,
        sold=tuple(_sold(key, table) for key, table in tables.items()),
    )


def _free(table: dict[str, Any]) -> Plan:
    where = f"plans.toml: [{FREE}] delay_minutes"
    minutes = table.pop("delay_minutes", None)
    if minutes is not None:
        minutes = _whole_number(minutes, MAX_DELAY_MINUTES, where)
    return _plan(FREE, table, delay=timedelta(minutes=minutes or 0))


def _sold(key: str, table: dict[str, Any]) -> Plan:
    where = f"plans.toml: [{key}.months]"
    months = table.pop("months", None)
    if not isinstance(months, dict) or not months:
        raise FatalError(f"{where}: expected a price for {', '.join(map(str, DAYS))} months, or some of them")
    offers = [_offer(key, name, price, where) for name, price in cast("dict[str, object]", months).items()]
    return _plan(key, table, offers=tuple(sorted(offers, key=lambda offer: offer.months)))


def _plan(key: str, table: dict[str, Any], *, delay: timedelta = timedelta(0), offers: tuple[Offer, ...] = ()) -> Plan:
    where = f"plans.toml: [{key}]"
    refuse_unknown(table, _LIMITS, where)
    per_hour = table.get("alerts_per_hour")
    if per_hour is not None:
        per_hour = _whole_number(per_hour, MAX_ALERTS_PER_HOUR, f"{where} alerts_per_hour")
    return Plan(
        key=key,
        filter_sets=_whole_number(table.get("filter_sets"), MAX_FILTER_SETS, f"{where} filter_sets"),
        alerts_per_hour=per_hour,
        watches=_whole_number(table.get("watches", WATCHES), MAX_WATCHES, f"{where} watches"),
        delay=delay,
        offers=offers,
    )


def _offer(key: str, name: str, price: object, where: str) -> Offer:
    months = int(name) if name.isdecimal() else 0
    if months not in DAYS or not isinstance(price, dict):
        raise FatalError(
            f'{where} {name}: expected {", ".join(map(str, DAYS))} = {{ price_usd = "29.00", stars = 100 }}'
        )
    table = cast("dict[str, Any]", price)
    refuse_unknown(table, {"price_usd", "stars"}, f"{where} {name}")
    stars = table.get("stars")
    return Offer(
        plan=key,
        months=months,
        days=DAYS[months],
        price_usd=_price(table.get("price_usd"), f"{where} {name}"),
        stars=None if stars is None else _whole_number(stars, MAX_STARS, f"{where} {name} stars"),
    )


def _whole_number(value: object, largest: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise FatalError(f"{where}: expected a whole number from 1 to {largest}")
    return value


def _price(value: object, where: str) -> Decimal:
    """From text: a float would not be the price that was written."""
    problem = f'{where} price_usd: expected text in whole cents above zero such as "29.00", at most {MAX_PRICE_USD}'
    if not isinstance(value, str):
        raise FatalError(problem)
    try:
        price = Decimal(value)
    except InvalidOperation as error:
        raise FatalError(problem) from error
    if not price.is_finite() or not 0 < price <= MAX_PRICE_USD or price != round(price, 2):
        raise FatalError(problem)
    return round(price, 2)
