"""Which calls a filter set asks for, by the definition, one after the other: what the index is held against."""

from __future__ import annotations

from collections.abc import Sequence

from domain.calls.events import Call
from domain.filters.explanation import explain
from domain.filters.registry import FIELDS, FilterField, FilterSet


def passes(filter_set: FilterSet, call: Call, fields: Sequence[FilterField] = FIELDS) -> bool:
    return explain(filter_set, call, fields).passed
