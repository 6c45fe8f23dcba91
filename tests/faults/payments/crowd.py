"""Who pays how: honest people in each of the four ways, and some who would like to be given something for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Final, Literal

from domain.payments.invoices import Invoice
from domain.payments.plans import Offer, load_plans

Way = Literal["sol", "usdc", "nowpayments", "stars"]
How = Literal["once", "parts", "by amount", "forked", "failed", "foreign", "dust", "forged", "withdrawn"]
"""`parts`: half of it, then the rest. `by amount`: as an exchange pays, without the reference. `forked`: confirmed,
gone, and sent again. The others pay nothing: with a transaction that fails, a coin of their own making, dust to the
reference, a forged notification, or one that is confirmed and gone for good."""

FIRST_PAYER_ID: Final = 5_000_000
PLANS: Final = load_plans((Path(__file__).parents[3] / "config" / "plans.toml").read_text(encoding="utf-8"))

Mix = Sequence[tuple[Way, How]]

EVERYBODY: Final[Mix] = (
    *(("sol", "once"), ("stars", "once"), ("usdc", "once"), ("nowpayments", "once"), ("sol", "failed")),
    *(("sol", "by amount"), ("usdc", "once"), ("stars", "once"), ("sol", "parts"), ("usdc", "foreign")),
    *(("usdc", "parts"), ("stars", "once"), ("sol", "once"), ("nowpayments", "parts"), ("sol", "dust")),
    *(("usdc", "once"), ("stars", "once"), ("sol", "once"), ("usdc", "by amount"), ("nowpayments", "forged")),
)
ON_CHAIN: Final[Mix] = tuple((way, how) for way, how in EVERYBODY if way in ("sol", "usdc"))
AT_THE_PROCESSOR: Final[Mix] = (
    *(("nowpayments", "once"), ("nowpayments", "once"), ("nowpayments", "parts"), ("nowpayments", "forged")),
)
FORKED: Final[Mix] = (
    *(("sol", "once"), ("sol", "forked"), ("usdc", "withdrawn"), ("usdc", "once"), ("usdc", "forked")),
    *(("sol", "withdrawn"),),
)
IN_STARS: Final[Mix] = (("stars", "once"),)


@dataclass(slots=True)
class Payer:
    user_id: int
    way: Way
    how: How
    invoice: Invoice | None = None
    """In Stars it is the bot that makes it."""
    arrivals: set[str] = field(default_factory=set[str])
    """Keys of what they have sent that has to be recorded."""
    invoices: set[str] = field(default_factory=set[str])
    """Those that they have paid in full."""

    @property
    def offer(self) -> Offer:
        """Three months in Stars: one month would be a subscription."""
        offer = PLANS.offer("pro" if self.user_id % 2 else "starter", 3 if self.way == "stars" else 1)
        assert offer
        return offer


def crowd(mix: Mix, count: int, *, seed: int) -> list[Payer]:
    """Return so many people, in an order of chance."""
    people = [Payer(FIRST_PAYER_ID + number, way, how) for number, (way, how) in enumerate(islice(cycle(mix), count))]
    Random(seed).shuffle(people)
    return people
