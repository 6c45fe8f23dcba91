from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.stores import keys

hostile = st.text(alphabet="ab:%3A{}", min_size=0, max_size=6)


def test_names_are_those_of_the_documents() -> None:
    assert keys.ACCEPTED_TOKEN.of("So11", 5) == "processed_token:So11:5"
    assert keys.REJECTED_TOKEN.of("So11") == "processed_token:So11"
    assert keys.CHANNEL_INFO.of("@alpha") == "channel:@alpha:info"
    assert keys.FEED_CURSOR.of("native") == "feed:native:cursor"


def test_lifetimes() -> None:
    assert keys.ACCEPTED_TOKEN.expires_s == 14 * 24 * 3600
    assert keys.REJECTED_TOKEN.expires_s == 3600
    with pytest.raises(RuntimeError):
        _ = keys.JOURNAL.expires_s


def test_every_key_is_declared_once() -> None:
    patterns = [key.pattern for key in keys.ALL_KEYS]
    assert len(set(patterns)) == len(patterns)
    assert all(key.meaning.endswith(".") for key in keys.ALL_KEYS)


@given(hostile, hostile, hostile)
def test_no_name_can_be_read_as_another(one: str, other: str, third: str) -> None:
    assert keys.REJECTED_TOKEN.of(one) != keys.ACCEPTED_TOKEN.of(other, third)
    assert (keys.ACCEPTED_TOKEN.of(one, other) == keys.ACCEPTED_TOKEN.of(third, other)) == (one == third)
    assert (keys.CHANNEL_INFO.of(one) == keys.CHANNEL_INFO.of(other)) == (one == other)
