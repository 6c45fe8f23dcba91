"""How everybody answers who is asked about tokens, prices and pools, whoever asks from here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from managers.http.failing import Failing
from managers.http.hosts import HostHealth
from managers.http.request_budget import Limit

FAILING_AFTER_S: Final = 600.0


@runtime_checkable
class Asked(Protocol):
    """`managers.providers.provider.Provider`."""

    @property
    def name(self) -> str: ...
    @property
    def limit(self) -> Limit: ...
    def host(self) -> HostHealth: ...


class ProviderHealth(Struct, frozen=True, kw_only=True):
    name: str
    host: HostHealth
    limit: Limit
    failing_for_s: float
    problem: str | None
    """Why it did not answer the last time; `None`: it did, or was not asked."""
    is_denied: bool


class AskedProviders:
    """`misread`: by name, why answers that came were of no use, and for how long."""

    def __init__(
        self, providers: Iterable[object], misread: Callable[[], Mapping[str, tuple[Failing, str | None]]] = dict
    ) -> None:
        self._providers = {one.name: one for one in providers if isinstance(one, Asked)}
        self._misread = misread
        self.for_figures = False
        """Whether they are asked for figures from here."""
        self.rests: Callable[[str], bool] = lambda _name: False
        """Whether one is not to be asked for now."""

    def health(self) -> list[ProviderHealth]:
        misread, nothing = self._misread(), (Failing(), None)
        return [_health(one, *misread.get(name, nothing)) for name, one in self._providers.items()]

    def failing(self) -> list[ProviderHealth]:
        """Who has given nothing of use for long; who rests is left alone."""
        return [one for one in self.health() if one.failing_for_s >= FAILING_AFTER_S and not self.rests(one.name)]


def _health(one: Asked, misread: Failing, problem: str | None) -> ProviderHealth:
    host = one.host()
    return ProviderHealth(
        name=one.name,
        host=host,
        limit=one.limit,
        failing_for_s=max(host.failing_for_s, misread.for_s),
        problem=host.last_problem or (problem if misread.count else None),
        is_denied=host.is_denied,
    )
