"""Numbers stand beside a word that fits them."""

from __future__ import annotations

from runtime.counted import counted, fitting


def test_one_is_one_and_all_others_are_several() -> None:
    said = [counted(number, "subscriber") for number in (0, 1, 2, 12_000)]
    assert said == ["0 subscribers", "1 subscriber", "2 subscribers", "12,000 subscribers"]
    assert (counted(1, "process", "processes"), counted(2, "process", "processes")) == ("1 process", "2 processes")
    assert (fitting(1, "is", "are"), fitting(3, "is", "are")) == ("is", "are")
