"""How the limits of providers are divided among processes: each has a share of them by what it asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from services.cluster.members import Members, Role

_WEIGHTS: Final[Mapping[Role, int]] = {"listen": 3, "ingest": 4, "track": 4, "match": 1, "gateway": 1}
"""Who follows prices or decides asks about every token; the others when somebody wants to know."""


def share_of_limits(members: Members) -> float:
    """Return how much of a limit this process may use: more than 0, and 1 at most.

    All that live have 1 together. Somebody who begins or has gone is known within seconds; until then it may be more.
    """
    own = _weight(members.roles)
    others = sum(_weight(one.roles) for one in members.living() if one.owner != members.owner)
    return own / (own + others) if own else 1.0


def _weight(roles: Iterable[Role]) -> int:
    return sum(_WEIGHTS.get(role, 0) for role in roles)
