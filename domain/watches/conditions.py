"""What somebody waits for: a price, a market cap, or a multiple of what the token costs when they ask."""

from __future__ import annotations

from typing import Final, Literal, Self

from msgspec import Struct
from msgspec.structs import replace

from domain.filters.numbers import DIGITS, show_value
from runtime.errors import UserFacingError

Subject = Literal["price", "market_cap", "multiple"]
Side = Literal["above", "below"]

MIN_VALUE: Final = 1e-18
MAX_VALUE: Final = 1e15
MAX_MULTIPLE: Final = 1e6
MIN_MULTIPLE: Final = 1e-4
READY: Final[tuple[tuple[float, Side], ...]] = ((2.0, "above"), (5.0, "above"), (10.0, "above"), (0.5, "below"))
"""Multiples that are offered."""
_SUBJECTS: Final[dict[str, Subject]] = {"p": "price", "c": "market_cap", "m": "multiple"}
_SIDES: Final[dict[str, Side]] = {"a": "above", "b": "below"}
_TIMES: Final = {"o": False, "e": True}


class Figures(Struct, frozen=True, kw_only=True):
    """What a token costs now, as far as somebody knows."""

    price_usd: float | None = None
    market_cap_usd: float | None = None

    def of(self, subject: Subject) -> float | None:
        if subject == "multiple":
            return 1.0
        return self.price_usd if subject == "price" else self.market_cap_usd


class Condition(Struct, frozen=True, kw_only=True):
    subject: Subject
    side: Side
    value: float
    """US dollars, or a multiple of the price when it was asked for: above 1 up, below 1 down."""
    each_time: bool = False
    """Told again whenever it comes to that anew; else once."""

    @property
    def code(self) -> str:
        """As a button carries it, at most 17 signs: `ma2o`, `cb1e6e`."""
        subject = next(sign for sign, one in _SUBJECTS.items() if one == self.subject)
        side = next(sign for sign, one in _SIDES.items() if one == self.side)
        number = f"{self.value:.{DIGITS}g}".replace("e+0", "e").replace("e+", "e")
        return f"{subject}{side}{number}{'e' if self.each_time else 'o'}"

    @classmethod
    def of_code(cls, code: str) -> Self:
        """Raises `UserFacingError("callback.stale")` for what is none."""
        try:
            read = cls(
                subject=_SUBJECTS[code[:1]],
                side=_SIDES[code[1:2]],
                value=float(code[2:-1]),
                each_time=_TIMES[code[-1:]],
            )
        except (KeyError, ValueError) as error:
            raise UserFacingError("callback.stale") from error
        if read.code != code or not read.is_sound:
            raise UserFacingError("callback.stale")
        return read

    @property
    def is_sound(self) -> bool:
        if self.subject != "multiple":
            return MIN_VALUE <= self.value <= MAX_VALUE
        is_up = self.side == "above"
        return MIN_MULTIPLE <= self.value <= MAX_MULTIPLE and (self.value > 1 if is_up else self.value < 1)

    def timed(self, *, each_time: bool) -> Self:
        return replace(self, each_time=each_time)

    def target_usd(self, base_usd: float | None, supply: float | None) -> float | None:
        """The price at which it is met; `None` while nobody can say.

        `base_usd`: the price when it was asked for; `supply`: market cap by price.
        """
        if self.subject == "price":
            return self.value
        if self.subject == "multiple":
            return None if base_usd is None else base_usd * self.value
        return None if supply is None else self.value / supply


def show_multiple(value: float) -> str:
    """`2x` upwards, `-50%` downwards."""
    return show_value(value, "multiple") if value > 1 else show_value((value - 1) * 100, "change")
