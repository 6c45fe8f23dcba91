"""RugCheck: what its report leaves out is unknown, and pools and lockers are nobody's share."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from domain.calls.events import Token
from managers.http.api import APIRetryManager, NotAskedError
from managers.providers.rugcheck import GUESSED, RugCheckManager, read_report
from runtime.errors import TransientError
from sandbox.providers.rugcheck import RugCheckSandbox
from tests.providers.figures_kit import NOW, known_on, ref, whole

TOKEN = ref(7)
CREATOR, AUTHORITY, LOCKER, POOL = (ref(number).address for number in (71, 72, 73, 74))
NOBODY = "1" * 32
SUPPLY = 73_762_315_093_282
FEES = {"pct": 0, "maxAmount": 0, "authority": NOBODY}


def account(percent: float, number: int, owner: str = "") -> dict[str, Any]:
    return {"address": ref(100 + number).address, "pct": percent, "owner": owner or ref(200 + number).address}


def market(kind: str, *, lp: str, locked: object, usd: float) -> dict[str, Any]:
    pool = {"lpLockedPct": locked, "baseUSD": usd / 2, "quoteUSD": usd / 2, "holders": None}
    return {"pubkey": POOL, "marketType": kind, "mintLP": lp, "lp": pool}


REPORT: dict[str, Any] = {
    "mint": TOKEN.address,
    "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "creator": CREATOR,
    "creatorBalance": SUPPLY // 50,
    "token": {
        "mintAuthority": None,
        "supply": SUPPLY,
        "decimals": 6,
        "isInitialized": True,
        "freezeAuthority": None,
    },
    "token_extensions": None,
    "tokenMeta": {"name": "HOHO ", "symbol": "HOHO ", "uri": "https://example.org/1", "mutable": False},
    "topHolders": [
        account(40.0, 0, AUTHORITY),
        account(20.0, 1, LOCKER),
        account(9.0, 2, POOL),
        *(account(2.0, number) for number in range(3, 15)),
    ],
    "mintAuthority": None,
    "freezeAuthority": None,
    "risks": [{"name": "Low Liquidity", "value": "$5.18", "score": 2994, "level": "danger"}],
    "score": 15_107,
    "score_normalised": 56,
    "fileMeta": {"name": "HOHO", "symbol": "HOHO", "image": "https://example.org/1.png"},
    "lockers": {},
    "lockerOwners": {},
    "markets": [market("raydium_cpmm", lp=ref(75).address, locked=97.5, usd=5_182.6)],
    "totalMarketLiquidity": 5_182.6,
    "totalHolders": 30,
    "price": 1.2023241815210117e-07,
    "rugged": False,
    "transferFee": FEES,
    "knownAccounts": {
        CREATOR: {"name": "Creator", "type": "CREATOR"},
        AUTHORITY: {"name": "Raydium Pool Authority", "type": "AMM"},
        LOCKER: {"name": "Streamflow", "type": "LOCKER"},
    },
    "insiderNetworks": None,
    "creatorTokens": None,
}


def read(**changes: object) -> Token:
    """The report with members replaced; `a__b` is `b` within `a`, and `...` takes one away."""
    document = deepcopy(REPORT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner: Any = document
        for parent in parents:
            inner = inner[parent]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    return read_report(TOKEN, document, NOW)


def test_a_report_is_read_whole() -> None:
    token = read()
    assert (token.name, token.symbol, token.image_url) == ("HOHO", "HOHO", "https://example.org/1.png")
    assert (token.price_usd, token.liquidity_usd, token.holders) == (1.2023241815210117e-07, 5_182.6, 30)
    assert token.top10_percent == 20.0  # pool, locker and the pool's own account left out
    assert token.developer_percent == pytest.approx(2.0)
    assert token.lp_locked_percent == 97.5
    assert (token.mint_revoked, token.freeze_revoked, token.metadata_immutable) == (True, True, True)
    assert (token.buy_tax_percent, token.sell_tax_percent, token.risk_score) == (0.0, 0.0, 56.0)
    assert set(token.origins) == RugCheckManager.gives


@pytest.mark.parametrize(
    ("changes", "figure", "value"),
    [
        ({"token": None}, "mint_revoked", None),  # nothing was read: `null` at the top says nothing
        ({"token__isInitialized": False}, "mint_revoked", None),
        ({"token__mintAuthority": ...}, "mint_revoked", None),
        ({"token__mintAuthority": CREATOR}, "mint_revoked", False),
        ({"mintAuthority": CREATOR}, "mint_revoked", False),
        ({"token__freezeAuthority": CREATOR}, "freeze_revoked", False),
        ({"token__freezeAuthority": NOBODY}, "freeze_revoked", None),
        ({"token__freezeAuthority": 0}, "freeze_revoked", None),
        ({"tokenMeta": None}, "metadata_immutable", None),
        ({"tokenMeta": {"name": "", "symbol": "", "uri": "", "mutable": False}}, "metadata_immutable", None),
        ({"tokenMeta__mutable": True}, "metadata_immutable", False),
        ({"tokenMeta__mutable": "false"}, "metadata_immutable", None),
        ({"topHolders": None}, "top10_percent", None),
        ({"topHolders": []}, "top10_percent", None),
        ({"topHolders": [account(20.0, 1)]}, "top10_percent", None),  # nine more are not listed
        ({"topHolders": [account(20.0, 1)], "totalHolders": 1}, "top10_percent", 20.0),
        ({"topHolders": [account(20.0, 1), account(0.05, 2)]}, "top10_percent", 20.05),  # they make no difference
        ({"topHolders": [account(20.0, 1), {"pct": "x"}]}, "top10_percent", None),
        ({"topHolders": [account(120.0, 1)], "totalHolders": 1}, "top10_percent", None),
        ({"lockers": {ref(103).address: {}}}, "top10_percent", 20.0),
        ({"creator": ""}, "developer_percent", None),
        ({"creatorBalance": ..., "topHolders": [account(3.0, 1, CREATOR)]}, "developer_percent", 3.0),
        ({"creatorBalance": ...}, "developer_percent", None),
        ({"creatorBalance": 2**63, "token__supply": 2**64}, "developer_percent", 50.0),
        ({"creatorBalance": SUPPLY * 2}, "developer_percent", None),
        ({"creatorBalance": 0}, "developer_percent", 0.0),
        ({"markets": None}, "lp_locked_percent", None),
        ({"markets": []}, "lp_locked_percent", None),
        ({"markets": [market("pump_fun", lp=NOBODY, locked=100, usd=9e3)]}, "lp_locked_percent", None),
        ({"markets": [market("orca", lp=NOBODY, locked=0, usd=9e3)]}, "lp_locked_percent", None),
        (
            {
                "markets": [
                    market("pump_fun", lp=NOBODY, locked=100, usd=9e9),
                    market("pump_amm", lp=POOL, locked=0, usd=2e3),
                    market("raydium_cpmm", lp=POOL, locked=100, usd=10.0),
                ]
            },
            "lp_locked_percent",
            0.0,
        ),
        ({"markets": [market("raydium", lp=POOL, locked=None, usd=9e3)]}, "lp_locked_percent", None),
        ({"lockers": {LOCKER: {"unlockDate": NOW.timestamp() - 60}}}, "lp_locked_percent", None),
        ({"lockers": {LOCKER: {"unlockDate": NOW.timestamp() + 9e6}}}, "lp_locked_percent", 97.5),
        ({"transferFee__pct": 5}, "buy_tax_percent", 5.0),
        ({"transferFee": None}, "sell_tax_percent", None),
        ({"transferFee__pct": 101}, "sell_tax_percent", None),
        ({"tokenProgram": "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"}, "buy_tax_percent", None),
        ({"score_normalised": 101}, "risk_score", None),
        ({"score_normalised": "NaN"}, "risk_score", None),
        ({"score_normalised": 0, "risks": None}, "risk_score", None),
        ({"score_normalised": 0, "risks": []}, "risk_score", 0.0),
        ({"score_normalised": 0, "token": None}, "risk_score", None),
        ({"score_normalised": 1, "rugged": True}, "risk_score", 100.0),
        ({"score_normalised": None, "risks": None, "rugged": False}, "risk_score", None),
        ({"token": None}, "buy_tax_percent", None),
        ({"totalHolders": 0}, "holders", None),
        ({"totalHolders": 2**60}, "holders", None),
        ({"totalMarketLiquidity": 0, "markets": None}, "liquidity_usd", None),
        ({"totalMarketLiquidity": 0}, "liquidity_usd", 0.0),
        ({"totalMarketLiquidity": -1}, "liquidity_usd", None),
        ({"price": 0}, "price_usd", None),
        ({"price": "0.1"}, "price_usd", None),
        ({"tokenMeta__name": " \0"}, "name", "HOHO"),
        ({"fileMeta__image": "javascript:alert(1)"}, "image_url", None),
    ],
)
def test_what_is_not_said_is_unknown(changes: dict[str, object], figure: str, value: object) -> None:
    token = read(**changes)
    assert getattr(token, figure) == (pytest.approx(value) if isinstance(value, float) else value)
    assert (figure in token.origins) is (value is not None)


async def test_one_that_is_not_indexed_yet_is_unknown(api_manager: APIRetryManager) -> None:
    async with RugCheckSandbox(figures=known_on("solana")) as sandbox:
        adapter = RugCheckManager(api_manager, sandbox.url, clock=lambda: NOW)
        sandbox.not_indexed = {TOKEN.address}
        assert await adapter.figures([TOKEN]) == {}
        sandbox.not_indexed, sandbox.nulls = set(), {TOKEN.address}
        said = (await adapter.figures([TOKEN]))[TOKEN.key]
        assert (said.mint_revoked, said.holders, said.top10_percent, said.lp_locked_percent) == (True, None, None, None)
        assert (said.liquidity_usd, said.risk_score) == (None, None)


async def test_on_a_curve_nothing_is_locked_whatever_it_says(api_manager: APIRetryManager) -> None:
    def on_curve(asked: str) -> Token:
        token = whole(ref(1))
        return Token(address=asked, price_usd=token.price_usd, liquidity_usd=9_000.0, dex="pump.fun")

    async with RugCheckSandbox(figures=on_curve) as sandbox:
        said = await RugCheckManager(api_manager, sandbox.url).figures([TOKEN])
        assert said[TOKEN.key].lp_locked_percent is None
        sandbox.stale = {TOKEN.address: Token(address=TOKEN.address, price_usd=9.0)}
        assert (await RugCheckManager(api_manager, sandbox.url).figures([TOKEN]))[TOKEN.key].price_usd == 9.0


async def test_its_limit_gives_way_and_grows_back(session: aiohttp.ClientSession) -> None:
    clock_s = 0.0
    async with RugCheckSandbox(figures=known_on("solana"), requests_per_minute=20, clock=lambda: clock_s) as sandbox:
        adapter = RugCheckManager(APIRetryManager(session, clock=lambda: clock_s), sandbox.url)

        async def ask_on() -> None:
            while True:
                await adapter.figures([TOKEN])

        with pytest.raises(TransientError, match="429"):
            await ask_on()
        assert (sandbox.requests, sandbox.refused) == (21, 1)
        clock_s += GUESSED.period_s + 1
        assert adapter.room().requests == GUESSED.slots // 2 + 1
        for minutes in (1, 5):  # one more after each minute, and the limit that it does keep is found again
            clock_s += minutes * GUESSED.period_s
            with pytest.raises(NotAskedError if minutes == 1 else TransientError):
                await ask_on()
        assert sandbox.refused == 2
        clock_s += timedelta(hours=1).total_seconds()
        assert adapter.room().requests == GUESSED.slots
