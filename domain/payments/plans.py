"""Plans: what can be bought, as the operator wrote it in `config/plans.toml`. Names are texts: `plan.<key>`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

from msgspec import Struct

from domain.filters.presets import read_tables, refuse_unknown
from runtime.errors import FatalError

TRIAL: Final = "trial"
MAX_DAYS: Final = 3660
MAX_FILTER_SETS: Final = 100
MAX_PRICE_USD: Final = 100_000


class Plan(Struct, frozen=True, kw_only=True):
    key: str
    days: int
    """How long it lasts, from 1."""
    price_usd: Decimal
    """In whole cents; zero for the trial and for nothing else."""
    filter_sets: int
    """How many filter sets a subscriber may have, from 1."""


def load_plans(text: str) -> tuple[Plan, ...]:
    """The plans in the order of the file, the trial among them.

    Raises `FatalError` naming the line or the key that is wrong.
    """
    plans = tuple(_plan(key, table) for key, table in read_tables(text, "plans.toml").items())
    if all(plan.key != TRIAL for plan in plans):
        raise FatalError(f"plans.toml: [{TRIAL}] is missing")
    return plans


def _plan(key: str, table: dict[str, Any]) -> Plan:
    where = f"plans.toml: [{key}]"
    refuse_unknown(table, {"days", "price_usd", "filter_sets"}, where)
    price_usd = _price(table.get("price_usd"), where)
    if (price_usd == 0) != (key == TRIAL):
        raise FatalError(f"{where} price_usd: the trial is free and nothing else is")
    return Plan(
        key=key,
        days=_whole_number(table.get("days"), MAX_DAYS, f"{where} days"),
        price_usd=price_usd,
        filter_sets=_whole_number(table.get("filter_sets"), MAX_FILTER_SETS, f"{where} filter_sets"),
    )


def _whole_number(value: object, largest: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise FatalError(f"{where}: expected a whole number from 1 to {largest}")
    return value


def _price(value: object, where: str) -> Decimal:
    """From text: a float would not be the price that was written."""
    problem = f'{where} price_usd: expected text in whole cents such as "29.00", at most {MAX_PRICE_USD}'
    if not isinstance(value, str):
        raise FatalError(problem)
    try:
        price = Decimal(value)
    except InvalidOperation as error:
        raise FatalError(problem) from error
    if not price.is_finite() or not 0 <= price <= MAX_PRICE_USD or price != round(price, 2):
        raise FatalError(problem)
    return round(price, 2)
