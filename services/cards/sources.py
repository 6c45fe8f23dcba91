"""Where the figures on a card come from and how old they are; and which of them two sources do not agree on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from domain.calls.events import Disagreement, Origin, Token
from domain.filters.numbers import show_short
from domain.filters.registry import Unit
from domain.filters.shown import show_change, show_price, show_volume, shown_figure
from domain.subscribers.subscriber import CardField
from texts.markup import Html
from texts.renderer import Texts

FEEDS: Final = frozenset({"native", "pumpportal", "channels"})
"""What these say came with the call: nobody else is named for it."""
SOURCES: Final = (*sorted(FEEDS), "dexscreener", "geckoterminal", "jupiter", "rugcheck", "goplus", "birdeye")
"""That have a name in the texts; others are called as they are named here."""
_FEED: Final = "native"
_PRICES: Final = frozenset({"market_cap_usd", "price_usd"})
"""What people read first."""
_TIMELESS: Final = "created_at"
_TOGETHER: Final = timedelta(seconds=10)
"""What was true so soon before the price is as old as that, near enough: one age is said, the older one."""
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


class _Figure(NamedTuple):
    """One that a card shows."""

    name: str
    """In `Token`; the rule about it has the same key."""
    field: CardField
    unit: Unit | Literal["price"]


_FIGURES: Final = (
    _Figure("market_cap_usd", "market_cap", "usd"),
    _Figure("liquidity_usd", "liquidity", "usd"),
    _Figure("price_usd", "price", "price"),
    _Figure("holders", "holders", "count"),
    _Figure("created_at", "age", "duration"),
    *(_Figure(f"volume_{span}_usd", "volume", "usd") for span in ("5m", "1h", "24h")),
    *(_Figure(f"price_change_{span}_percent", "change", "change") for span in ("5m", "1h", "24h")),
    _Figure("mint_revoked", "security", "flag"),
    _Figure("freeze_revoked", "security", "flag"),
    _Figure("risk_score", "security", "score"),
    _Figure("buy_tax_percent", "security", "percent"),
    _Figure("sell_tax_percent", "security", "percent"),
    _Figure("lp_locked_percent", "security", "percent"),
    _Figure("top10_percent", "security", "percent"),
    _Figure("developer_percent", "security", "percent"),
    _Figure("snipers_percent", "security", "percent"),
)
"""In the order in which a disagreement about them matters."""
_BY_NAME: Final = {figure.name: figure for figure in _FIGURES}


class Sources:
    """The lines about one token, in one language."""

    def __init__(self, texts: Texts, language: str) -> None:
        self._texts = texts
        self._language = language

    def name(self, source: str) -> str:
        """Call a source as it calls itself."""
        key = f"source.{source}"
        return self._texts.plain(key, self._language) if key in self._texts else source

    def line(self, token: Token, hidden: frozenset[CardField], at: datetime | None) -> Html:
        """Name who knows what the feed did not say, and how old the oldest of it was when it was decided: `at`."""
        origins = {name: one for name, one in _origins(token, hidden).items() if one.source not in FEEDS}
        if not origins:
            return Html()
        newest = max(origin.at for origin in origins.values())
        oldest = _oldest(origins, origins)
        return self._said("card.sources", origins, age=(newest if at is None else max(at, newest)) - oldest)

    def looked_up(self, token: Token, hidden: frozenset[CardField], at: datetime) -> Html:
        """Name who knows the figures, the feed as well; say how old the price is, and others that are older."""
        origins = _origins(token, hidden)
        if not origins:
            return Html()
        oldest = _oldest(origins, origins)
        price = _oldest(origins, origins.keys() & _PRICES or origins)
        if price - oldest <= _TOGETHER:
            return self._said("card.sources", origins, age=at - oldest)
        return self._said("card.sources_apart", origins, age=at - price, others=at - oldest)

    def _said(self, key: str, origins: Mapping[str, Origin], **ages: timedelta) -> Html:
        names = ", ".join(self.name(source) for source in dict.fromkeys(origin.source for origin in origins.values()))
        said = {name: shown_age(age.total_seconds()).replace(" ", _NO_BREAK) for name, age in ages.items()}
        return self._texts.render(key, self._language, names=names, **said)

    def disputed(self, token: Token) -> Html:
        """Say of the figure that matters most what the other source says of it, and name the others."""
        names = [figure.name for figure in _FIGURES if figure.name in token.disputed]
        if "market_cap_usd" in names and "price_usd" in names:
            names.remove("price_usd")  # of one, the other follows
        if not names:
            return Html()
        first, *others = names
        origin, other = token.origins.get(first), token.disputed[first]
        line = self._texts.render(
            "card.disputed",
            self._language,
            label=self._texts.label("filter", first, self._language),
            value=self._shown(first, getattr(token, first)),
            source=self.name(_FEED if origin is None else origin.source),
            other=self._shown(first, other.value),
            by=self.name(other.source),
        )
        if not others:
            return line
        labels = ", ".join(self._texts.label("filter", name, self._language) for name in others)
        return Html(line + self._texts.render("card.disputed_more", self._language, labels=labels))

    def note(self, name: str, other: Disagreement) -> Html:
        """Say beside a figure what another source says of it."""
        value, by = self._shown(name, other.value), self.name(other.source)
        return self._texts.render("card.disputed_note", self._language, value=value, by=by)

    def _shown(self, name: str, value: float | None) -> str:
        figure = _BY_NAME.get(name)
        if value is None or figure is None:
            return "?"
        match figure.unit:
            case "flag":
                return self._texts.plain("value.yes" if value else "value.no", self._language)
            case "price":
                return show_price(value) or "?"
            case unit:
                return show_short(value, unit).replace(" ", _NO_BREAK)


def shown_age(seconds: float) -> str:
    """How old a figure is, wherever that is said: in whole seconds, at least one."""
    return shown_figure(max(1, round(seconds)), "duration") or ""


def _origins(token: Token, hidden: frozenset[CardField]) -> dict[str, Origin]:
    """Return the origins of the figures that are shown, by their names."""
    spans = {"volume": show_volume(token), "change": show_change(token)}
    shown: dict[str, Origin] = {}
    for figure in _FIGURES:
        origin, span = token.origins.get(figure.name), spans.get(figure.field, ("", ""))
        if origin is None or figure.field in hidden or getattr(token, figure.name) is None:
            continue
        if span is not None and span[0] in figure.name:
            shown[figure.name] = origin
    return shown


def _oldest(origins: Mapping[str, Origin], names: Collection[str]) -> datetime:
    """When the oldest of these was true; that a token began to trade at some time never gets old."""
    return min(origins[name].at for name in set(names) - {_TIMELESS} or names)
