"""The slow end is spoken of where there are enough to have one."""

from __future__ import annotations

import pytest

from runtime.latencies import ENOUGH_FOR_P99, Spread, spread


def test_a_p99_takes_a_hundred() -> None:
    assert spread([]) == Spread(count=0, p50_s=None, p99_s=None)
    assert spread([0.25]) == Spread(count=1, p50_s=0.25, p99_s=None)
    almost = [number / 100 for number in range(1, ENOUGH_FOR_P99)]
    assert spread(almost).p99_s is None
    assert spread([*almost, 1.0]).p99_s == pytest.approx(0.9901)
