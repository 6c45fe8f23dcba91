"""What strangers reach through nginx, and what they do not: real requests, real TLS, the bot's own edge behind it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import pytest_asyncio

from domain.payments.ipn import MAX_BODY_BYTES
from tests.deployment.edge import HOST, IPN_SECRET, Edge, filled_in, needs_nginx, opened, write_configuration
from tests.e2e.bot_process import ROOT
from web.pay_page import PATH as PAY_PATH
from web.payments import NOWPAYMENTS_PATH
from web.telegram_webhook import PATH as WEBHOOK_PATH

pytestmark = [needs_nginx, pytest.mark.asyncio(loop_scope="module")]
MIB: Final = 1 << 20
NOTIFICATION: Final = {"payment_id": 5, "payment_status": "finished", "order_id": "x"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nginx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    async with opened(tmp_path_factory.mktemp("nginx")) as edge:
        yield edge


@pytest.fixture
def edge(nginx: Edge) -> Edge:
    """As if nobody had asked for anything yet."""
    nginx.forget()
    return nginx


def signed(notification: object) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(notification, sort_keys=True, separators=(",", ":")).encode()
    return body, {"x-nowpayments-sig": hmac.new(IPN_SECRET.encode(), body, hashlib.sha512).hexdigest()}


async def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    command = write_configuration(tmp_path, bot="127.0.0.1:8080")
    checking = await asyncio.create_subprocess_exec(*command, "-t", stderr=asyncio.subprocess.PIPE)
    _, said = await checking.communicate()
    assert checking.returncode == 0, said
    assert b"[warn]" not in said


async def test_the_command_of_the_handbook_fills_it_in(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    command = re.search(r"^    (sed -e (?:.*\\\n)*.*) >/etc/nginx", page, re.MULTILINE)
    assert command
    filling = await asyncio.create_subprocess_shell(command[1], cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    text, _ = await filling.communicate()
    directory = f"/etc/letsencrypt/live/{HOST}"
    assert text.decode() == filled_in(
        {"SERVER_NAME": HOST, "BOT_ADDRESS": "127.0.0.1:8080", "TLS_DIRECTORY": directory}
    )


async def test_updates_and_notifications_reach_the_bot(edge: Edge) -> None:
    assert await edge.bring({"update_id": 1, "message": {"text": "hi"}}) == 200
    assert [update["update_id"] for update in edge.updates] == [1]
    body, headers = signed(NOTIFICATION)
    status, _ = await edge.ask("POST", NOWPAYMENTS_PATH, data=body, headers=headers)
    assert status == 200
    assert [said.id for said in edge.payments] == ["5"]


async def test_who_cannot_prove_who_they_are_is_refused_by_the_bot(edge: Edge) -> None:
    assert await edge.bring({"update_id": 1}, secret="guessed") == 403
    status, _ = await edge.ask("POST", NOWPAYMENTS_PATH, data=b"{}", headers={"x-nowpayments-sig": "00"})
    assert status == 401
    assert (edge.updates, edge.payments) == ([], [])


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/telegram/webhook/", "/telegram", "/payments/", "/pay", "/.env"]
)
async def test_nothing_else_reaches_it(edge: Edge, path: str) -> None:
    for method in ("GET", "POST"):
        assert (await edge.ask(method, path))[0] == 404
    assert edge.reached == []


@pytest.mark.parametrize(
    "path", ["//metrics", "/pay/../metrics", "/pay/%2e%2e/metrics", "/telegram/webhook/../../metrics"]
)
async def test_nor_by_a_detour(edge: Edge, path: str) -> None:
    """Sent as it stands, which a client of good manners does not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.tls_port, ssl=edge.tls, server_hostname=HOST)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == b"404"
    writer.close()
    assert edge.reached == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", WEBHOOK_PATH), ("PUT", WEBHOOK_PATH), ("GET", NOWPAYMENTS_PATH), ("POST", f"{PAY_PATH}x")],
)
async def test_other_methods_do_not_reach_it(edge: Edge, method: str, path: str) -> None:
    assert (await edge.ask(method, path))[0] == 403
    assert edge.reached == []


@pytest.mark.parametrize(
    ("path", "most"), [(WEBHOOK_PATH, MIB), (NOWPAYMENTS_PATH, MAX_BODY_BYTES), (f"{PAY_PATH}x", 1024)]
)
async def test_a_body_may_be_as_long_as_the_bot_takes_and_no_longer(edge: Edge, path: str, most: int) -> None:
    """The bot refuses what fits for what is in it; what does not fit never comes to it."""
    method = "GET" if path.startswith(PAY_PATH) else "POST"
    status, _ = await edge.ask(method, path, data=BytesIO(b"x" * most))
    assert status in {401, 403, 404}
    assert edge.reached == [f"{method} {path}"]
    status, _ = await edge.ask(method, path, data=BytesIO(b"x" * (most + 1)))
    assert status == 413
    assert len(edge.reached) == 1


async def test_pages_of_invoices_reach_it(edge: Edge) -> None:
    await edge.ask("GET", f"{PAY_PATH}abc")
    assert edge.reached == [f"GET {PAY_PATH}abc"]


async def test_without_tls_there_is_only_the_way_to_it(edge: Edge) -> None:
    url = f"http://{HOST}:{edge.plain_port}/telegram/webhook"
    async with edge.http.post(url, json={}, allow_redirects=False) as answer:
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://{HOST}/telegram/webhook"
    assert edge.reached == []


async def test_answers_of_a_certificate_authority_are_served_from_disk(edge: Edge) -> None:
    challenge = edge.here / "acme" / ".well-known" / "acme-challenge" / "abc"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("abc.thumb")
    async with edge.http.get(f"http://{HOST}:{edge.plain_port}/.well-known/acme-challenge/abc") as answer:
        assert (answer.status, await answer.text()) == (200, "abc.thumb")


async def test_whoever_does_not_know_the_name_gets_no_answer(edge: Edge) -> None:
    anything_goes = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything_goes.check_hostname, anything_goes.verify_mode = False, ssl.CERT_NONE
    for host in ("127.0.0.1", "another.example.org"):
        with pytest.raises(aiohttp.ClientConnectorError):
            await edge.ask("GET", "/", host=host, tls=anything_goes)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await edge.http.get(f"http://127.0.0.1:{edge.plain_port}/")
    assert edge.reached == []


async def test_old_tls_is_refused(edge: Edge) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(aiohttp.ClientConnectorError):
        await edge.ask("GET", "/", tls=old)


async def test_a_flood_of_notifications_is_cut_and_updates_still_come(edge: Edge) -> None:
    async with edge.from_another_address("127.0.0.2") as flood:
        answers = await asyncio.gather(*(flood.ask("POST", NOWPAYMENTS_PATH, data=b"{}") for _ in range(90)))
    statuses = [status for status, _ in answers]
    assert statuses.count(429) >= 20
    assert statuses.count(401) >= 51, "some at once are as many as the processor sends"
    updates = await asyncio.gather(*(edge.bring({"update_id": number}) for number in range(90)))
    assert updates == [200] * 90


async def test_what_nginx_says_by_itself_gives_nothing_away(edge: Edge) -> None:
    url = f"https://{HOST}:{edge.tls_port}/metrics"
    async with edge.http.get(url, ssl=edge.tls) as answer:
        assert answer.headers["Server"] == "nginx"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "1." not in await answer.text()
