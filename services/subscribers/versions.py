"""Earlier forms of a filter set, from the history that PostgreSQL keeps of every subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, LiteralString

import msgspec
from msgspec import Struct

from domain.filters.registry import FilterSet
from managers.storage.postgres import PostgresManager, Row

_READ: Final = 1_000
"""Revisions of a subscriber that are looked at, the latest first."""
_KEPT: Final = 100

# A document without the set gives NULL: there the set began, or another one of that number was deleted.
_HISTORY: Final[LiteralString] = """
    SELECT revision, changed_at, (
        SELECT one FROM jsonb_array_elements(document -> 'filter_sets') AS one WHERE (one ->> 'number')::int = $2
    ) AS filter_set
    FROM subscriber_changes WHERE user_id = $1 ORDER BY revision DESC LIMIT $3
"""


class SetVersion(Struct, frozen=True, kw_only=True):
    revision: int
    """Of the subscriber's document in which the set took this form."""
    changed_at: datetime
    filter_set: FilterSet


class SubscriberHistory:
    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def versions(self, current: FilterSet) -> list[SetVersion]:
        """Return the forms that differ from the one after them in name or rules, the latest first, at most 100.

        A change that is still in the journal is missing. `PostgresUnavailableError` when nobody can tell.
        """
        rows = await self._postgres.fetch(_HISTORY, current.user_id, current.number, _READ)
        return _earlier_forms(current, rows)


def _earlier_forms(current: FilterSet, rows: Sequence[Row]) -> list[SetVersion]:
    forms: list[SetVersion] = []
    later = current
    for row in rows:
        if row["filter_set"] is None:
            break
        form = msgspec.json.decode(row["filter_set"], type=FilterSet)
        version = SetVersion(revision=row["revision"], changed_at=row["changed_at"], filter_set=form)
        if _same(form, later):
            # The same form lasted through several revisions: it was taken in the first of them.
            if forms:
                forms[-1] = version
        else:
            forms.append(version)
        later = form
    return forms[:_KEPT]


def _same(one: FilterSet, other: FilterSet) -> bool:
    return one.name == other.name and one.rules == other.rules
