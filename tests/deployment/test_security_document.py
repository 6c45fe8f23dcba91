"""docs/security.md names what there is: every test it points at, and every key in Redis that holds a person."""

from __future__ import annotations

import re

import pytest

from services.export import traces
from services.stores import keys
from services.stores.redis_key import RedisKey
from tests.e2e.bot_process import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text("utf-8")
HOLD_A_PERSON: set[RedisKey] = {
    *traces.OWN,
    *traces.AMONG,
    *traces.MEMBERS,
    *traces.STREAMS,
    *traces.KEPT,
    *traces.PASSES,
    keys.SHARED_SET,
}


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tests|handlers|managers|web|deploy)/[\w/.]+)`", DOCUMENT)))
)
def test_what_it_points_at_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("pattern", sorted(key.pattern for key in HOLD_A_PERSON))
def test_of_every_key_that_holds_a_person_it_says_whether_it_is_encrypted(pattern: str) -> None:
    assert f"`{pattern}`" in DOCUMENT
