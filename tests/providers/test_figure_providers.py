"""Every adapter that knows figures, asked over real sockets: it keeps the same promises as the others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calls.events import Origin, Token
from domain.calls.figures import FIGURES
from domain.prices.readings import TokenRef
from managers.http.api import APIRetryManager, NotAskedError
from managers.providers.figures import FigureProvider
from runtime.errors import TransientError
from sandbox.providers.birdeye import KEY
from sandbox.providers.stand_in import Fault, StandIn
from tests.providers.figures_kit import CASES, NOW, Case, known_on, ref, whole

PERCENT = ("top10", "developer", "snipers", "lp_locked", "buy_tax", "sell_tax")


@dataclass
class Pair:
    case: Case
    sandbox: StandIn
    adapter: FigureProvider


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
async def pair(case: Case, api_manager: APIRetryManager) -> AsyncIterator[Pair]:
    async with case.stand_in(figures=known_on(case.chain)) as sandbox:
        yield Pair(case, sandbox, case.adapter(api_manager, sandbox.url))


class TestEveryAdapter:
    async def test_says_what_its_source_says_and_who_said_it(self, pair: Pair) -> None:
        token = ref(1, pair.case.chain)
        found = (await pair.adapter.figures([token]))[token.key]
        given_token = whole(token)
        assert (found.address, found.chain) == (token.key, token.chain)
        assert set(found.origins) == pair.adapter.gives - pair.case.silent_about
        assert {(origin.source, origin.at <= NOW) for origin in found.origins.values()} == {(pair.adapter.name, True)}
        for name in FIGURES:
            said, meant = getattr(found, name), getattr(given_token, name)
            if name not in found.origins:
                assert said is None, name
            elif name == "top10_percent":
                assert said == pytest.approx(meant, abs=pair.case.top_ten_off_by)
            elif name == "fdv_usd" or not isinstance(meant, float):
                assert said == meant, name
            else:
                assert said == pytest.approx(meant, rel=pair.case.off_by, abs=1e-9), name

    async def test_asks_a_whole_batch_at_once_and_the_unknown_is_absent(self, pair: Pair) -> None:
        tokens = [ref(number, pair.case.chain) for number in range(1, pair.adapter.tokens_per_request + 1)]
        before = pair.sandbox.requests
        assert set(await pair.adapter.figures(tokens)) == {token.key for token in tokens}
        assert pair.sandbox.requests - before <= (2 if pair.adapter.name == "birdeye" else 1)
        pair.sandbox.unknown = {tokens[0].address}
        assert set(await pair.adapter.figures(tokens)) == {token.key for token in tokens[1:]}

    async def test_covers_chains_and_not_what_nobody_knows(self, pair: Pair) -> None:
        assert pair.adapter.covers(ref(1, pair.case.chain))
        assert not pair.adapter.covers(ref(1, "dogechain"))
        assert pair.adapter.gives <= set(Token.__struct_fields__)
        assert pair.adapter.room().requests > 0

    @pytest.mark.parametrize("fault", ["html", "cut", "drop", "empty", "error", 301, 302, 401, 403, 429, 500, 503])
    async def test_an_answer_of_somebody_else_is_no_answer(self, pair: Pair, fault: Fault) -> None:
        pair.sandbox.will(fault)
        with pytest.raises(TransientError):
            await pair.adapter.figures([ref(1, pair.case.chain)])

    async def test_one_answer_for_another_token_is_never_taken(self, pair: Pair) -> None:

        def another(_: str) -> Token:
            return whole(ref(2, pair.case.chain))

        pair.sandbox.figures = another
        try:
            found = await pair.adapter.figures([ref(1, pair.case.chain)])
        except TransientError:
            return
        assert found == {}

    async def test_too_many_is_heard_and_the_host_left_alone(self, case: Case, session: aiohttp.ClientSession) -> None:
        async with case.stand_in(figures=known_on(case.chain), requests_per_minute=2) as sandbox:
            adapter = case.adapter(APIRetryManager(session), sandbox.url)

            async def ask_on() -> None:
                for number in count(1):
                    await adapter.figures([ref(number, case.chain)])

            with pytest.raises(TransientError, match=r"429|too many") as refusal:
                await ask_on()
            assert not isinstance(refusal.value, NotAskedError)
            assert sandbox.refused == 1
            assert adapter.room().requests == 0
            assert adapter.room().again_in_s > 0

    async def test_its_own_limit_is_kept(self, case: Case, session: aiohttp.ClientSession) -> None:
        clock_s = 0.0
        async with case.stand_in(figures=known_on(case.chain)) as sandbox:
            adapter = case.adapter(APIRetryManager(session, clock=lambda: clock_s), sandbox.url)
            room = adapter.room().requests
            while adapter.room().requests > 0:
                await adapter.figures([ref(1, case.chain)])
            with pytest.raises(NotAskedError, match="used up"):
                await adapter.figures([ref(1, case.chain)])
            assert (sandbox.requests, sandbox.refused) == (room, 0)


Answering = Callable[[bytes], str]


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """The address of a server that answers every question with these bytes."""
    said = b""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=said, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    def with_body(body: bytes) -> str:
        nonlocal said
        said = body
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield with_body
    await runner.cleanup()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**53, max_value=10**400)
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        [ref(1).address, f"0x{1:040x}", f"solana_{ref(1).address}", "0", "1", "", "NaN", "-1", "1e400", "0.5", "token"]
    )
)
KEYS = st.sampled_from(
    [
        *("code", "result", "data", "included", "success", "mint", "token", "topHolders", "markets", "lp", "pct"),
        *(
            "baseToken",
            "quoteToken",
            "address",
            "chainId",
            "dexId",
            "pairAddress",
            "priceUsd",
            "volume",
            "txns",
            "info",
        ),
        *("id", "type", "attributes", "relationships", "top_pools", "holders", "percent", "dex", "lp_holders", "tvl"),
        *("lockers", "unlockDate", "locked_detail", "end_time", "is_locked", "knownAccounts", "creator", "tokenMeta"),
        *("score_normalised", "risks", "pairCreatedAt", "created_at", "h1", "buys", "socials", "websites", "url"),
        ref(1).address,
        f"0x{1:040x}",
    ]
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents, cut_to=st.integers(min_value=0, max_value=400))
async def test_no_answer_raises_anything_but_what_may_pass(
    case: Case, answering: Answering, session: aiohttp.ClientSession, document: object, cut_to: int
) -> None:
    token = ref(1, case.chain)
    whole_body = json.dumps(document).encode()
    for body in (whole_body, whole_body[:cut_to]):
        adapter = case.adapter(APIRetryManager(session), answering(body))
        try:
            found = await adapter.figures([token])
        except TransientError:
            continue
        assert set(found) <= {token.key}
        for one in found.values():
            assert set(one.origins) <= adapter.gives


def shaken(body: object, changes: st.DataObject) -> object:
    """The same document in which single members are something else."""
    if isinstance(body, dict):
        return {name: shaken(value, changes) for name, value in cast("dict[str, object]", body).items()}
    if isinstance(body, list):
        return [shaken(value, changes) for value in cast("list[object]", body)]
    return changes.draw(scalars) if changes.draw(st.integers(0, 9)) == 0 else body


@pytest.fixture
async def real_answer(pair: Pair, session: aiohttp.ClientSession) -> object:
    token = ref(1, pair.case.chain)
    path, params = question(pair.adapter.name, token)
    headers = {"X-API-KEY": KEY, "x-chain": token.chain}
    async with session.get(pair.sandbox.url + path, params=params, headers=headers) as response:
        assert response.status == 200
        return json.loads(await response.read())


def question(name: str, token: TokenRef) -> tuple[str, dict[str, str]]:
    match name:
        case "dexscreener":
            return f"/tokens/v1/{token.chain}/{token.key}", {}
        case "geckoterminal":
            return f"/networks/{token.chain}/tokens/multi/{token.key}", {"include": "top_pools"}
        case "jupiter":
            return "/tokens/v2/search", {"query": token.key}
        case "rugcheck":
            return f"/v1/tokens/{token.key}/report", {}
        case "goplus":
            path = "solana/token_security" if token.chain == "solana" else "token_security/56"
            return f"/api/v1/{path}", {"contract_addresses": token.key}
        case _:
            return "/defi/token_overview", {"address": token.key}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.data())
async def test_whatever_figures_say_each_stays_within_its_bounds(
    case: Case, real_answer: object, answering: Answering, session: aiohttp.ClientSession, changes: st.DataObject
) -> None:
    """A real answer with a tenth of its members replaced."""
    token = ref(1, case.chain)
    body = json.dumps(shaken(real_answer, changes)).encode()
    adapter = case.adapter(APIRetryManager(session), answering(body))
    try:
        found = await adapter.figures([token])
    except TransientError:
        return
    for one in found.values():
        assert one.address == token.key
        for name in one.origins:
            value = getattr(one, name)
            assert value is not None
            assert value == value, name  # noqa: PLR0124 - NaN is not
            if name.removesuffix("_percent") in PERCENT or name == "risk_score":
                assert 0 <= value <= 100, name
            elif name.startswith("price_change"):
                assert value >= -100, name
            elif isinstance(value, int | float) and not isinstance(value, bool):
                assert 0 <= value < float("inf"), name
        assert all(isinstance(origin, Origin) for origin in one.origins.values())
