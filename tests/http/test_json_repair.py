"""One unreadable part costs itself: its neighbours in the text, the frame and the page go on."""

from __future__ import annotations

import json
import math
from typing import cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from managers.feed.sources.base import clamped
from managers.http.json_repair import MAX_DEPTH, decoded, repaired

ANYTHING = msgspec.json.Decoder[object]()
PARTS = (
    st.characters() | st.characters(categories=["Cs"]) | st.sampled_from(["\\", '"', "\\ud83d", "\U0001f680", "NaN"])
)
TEXTS = st.lists(PARTS, max_size=8).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def whole(value: object) -> object:
    """What is left of a value: no half of a pair, no number that is none."""
    match value:
        case str():
            # Two halves that happen to stand side by side are a pair.
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float() if not math.isfinite(value):
            return None
        case list():
            return [whole(each) for each in cast("list[object]", value)]
        case dict():
            return {whole(name): whole(each) for name, each in cast("dict[str, object]", value).items()}
        case _:
            return value


@given(VALUES)
@example({"a": '"\\ud83d', "b": ["\ud83d"]})
@example(["\ud83d\ude80", "\ude80\ud83d", "\ud83d\ud83d\ude80", float("nan"), "NaN"])
def test_everything_else_stays_as_it_was(value: object):
    assert decoded(ANYTHING, json.dumps(value).encode()) == whole(value)


@given(
    document=st.binary(max_size=300) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    is_deep=st.booleans(),
)
def test_what_is_no_json_does_not_become_any(document: bytes, *, is_deep: bool):
    better = repaired(document, is_deep=is_deep)
    if better is not None:
        assert repaired(better, is_deep=is_deep) is None, "what is mended is whole"


@pytest.mark.parametrize("brackets", ["[]", ('{"a":', "}")])
def test_what_lies_too_deep_costs_itself(brackets: tuple[str, str] | str):
    opening, closing = brackets
    deep = opening * 90_000 + "1" + closing * 90_000
    found = decoded(ANYTHING, f'[1,{{"deep":{deep},"b":2}},3]'.encode())
    assert isinstance(found, list)
    first, second, third = found  # pyright: ignore[reportUnknownVariableType]
    assert (first, second["b"], third) == (1, 2, 3)
    levels = json.dumps(second["deep"]).count(opening[0])
    assert levels == MAX_DEPTH - 2


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "9" * 5_000])
def test_a_number_that_is_none_is_unknown(number: str):
    assert decoded(ANYTHING, f'{{"a":{number},"b":"{number}"}}'.encode()) == {"a": None, "b": number}


@pytest.mark.parametrize("document", [b"", b"{", b"[NaN", b"[1,,2]", b'"\\ud83d', b"nonsense", b"[NaNa]"])
def test_what_is_broken_off_stays_unreadable(document: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the decoder says
        decoded(ANYTHING, document)


@pytest.mark.parametrize(
    ("number", "is_share"),
    [
        (0.0, 0.0),
        (100.0, 100.0),
        (100.00000000000001, 100.0),
        (100.00000001, 100.0),
        (-1e-12, 0.0),
        (100.001, None),
        (-1e-6, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_a_rounding_error_is_none(number: float, is_share: float | None):
    assert clamped(number, 0.0, 100.0) == is_share


@pytest.mark.parametrize(
    ("number", "is_change"), [(-100.00000000000001, -100.0), (-100.01, None), (1e300, 1e300), (math.inf, None)]
)
def test_a_change_has_one_bound(number: float, is_change: float | None):
    assert clamped(number, -100.0, math.inf) == is_change
