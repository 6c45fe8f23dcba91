"""The instruments themselves: a proof is worth as much as what measures it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from domain.matching.matcher import Matcher
from managers.redis.client import RedisManager, RedisUnavailableError
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from tests.faults.ledger import REPEAT_NOTE, Counts, InDigest, Ledger, judge
from tests.faults.market import Workload
from tests.faults.proxy import FaultProxy
from tests.faults.reliability import FAULTS, SOAK, Row, faults_section, soak_section, write_section

A, B = "So11111111111111111111111111111111111111112", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


def test_reference_and_bot_agree_when_nothing_is_broken() -> None:
    workload = Workload(seed=7, users=200, calls=150)
    matcher = Matcher()
    now = datetime.now(UTC)
    for subscriber in workload.subscribers:
        if subscriber.receives_at(now):
            matcher.put_subscriber(subscriber.user_id, subscriber.filter_sets)
    found = {
        (user_id, call.token.address) for call in workload.calls for user_id, _ in matcher.decide(call, now).accepted
    }
    assert found == workload.accepted()
    assert 0.05 < len(found) / (200 * 150) < 0.3


async def test_ledger_sees_loss_repeats_and_digests() -> None:
    async with TelegramSandbox() as telegram:
        ledger = Ledger(telegram)
        ann = telegram.user("Ann", user_id=7)
        ledger.expect({(7, A), (7, B), (8, A)})
        _say(telegram, ann, "an alert", copied=A)
        assert not await ledger.complete(patience_s=0.01)
        _say(telegram, ann, f"a digest\n{B}")
        assert ledger.counts().lost == 1
        assert ledger.counts().in_digests == 1
        with pytest.raises(AssertionError, match="lost 1"):
            judge(ledger.counts())
        ledger.excused = {(8, A)}
        judge(ledger.counts())
        _say(telegram, ann, f"an alert\n{REPEAT_NOTE}", copied=A)
        judge(ledger.counts(), repeats=1)
        assert (ledger.counts().marked, ledger.counts().marked_alerts, ledger.counts().twice) == (1, 1, 0)
        _say(telegram, ann, "an alert", copied=A)
        assert ledger.counts().twice == 1
        _say(telegram, ann, "news", copied="Vote111111111111111111111111111111111111111")
        assert ledger.counts().unasked == 1


async def test_what_came_again_is_counted_in_messages_as_its_bound_is() -> None:
    """One message with two alerts comes again as two; then both come in one digest with a third."""
    async with TelegramSandbox() as telegram:
        ledger = Ledger(telegram)
        ann = telegram.user("Ann", user_id=7)
        ledger.expect({(7, A), (7, B)})
        _say(telegram, ann, f"a digest\n{A}\n{B}")
        for copied in (A, B):
            _say(telegram, ann, f"an alert\n{REPEAT_NOTE}", copied=copied)
        counts = ledger.counts()
        assert (counts.marked, counts.marked_alerts, counts.twice) == (1, 2, 0)
        judge(counts, repeats=1)
        _say(telegram, ann, f"a digest {REPEAT_NOTE}\n{A}\n{B}")
        counts = ledger.counts()
        assert (counts.marked, counts.marked_alerts, counts.twice) == (3, 4, 0)
        with pytest.raises(AssertionError, match="marked 3"):
            judge(counts, repeats=2)


async def test_what_a_digest_only_counts_is_proved_by_what_was_written_down_of_it() -> None:
    async with TelegramSandbox() as telegram:
        ledger = Ledger(telegram)
        ann = telegram.user("Ann", user_id=7)
        ledger.expect({(7, A), (7, B)})
        _say(telegram, ann, f"a digest\n{A}\nAnd 1 more")
        assert not await ledger.complete(patience_s=0.01), "nothing is written down"
        message_id: int = ann.messages[-1]["message_id"]
        written = [InDigest(pair=(7, A), chat_id=7, message_id=message_id, may_repeat=False)]

        async def record() -> list[InDigest]:
            return written

        ledger.record = record
        assert not await ledger.complete(patience_s=0.01), "the digest said that there were two"
        written.append(InDigest(pair=(7, B), chat_id=7, message_id=message_id + 1, may_repeat=False))
        assert not await ledger.complete(patience_s=0.01), "Telegram never took that message"
        written[-1] = InDigest(pair=(7, B), chat_id=7, message_id=message_id, may_repeat=False)
        assert await ledger.complete(patience_s=1)
        judge(ledger.counts())
        _say(telegram, ann, "an alert", copied=B)
        assert ledger.counts().twice == 1


def _say(telegram: TelegramSandbox, user: SandboxUser, text: str, *, copied: str | None = None) -> None:
    content: dict[str, object] = {"text": text}
    if copied:
        content["reply_markup"] = {"inline_keyboard": [[{"text": "copy", "copy_text": {"text": copied}}]]}
    telegram.cloud.post(user.chat, telegram.cloud.bot, content)


async def test_proxy_faults(redis_url: str) -> None:
    async with FaultProxy(redis_url) as proxy, RedisManager(proxy.redis_url, reply_timeout_s=0.3) as redis:
        await redis.set("a", "1")
        proxy.half_open()
        with pytest.raises(RedisUnavailableError):
            await redis.set("a", "2")
        await proxy.repair()
        assert await redis.get("a") == b"1"
        await proxy.refuse()
        with pytest.raises(RedisUnavailableError):
            await redis.get("a")
        await proxy.repair()
        proxy.lose_replies(1.0)
        with pytest.raises(RedisUnavailableError):
            await redis.set("a", "3")
        await proxy.repair()
        assert await redis.get("a") == b"3"
        proxy.delay(0.4)
        with pytest.raises(RedisUnavailableError):
            await redis.get("a")


def test_each_command_writes_its_own_section(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    none = Counts(accepted=2, received=2, in_digests=0, lost=0, twice=0, marked=0, marked_alerts=0, unasked=0)
    write_section(page, SOAK, soak_section("calm"))
    x, y = Row(what="x", counts=none, repeats=5), Row(what="y", counts=replace(none, lost=1), repeats=0)
    z = Row(what="z", counts=replace(none, marked=4, marked_alerts=17), repeats=5)
    write_section(page, FAULTS, faults_section([x], ["tests/a.py::test_b"], is_full=False))
    assert "`make test`" in page.read_text()
    write_section(page, FAULTS, faults_section([y, z], [], is_full=True))
    text = page.read_text()
    assert "calm" in text
    assert "| y | 2 | 2 | 0 | 1 | 0 | 0 | 0 | 0 |" in text
    assert "| messages again | at most | alerts in them |" in text
    assert "| z | 2 | 2 | 0 | 0 | 0 | 4 | 5 | 17 |" in text, "what came again and its bound are messages both"
    assert "4 messages came again, of 5 that may have" in text
    assert "| x |" not in text
    assert text.index(f"## {FAULTS}") < text.index(f"## {SOAK}")
