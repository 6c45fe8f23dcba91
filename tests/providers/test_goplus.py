"""GoPlus: three states of everything, on Solana as objects, on EVM chains as texts."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from domain.calls.events import Token
from managers.http.answers import DeniedError, RefusedError, TooManyError
from managers.http.api import APIRetryManager
from managers.providers.goplus import GoPlusEvmManager, GoPlusSolanaManager
from managers.providers.goplus_evm import EVM_GIVES, read_contract
from managers.providers.goplus_solana import SOLANA_GIVES, read_mint
from runtime.errors import TransientError
from sandbox.providers.goplus import GoPlusSandbox
from tests.providers.figures_kit import NOW, known_on, ref
from tests.providers.test_figure_providers import Answering, answering

__all__ = ["answering"]

MINT, CONTRACT = ref(7), ref(7, "ethereum")
POOL = "0x807df86b367411fb31ba88c97d2baa2f9575f52e"
BURNT = "0x000000000000000000000000000000000000dEaD"
OFF: dict[str, Any] = {"status": "0", "authority": []}
ON: dict[str, Any] = {"status": "1", "authority": [{"address": "x", "malicious_address": 0}]}


def holder(percent: float, number: int, **more: object) -> dict[str, Any]:
    return {"address": ref(number, "base").address, "percent": str(percent / 100), "tag": "", "is_locked": 0, **more}


ON_SOLANA: dict[str, Any] = {
    "balance_mutable_authority": OFF,
    "closable": OFF,
    "creators": [],
    "default_account_state": "1",
    "dex": [
        {"dex_name": "orca", "tvl": "262.87", "lp_amount": None, "type": "Concentrated"},
        {"dex_name": "raydium", "tvl": "99777.89", "lp_amount": "55052.4", "type": "Standard", "id": "pool"},
    ],
    "freezable": OFF,
    "holder_count": "7348314",
    "holders": [
        {"account": "pool", "balance": "1", "is_locked": 0, "percent": "0.4"},
        *({"account": f"a{number}", "balance": "1", "is_locked": 0, "percent": "0.01"} for number in range(10)),
    ],
    "lp_holders": [{"account": "1nc1nerator11111111111111111111111111111111", "percent": "1", "is_locked": 0}],
    "metadata": {"description": "", "name": "USD of nobody", "symbol": "USN", "uri": ""},
    "metadata_mutable": {"metadata_upgrade_authority": [], "status": "0"},
    "mintable": ON,
    "non_transferable": "0",
    "total_supply": "7946037166.764042",
    "transfer_fee": {},
    "transfer_fee_upgradable": OFF,
    "transfer_hook": [],
    "trusted_token": 0,
}
ON_EVM: dict[str, Any] = {
    "buy_tax": "0",
    "sell_tax": "0.05",
    "cannot_sell_all": "0",
    "creator_address": "0x15ea7c32526076ccc06a62383e6e654c11147cc5",
    "creator_percent": "0.020000",
    "dex": [{"name": "UniswapV2", "liquidity": "2762.38854260", "pair": POOL}],
    "holder_count": "158",
    "holders": [
        holder(70.0, 1, address=POOL),
        holder(5.0, 2, tag="TeamFinance"),
        holder(4.0, 3, address=BURNT),
        *(holder(1.0, number) for number in range(4, 14)),
    ],
    "honeypot_with_same_creator": "0",
    "is_blacklisted": "0",
    "is_honeypot": "0",
    "is_in_dex": "1",
    "is_mintable": "0",
    "is_open_source": "1",
    "is_proxy": "0",
    "lp_holders": [
        holder(99.5, 1, tag="TeamFinance", is_locked=1),
        holder(0.5, 2),
    ],
    "owner_address": "0x0000000000000000000000000000000000000000",
    "token_name": "Curse",
    "token_symbol": "CRS",
    "total_supply": "1000000000",
    "transfer_pausable": "0",
}


def changed(document: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    merged = deepcopy(document) | changes
    return {name: value for name, value in merged.items() if value is not ...}


def lock(ends: object, amount: object = "1") -> dict[str, object]:
    return {"end_time": ends, "amount": amount, "opt_time": "2023-01-01T00:00:00+00:00"}


PAST, FUTURE = ((NOW + timedelta(days=days)).isoformat() for days in (-1, 30))


def test_a_mint_is_read_whole() -> None:
    token = read_mint(MINT, ON_SOLANA, NOW)
    assert (token.name, token.symbol, token.holders) == ("USD of nobody", "USN", 7_348_314)
    assert (token.mint_revoked, token.freeze_revoked, token.metadata_immutable) == (False, True, True)
    assert (token.buy_tax_percent, token.sell_tax_percent, token.lp_locked_percent) == (0.0, 0.0, 100.0)
    assert token.top10_percent == pytest.approx(10.0)
    assert set(token.origins) == SOLANA_GIVES


@pytest.mark.parametrize(
    ("changes", "figure", "value"),
    [
        ({"mintable": ...}, "mint_revoked", None),
        ({"mintable": {}}, "mint_revoked", None),
        ({"mintable": "0"}, "mint_revoked", None),
        ({"mintable": {"status": 0}}, "mint_revoked", None),
        ({"freezable": ON}, "freeze_revoked", False),
        ({"metadata_mutable": ON}, "metadata_immutable", False),
        ({"transfer_fee": ...}, "buy_tax_percent", None),
        ({"transfer_fee_upgradable": ...}, "buy_tax_percent", None),
        ({"transfer_fee_upgradable": ON}, "buy_tax_percent", None),
        ({"transfer_fee": {"current_fee_rate": {"fee_rate": "0"}}}, "sell_tax_percent", 0.0),
        ({"transfer_fee": {"current_fee_rate": {"fee_rate": "5"}}}, "sell_tax_percent", None),
        ({"holders": None}, "top10_percent", None),
        ({"holders": [{"account": "a", "percent": "0.2"}]}, "top10_percent", None),
        ({"holders": [{"account": "a", "percent": "0.2"}], "holder_count": "1"}, "top10_percent", 20.0),
        ({"holders": [{"account": "a", "percent": "20"}], "holder_count": "1"}, "top10_percent", None),
        ({"holder_count": ""}, "holders", None),
        ({"holder_count": "0"}, "holders", None),
        ({"holder_count": "NaN"}, "holders", None),
        ({"lp_holders": []}, "lp_locked_percent", None),
        ({"dex": []}, "lp_locked_percent", None),
        ({"dex": [{"tvl": "9", "type": "Concentrated"}]}, "lp_locked_percent", None),
        ({"metadata": None}, "symbol", None),
    ],
)
def test_of_a_mint_what_is_not_said_is_unknown(changes: dict[str, object], figure: str, value: object) -> None:
    token = read_mint(MINT, changed(ON_SOLANA, changes), NOW)
    assert getattr(token, figure) == (pytest.approx(value) if isinstance(value, float) else value)


def test_a_contract_is_read_whole() -> None:
    token = read_contract(CONTRACT, ON_EVM, NOW)
    assert (token.name, token.symbol, token.holders, token.chain) == ("Curse", "CRS", 158, "ethereum")
    assert (token.buy_tax_percent, token.sell_tax_percent) == (0.0, 5.0)
    assert (token.developer_percent, token.lp_locked_percent) == (2.0, pytest.approx(99.5))
    assert (token.mint_revoked, token.freeze_revoked, token.risk_score) == (True, True, None)
    assert token.top10_percent == pytest.approx(10.0)
    assert set(token.origins) == EVM_GIVES - {"risk_score"}


@pytest.mark.parametrize(
    ("changes", "figure", "value"),
    [
        ({"buy_tax": ""}, "buy_tax_percent", None),
        ({"buy_tax": ...}, "buy_tax_percent", None),
        ({"buy_tax": "1.5"}, "buy_tax_percent", None),
        ({"buy_tax": "1"}, "buy_tax_percent", 100.0),
        ({"is_in_dex": "0"}, "sell_tax_percent", None),
        ({"is_honeypot": "1"}, "sell_tax_percent", None),
        ({"is_honeypot": "1"}, "risk_score", 100.0),
        ({"cannot_sell_all": "1"}, "risk_score", 100.0),
        ({"fake_token": {"value": 1, "true_token_address": "0x"}}, "risk_score", 100.0),
        ({"fake_token": None, "is_airdrop_scam": None}, "risk_score", None),
        ({"is_mintable": "1"}, "mint_revoked", False),
        ({"is_mintable": ...}, "mint_revoked", None),
        ({"is_mintable": ""}, "mint_revoked", None),
        ({"is_mintable": 0}, "mint_revoked", None),
        ({"is_proxy": "1"}, "mint_revoked", None),  # its code may be another tomorrow
        ({"is_open_source": "0"}, "mint_revoked", None),
        ({"is_open_source": ...}, "freeze_revoked", None),
        ({"is_blacklisted": "1"}, "freeze_revoked", False),
        ({"transfer_pausable": "1", "is_blacklisted": ...}, "freeze_revoked", False),
        ({"transfer_pausable": ...}, "freeze_revoked", None),
        ({"creator_percent": ""}, "developer_percent", None),
        ({"creator_percent": "5"}, "developer_percent", None),
        ({"holders": []}, "top10_percent", None),
        ({"holders": [holder(2.0, 1, tag="Blockchain.com")], "holder_count": "1"}, "top10_percent", 2.0),
        ({"holders": [holder(2.0, 1, is_locked=1)], "holder_count": "1"}, "top10_percent", 0.0),
        (
            {"holders": [holder(2.0, 1, is_locked=1, locked_detail=[lock(PAST)])], "holder_count": "1"},
            "top10_percent",
            2.0,
        ),
        ({"lp_holders": ...}, "lp_locked_percent", None),
        ({"lp_holders": [holder(60.0, 1, is_locked=1)]}, "lp_locked_percent", None),  # who has the rest?
        ({"lp_holders": [holder(100.5, 1, is_locked=1)]}, "lp_locked_percent", 100.0),
        ({"lp_holders": [holder(250.0, 1, is_locked=1)]}, "lp_locked_percent", None),
        ({"lp_holders": [holder(100.0, 1, address=BURNT)]}, "lp_locked_percent", 100.0),
        ({"lp_holders": [holder(100.0, 1, is_locked=1, locked_detail=[lock(PAST)])]}, "lp_locked_percent", 0.0),
        ({"lp_holders": [holder(100.0, 1, is_locked=1, locked_detail=[lock(FUTURE)])]}, "lp_locked_percent", 100.0),
        (
            {"lp_holders": [holder(100.0, 1, is_locked=1, locked_detail=[lock(PAST, "3"), lock(FUTURE, "1")])]},
            "lp_locked_percent",
            25.0,
        ),
        ({"lp_holders": [holder(100.0, 1, is_locked=1, locked_detail=[lock("soon")])]}, "lp_locked_percent", None),
        ({"lp_holders": [holder(100.0, 1, is_locked="?")]}, "lp_locked_percent", None),
        ({"dex": [{"name": "UniswapV4", "liquidity": "9", "pair": "0x1"}]}, "lp_locked_percent", None),
        ({"dex": []}, "lp_locked_percent", None),
    ],
)
def test_of_a_contract_what_is_not_said_is_unknown(changes: dict[str, object], figure: str, value: object) -> None:
    token = read_contract(CONTRACT, changed(ON_EVM, changes), NOW)
    assert getattr(token, figure) == (pytest.approx(value) if isinstance(value, float) else value)


def test_of_closed_source_hardly_anything_is_known() -> None:
    said: dict[str, Any] = {
        "is_open_source": "0",
        "token_name": "C",
        "holder_count": "12",
        "buy_tax": "",
        "sell_tax": "",
        "dex": [],
    }
    assert set(read_contract(CONTRACT, said, NOW).origins) == {"name", "holders"}


async def test_capitals_of_the_question_do_not_matter_and_pending_is_no_answer(api_manager: APIRetryManager) -> None:
    token = ref(0xABCDEF, "bsc")
    asked = type(token)(token.address.upper().replace("X", "x"), "bsc")
    async with GoPlusSandbox(figures=known_on("bsc")) as sandbox:
        adapter = GoPlusEvmManager(api_manager, sandbox.url, tokens_per_request=5)
        found = await adapter.figures([asked])
        assert [one.address for one in found.values()] == [token.address]
        sandbox.pending = {token.address}
        assert set(await adapter.figures([asked, ref(2, "bsc")])) == {ref(2, "bsc").key}
        with pytest.raises(TransientError, match="not done"):
            await adapter.figures([asked])
        sandbox.pending, sandbox.traps, sandbox.closed_source = set(), {token.address}, {ref(2, "bsc").address}
        found = await adapter.figures([asked, ref(2, "bsc")])
        assert found[token.address].risk_score == 100.0
        assert found[ref(2, "bsc").key].mint_revoked is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"code":4029,"message":"too many requests","result":{}}', TooManyError),
        (b'{"code":4012,"message":"sign","result":null}', DeniedError),
        (b'{"code":2004,"message":"Contract address format error!","result":null}', RefusedError),
        (b'{"code":2018,"message":"ChainID not supported","result":null}', RefusedError),
        (b'{"code":2,"message":"partial","result":{}}', TransientError),
        (b'{"code":5000,"message":"System error","result":null}', TransientError),
        (b'{"code":1,"message":"OK","result":null}', TransientError),
        (b'{"code":1,"message":"OK","result":{"other":{"mintable":{"status":"0"}}}}', TransientError),
        (b'{"code":"1","message":"OK","result":{}}', TransientError),
        (b"{}", TransientError),
    ],
)
async def test_its_codes_are_errors_although_http_says_200(
    answering: Answering, api_manager: APIRetryManager, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        await GoPlusSolanaManager(api_manager, answering(body)).figures([MINT])
    assert type(raised.value) is error or error is TransientError


@pytest.mark.parametrize("code", [2020, 2021])
async def test_nothing_is_known_of_what_is_no_contract(
    answering: Answering, api_manager: APIRetryManager, code: int
) -> None:
    body = b'{"code":%d,"message":"no","result":null}' % code
    assert await GoPlusEvmManager(api_manager, answering(body)).figures([CONTRACT]) == {}
    assert await GoPlusEvmManager(api_manager, answering(b'{"code":1,"result":{}}')).figures([CONTRACT]) == {}


async def test_both_chains_share_a_limit(api_manager: APIRetryManager) -> None:
    async with GoPlusSandbox(figures=known_on("solana")) as sandbox:
        solana, evm = GoPlusSolanaManager(api_manager, sandbox.url), GoPlusEvmManager(api_manager, sandbox.url)
        before = evm.room().requests
        found: dict[str, Token] = await solana.figures([MINT])
        assert found
        assert evm.room().requests == before - 1
