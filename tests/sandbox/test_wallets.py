"""What the chat page asks about wallets, and which pages are looked at for links to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.wallets.hook import Transfer, WalletPayment, WalletRequest
from sandbox.telegram.wallets.links import LINKS_MAX, PAGE_MAX_BYTES, is_on_this_machine, links_of
from tests.sandbox.telegram_kit import UNLIMITED
from tests.sandbox.test_telegram_page_api import get, post

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


class Purse:
    """Pays whatever begins with `coin:`."""

    name = "Purse"

    def __init__(self) -> None:
        self.paid: list[WalletPayment] = []

    def balances(self) -> dict[str, str]:
        return {"COIN": "5"}

    def read(self, text: str) -> WalletRequest | None:
        if text == "coin:bad":
            raise ValueError("that is no coin")
        if not text.startswith("coin:"):
            return None
        return WalletRequest(wallet=self.name, url=text, recipient="shop", amount="1", coin="COIN")

    def recognise(self, copied: Sequence[str], said: str) -> WalletRequest | None:
        return self.read(f"coin:{copied[0]}") if "COIN" in said else None

    def pay(self, payment: WalletPayment) -> str:
        if payment.amount == "9":
            raise ValueError("there is not enough")
        self.paid.append(payment)
        return "1"

    def sent(self) -> list[Transfer]:
        return [Transfer(id="1", what="1 COIN", status="confirmed", is_final=False) for _ in self.paid]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that answers everything in one way; its address."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}/pay"

        yield start


def page(text: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    return answer


async def test_what_the_page_asks_and_pays(serve: Serve):
    purse = Purse()
    async with TelegramSandbox(limits=UNLIMITED) as telegram, aiohttp.ClientSession(telegram.url) as session:
        assert await get(session, "/wallets") == (200, {"is_there": False, "balances": {}, "sent": []})
        telegram.wallets.append(purse)
        assert (await get(session, "/wallets"))[1] == {"is_there": True, "balances": {"COIN": "5"}, "sent": []}
        status, found = await post(session, "/wallets/pasted", {"text": " coin:a "})
        assert (status, [each["url"] for each in found["requests"]]) == (200, ["coin:a"])
        assert await post(session, "/wallets/pasted", {"text": "coin:bad"}) == (400, {"error": "that is no coin"})
        assert await post(session, "/wallets/pasted", {"text": "else"}) == (200, {"requests": []})
        _, found = await post(session, "/wallets/copied", {"copied": ["a"], "said": "1 COIN"})
        assert [each["url"] for each in found["requests"]] == ["coin:a"]
        address = await serve(page('<a href="coin:bad">1</a><a href="coin:a&amp;b">2</a><a>3</a><b href="coin:c">'))
        _, found = await post(session, "/wallets/opened", {"url": address})
        assert [each["url"] for each in found["requests"]] == ["coin:a&b"]
        payment = {"wallet": "Purse", "url": "coin:a", "way": "pay"}
        assert await post(session, "/wallets/payments", payment) == (200, {"id": "1"})
        assert (await post(session, "/wallets/payments", payment | {"amount": "9"}))[0] == 400
        assert (await post(session, "/wallets/payments", payment | {"wallet": "Other"}))[0] == 404
        assert (await get(session, "/wallets"))[1]["sent"][0]["status"] == "confirmed"
        assert len(purse.paid) == 1


async def test_a_foreign_page_reaches_no_wallet():
    purse = Purse()
    async with TelegramSandbox(limits=UNLIMITED) as telegram, aiohttp.ClientSession(telegram.url) as session:
        telegram.wallets.append(purse)
        payment = {"wallet": "Purse", "url": "coin:a", "way": "pay"}
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            assert (await post(session, "/wallets/payments", payment, headers=headers))[0] == 403
        async with session.post("/sandbox/api/wallets/payments", data=payment) as answer:
            assert answer.status == 400
        assert not purse.paid


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/pay",
        "http://127.0.0.1.example.com/",
        "https://127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://0.0.0.0/",
        "http://[::ffff:10.0.0.1]/",
        "http://[",
        "file:///etc/passwd",
        "coin:a",
        "",
    ],
)
async def test_nothing_off_this_machine_is_asked(url: str):
    assert not is_on_this_machine(url)
    assert await links_of(url) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_this_machine(host: str):
    assert is_on_this_machine(f"http://{host}:8080/pay/1")


async def test_what_is_no_page_or_leads_elsewhere_has_no_links(serve: Serve):
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPFound("/other", text='<a href="coin:a">x</a>', content_type="text/plain")

    async def plain(_: web.Request) -> web.Response:
        return web.Response(text='<a href="coin:a">x</a>')

    async def broken(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    for handler in (elsewhere, plain, broken):
        address = await serve(handler)
        assert await links_of(address) == [address]
    assert asked == ["/pay"]
    assert await links_of("http://127.0.0.1:1/") == ["http://127.0.0.1:1/"]


async def test_a_page_without_end_is_read_in_part(serve: Serve):
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        await response.write(b'<a href="coin:a">x</a>')
        while True:
            await response.write(b" " * 65_536)

    address = await serve(endless)
    assert await links_of(address) == [address, "coin:a"]
    address = await serve(page(" " * PAGE_MAX_BYTES + '<a href="coin:late">x</a>'))
    assert await links_of(address) == [address]
    address = await serve(page("".join(f'<a href="coin:{number}">' for number in range(LINKS_MAX * 2))))
    assert len(await links_of(address)) == 1 + LINKS_MAX
