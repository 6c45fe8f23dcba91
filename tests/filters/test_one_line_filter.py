"""A new filter is one row: everything else follows from it."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.calls.events import Call, Channel, Token
from domain.filters.explanation import explain
from domain.filters.registry import FIELDS, FilterField, FilterSet
from domain.filters.rules import parse_rule, show_rule
from domain.matching.matcher import Matcher
from tests.filters.oracle import passes
from texts import Texts

ROW = FilterField(
    key="sniff_test", group="safety", unit="count", value=lambda c: len(c.token.name or ""), example="3 -"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def call(name: str) -> Call:
    token = Token(address="So11111111111111111111111111111111111111112", name=name)
    return Call(id=name, token=token, channel=Channel(id="@c"), called_at=NOW, received_at=NOW)


def test_one_row_is_a_whole_filter() -> None:
    fields = (*FIELDS, ROW)
    rule = parse_rule("4 - 6", ROW)
    assert rule is not None
    assert show_rule(rule, ROW) == "4 – 6"
    assert "sniff test" in Texts.load().label("filter", ROW.key).lower()
    chosen = FilterSet(user_id=1, number=1, name="mine", rules={ROW.key: rule})
    for name, expected in (("abc", False), ("abcd", True)):
        matcher = Matcher(fields)
        matcher.put_subscriber(1, [chosen])
        assert passes(chosen, call(name), fields) is expected
        assert explain(chosen, call(name), fields).rules[0].seen == len(name)
        assert bool(matcher.decide(call(name), NOW).accepted) is expected
