"""Who answers nothing of use for long is known for it, and the log says it once."""

from __future__ import annotations

from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from managers.http.api import APIRetryManager
from managers.http.hosts import BREAKER_OPEN_S
from managers.providers.geckoterminal_lookup import GeckoTerminalLookup
from runtime.errors import TransientError
from services.monitoring.conditions import Reasons, in_words
from services.monitoring.process_conditions import providers_failing
from services.providers.asked import FAILING_AFTER_S, AskedProviders
from tests.http.test_api import Clock, Server, clock, server, still
from texts import Texts

__all__ = ["clock", "server", "still"]

MINUTE = 60.0


def said(reasons: Reasons | None) -> str | None:
    return None if reasons is None else in_words(reasons, Texts.load()).replace("\u2060", "")


async def ask(api: APIRetryManager, server: Server, clock: Clock, for_s: float) -> None:
    """Ask every few seconds, as everybody does who waits for an answer."""
    until = clock.now_s + for_s
    while clock.now_s < until:
        with suppress(TransientError):
            await api.get(server.url, timeout_s=2, attempts=1)
        clock.now_s += 3.0


@pytest.mark.parametrize("status", [500, 401, 429, 400])
async def test_ten_minutes_without_an_answer_are_one_alarm_and_one_line(
    server: Server, still: APIRetryManager, clock: Clock, status: int
) -> None:
    asked = AskedProviders([GeckoTerminalLookup(still, server.url)])
    condition = providers_failing(asked)
    server.will(200)
    await ask(still, server, clock, MINUTE)
    server.will(status)
    with capture_logs() as logs:
        await ask(still, server, clock, FAILING_AFTER_S - MINUTE)
        assert condition() is None
        await ask(still, server, clock, 4 * MINUTE)
    assert len([one for one in logs if one["log_level"] == "warning"]) == (status != 400)
    (health,) = asked.health()
    assert health.problem
    assert health.host.answered_s_ago is not None
    assert health.host.answered_s_ago > FAILING_AFTER_S
    told = said(condition())
    if status == 401:  # that is the alarm “access”
        assert told is None
        assert health.is_denied
    else:
        assert told is not None
        assert told.startswith(f"geckoterminal ({server.host}) has given no answer of use for 1")
    server.will(200)
    clock.now_s += BREAKER_OPEN_S
    await ask(still, server, clock, 5.0)
    assert condition() is None
    assert asked.health()[0].problem is None


async def test_one_failure_long_ago_and_one_now_are_no_alarm(
    server: Server, still: APIRetryManager, clock: Clock
) -> None:
    condition = providers_failing(AskedProviders([GeckoTerminalLookup(still, server.url)]))
    server.will(400)
    for _ in range(2):
        await ask(still, server, clock, 1.0)
        clock.now_s += 2 * FAILING_AFTER_S
    assert condition() is None


async def test_who_rests_is_left_alone(server: Server, still: APIRetryManager, clock: Clock) -> None:
    asked = AskedProviders([GeckoTerminalLookup(still, server.url)])
    server.will(500)
    await ask(still, server, clock, FAILING_AFTER_S + MINUTE)
    assert providers_failing(asked)() is not None
    asked.rests = lambda name: name == "geckoterminal"
    assert providers_failing(asked)() is None
