"""What a process says of itself: memory, sending, jobs, who lets it in, and what lasts."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from managers.http.api import APIRetryManager
from runtime.errors import TransientError
from runtime.supervision import Pulse
from services.monitoring.conditions import Condition, in_words
from services.monitoring.memory import MemoryReader, MemoryUse, resident_bytes
from services.monitoring.process_conditions import (
    JUDGED_FROM,
    NO_PROGRESS_S,
    PAUSES_S,
    TAKEN_SHARE,
    Lasting,
    SendsFail,
    access_denied,
    jobs_stuck,
    memory_filling,
    redis_escalated,
)
from texts import Texts

TEXTS = Texts.load()
MIB = 1 << 20


def said(condition: Condition) -> str | None:
    reasons = condition()
    return None if reasons is None else in_words(reasons, TEXTS).replace("\u2060", "")


class Time:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_what_lasts_is_told_again_and_moments_of_peace_end_nothing() -> None:
    time, wrong = Time(), [True]
    lasting = Lasting(lambda: "gone" if wrong[0] else None, 300.0, clock=time)
    assert said(lasting) is None
    for second in range(1, 300):
        time.s, wrong[0] = second, second % 10 != 0
        assert said(lasting) is None
    time.s, wrong[0] = 300.0, True
    assert said(lasting) == "gone"
    wrong[0] = False
    time.s += PAUSES_S - 1
    assert said(lasting) is None
    wrong[0] = True
    time.s += 1
    assert said(lasting) == "gone", "it was not over"
    wrong[0] = False
    time.s += PAUSES_S
    assert said(lasting) is None
    wrong[0] = True
    assert said(lasting) is None, "it begins anew"


def test_redis_is_told_of_again_after_five_minutes() -> None:
    condition = redis_escalated(lambda: "no answer within 2 s")
    assert isinstance(condition, Lasting)
    time = condition.clock = Time()
    assert said(condition) is None
    time.s = 301.0
    assert said(condition) == "for more than 5 minutes: no answer within 2 s"


@given(taken=st.integers(0, 200), failed=st.integers(0, 200))
def test_too_small_a_share_of_enough_attempts_is_wrong(taken: int, failed: int) -> None:
    outcomes: Counter[str] = Counter()
    condition = SendsFail(lambda: outcomes, clock=Time())
    assert condition() is None
    outcomes.update(taken=taken, flood=failed)
    condition()
    outcomes.update(taken=0)
    is_wrong = taken + failed >= JUDGED_FROM and taken < TAKEN_SHARE * (taken + failed)
    assert (condition() is not None) == is_wrong


def test_what_failed_longer_ago_than_ten_minutes_is_forgotten() -> None:
    outcomes, time = Counter[str](), Time()
    condition = SendsFail(lambda: outcomes, clock=time)
    outcomes.update(taken=10, unknown=25, not_sent=5)
    assert said(condition) is not None
    words = said(condition)
    assert words is not None
    assert words.endswith("(5 not_sent, 25 unknown)")
    time.s = 601.0
    assert condition() is None


def test_jobs_that_report_nothing_are_named() -> None:
    time = Time()
    pulse = Pulse(time)
    for name in ("deliver", "decide", "tides"):
        pulse.beat(name)
    condition = jobs_stuck(lambda after_s: pulse.stuck(["deliver", "decide", "unstarted"], after_s))
    time.s = NO_PROGRESS_S
    assert condition() is None
    time.s += 1
    pulse.beat("decide")
    assert said(condition) == "no progress for 61 s: deliver"


def test_memory_is_filling_from_80_percent_on() -> None:
    uses = [None, *(MemoryUse(used_bytes=used * MIB, limit_bytes=1000 * MIB, kind="x") for used in (800, 801))]
    condition = memory_filling(lambda: uses[0])
    assert condition() is None
    uses.pop(0)
    assert condition() is None
    uses.pop(0)
    assert said(condition) == "801 of 1,000 MiB are used (x)"


def group(directory: Path, **files: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / f"memory.{name}").write_text(text)


async def test_the_limit_is_that_of_the_nearest_group_that_has_one(tmp_path: Path) -> None:
    groups, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("0::/system.slice/bot.service/inner\n")
    group(groups, stat="")
    group(groups / "system.slice", max="max\n", current="9\n", stat="")
    limit, used, stat = f"{100 * MIB}\n", f"{50 * MIB}\n", "anon 7\ninactive_file 1048576\n"
    group(groups / "system.slice/bot.service", max=limit, current=used, stat=stat)
    group(groups / "system.slice/bot.service/inner", max="max\n", current="5\n", stat="")
    reader = MemoryReader(None, groups=groups, membership=membership)
    assert await reader.read() == MemoryUse(used_bytes=49 * MIB, limit_bytes=100 * MIB, kind="control group")
    membership.write_text("0::/system.slice\n")
    assert await reader.read() == reader.use, "it is not read again at once"
    assert await MemoryReader(None, groups=groups, membership=membership).read() is None


@pytest.mark.parametrize("membership", ["", "12:memory:/x\n", "0::/../..\n", "0::/gone\n"])
async def test_where_nothing_limits_it_nothing_is_wrong(tmp_path: Path, membership: str) -> None:
    (tmp_path / "membership").write_text(membership)
    reader = MemoryReader(None, groups=tmp_path / "none", membership=tmp_path / "membership")
    assert await reader.read() is None


async def test_a_setting_goes_first() -> None:
    use = await MemoryReader(4096).read()
    assert use
    assert use.limit_bytes == 4096 * MIB
    assert 0.5 < use.used_bytes / resident_bytes() < 2


@pytest.mark.parametrize("status", [401, 403])
async def test_who_does_not_let_us_in_is_named_until_they_do(status: int) -> None:
    answers = [status, 500, 200]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0), text="{}")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            api = APIRetryManager(session)
            condition = access_denied(api.denied)
            seen: list[str | None] = []
            for _ in range(3):
                with suppress(TransientError):
                    await api.get(f"http://127.0.0.1:{port}/", timeout_s=2, attempts=1)
                seen.append(said(condition))
    finally:
        await runner.cleanup()
    denied = f"127.0.0.1:{port} does not let us in, or cannot be trusted: HTTP {status} from 127.0.0.1:{port}"
    assert seen == [denied, denied, None], "an outage says nothing about the key"


OPENSSL = shutil.which("openssl")


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed here: nobody makes a certificate")
async def test_who_shows_a_certificate_that_is_not_valid_is_named(tmp_path: Path) -> None:
    assert OPENSSL
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = (
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        "-subj",
        "/CN=localhost",
    )
    made = await asyncio.create_subprocess_exec(
        OPENSSL, *request, "-keyout", key, "-out", certificate, stderr=asyncio.subprocess.DEVNULL
    )
    assert await made.wait() == 0
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    port: int = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        api = APIRetryManager(session)
        with pytest.raises(TransientError):
            await api.get(f"https://127.0.0.1:{port}/", timeout_s=2, attempts=1)
        assert (said(access_denied(api.denied)) or "").endswith("its certificate is not valid: self-signed certificate")
