"""What no log may hold is in none, wherever it stands in a line; and what the line is about stays."""

from __future__ import annotations

import io
import json
import logging
import string
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from bot.console import Part, Terminal
from config.redaction import Redactor, is_address
from config.settings import Settings, load_settings
from runtime.errors import FatalError
from tests.monitoring.test_logging import log_directory

__all__ = ["log_directory"]

TOKEN = "123456789:AAF" + "x" * 32
SECRET = "hunter2-and-more"
MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"

wallets = st.binary(min_size=32, max_size=32).map(lambda seed: str(Pubkey(seed)))
words = st.text(string.ascii_lowercase + "äß日 ,.;:()[]{}<>'\"=&", max_size=20)
secrets = st.text(string.ascii_letters + string.digits + "-_.~+/=!$%", min_size=6, max_size=60)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
few = settings(max_examples=30)
places = st.sampled_from(["reason", "detail", "user", "error", "address", "payer", "x"])


def logged(redactor: Redactor, **event: Any) -> str:
    return json.dumps(redactor(None, "info", event), ensure_ascii=False)


def buried(value: object, depth: int) -> object:
    """In a list in a dictionary in a tuple."""
    for level in range(depth):
        value = [value] if level % 3 == 0 else {"inner": value} if level % 3 == 1 else (value,)
    return value


@few
@given(wallet=wallets, before=words, after=words, place=places, depth=st.integers(0, 4))
def test_a_wallet_is_never_shown(wallet: str, before: str, after: str, place: str, depth: int) -> None:
    assert is_address(wallet)
    shown = logged(Redactor(), **{place: buried(f"{before} {wallet} {after}", depth)})
    assert wallet not in shown
    assert wallet[4:] not in shown


@given(
    secret=st.text(string.ascii_letters + string.digits + "-_.~+/=!$%", min_size=6, max_size=60),
    depth=st.integers(0, 4),
)
def test_what_the_settings_hold_is_never_shown(secret: str, depth: int) -> None:
    shown = logged(Redactor([secret]), reason=buried(f"asked with key {secret}, refused", depth))
    assert secret not in json.loads(shown)["reason"] if depth == 0 else f"key {secret}," not in shown


@few
@given(token=st.from_regex(r"[1-9][0-9]{7,9}:[A-Za-z0-9_-]{35}", fullmatch=True), place=places, before=words)
def test_no_token_of_a_bot_is_shown(token: str, place: str, before: str) -> None:
    for text in (f"{before} {token}", f"https://api.telegram.org/bot{token}/getMe failed"):
        assert token.partition(":")[2] not in logged(Redactor(), **{place: text})


@given(text=st.text(min_size=1, max_size=200), field=st.sampled_from(["text", "html", "caption", "typed"]))
def test_what_people_write_is_told_by_its_length(text: str, field: str) -> None:
    assert Redactor()(None, "info", {field: text}) == {field: f"<{len(text)} characters>"}


@given(
    wallet=wallets, field=st.sampled_from(["token", "token_address", "mint", "pool", "call_id", "call_ids", "subject"])
)
def test_the_address_of_a_token_stays(wallet: str, field: str) -> None:
    assert Redactor()(None, "info", {field: wallet}) == {field: wallet}


@few
@given(st.dictionaries(st.text(max_size=8), anything))
def test_whatever_is_logged_can_be_written(event: dict[str, Any]) -> None:
    redactor = Redactor([SECRET])
    once = redactor(None, "info", event)
    assert redactor(None, "info", once).keys() == event.keys()


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Authorization: Bearer abc.DEF-123456", "Authorization: Bearer <secret>"),
        ("GET /x?api-key=abcd1234&x=1", "GET /x?api-key=<secret>&x=1"),
        ('{"password": "abcd1234", "x": 1}', '{"password": "<secret>", "x": 1}'),
        ("redis://user:pass@10.0.0.1:6379/0 refused", "redis://<secret>@10.0.0.1:6379/0 refused"),
        ("from 0x52908400098527886E0F7030069857D2E4169EE7", "from <address 0x52…>"),
        ("from bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "from <address bc1q…>"),
        ("from TJRabPrwbZy45sbavfcjinPJC18kjpRTv8", "from <address TJRa…>"),
        ("from 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "from <address 1A1z…>"),
    ],
)
def test_examples(said: str, left: str) -> None:
    assert Redactor().text(said) == left


@pytest.mark.parametrize(
    "plain",
    [
        "Redis is unavailable since 2026-01-01 10:00:00 UTC: circuit open",
        "ClientConnectorCertificateError: Cannot connect to host api.example.com:443",
        "0123456789abcdef0123456789abcdef",
        "services.delivery.settling",
        "/var/lib/token-filter-bot/archive/calls/2026-01-01.parquet",
    ],
)
def test_what_is_no_secret_stays(plain: str) -> None:
    assert Redactor([SECRET]).text(plain) == plain


def test_our_own_address_is_public() -> None:
    assert Redactor(ours=[MINT]).text(f"to {MINT}") == f"to {MINT}"
    assert Redactor().text(f"to {MINT}") == "to <address EPjF…>"


def test_secrets_of_the_settings_are_those_and_passwords_in_addresses() -> None:
    configured = Settings(
        redis_url="redis://:p%40ssword@host/0",
        database_url="postgresql://u:another-one@host/d",
        solana_wallet=MINT,
        solana_rpc_urls=("https://rpc.example/?api-key=k3y-of-rpc",),
        metrics_token="scrape-me-not",  # pyright: ignore[reportArgumentType] - read as from the environment
    )
    redactor = Redactor(configured.secrets)
    said = "p%40ssword p@ssword another-one scrape-me-not https://rpc.example/?api-key=k3y-of-rpc u host"
    assert redactor.text(said) == "<secret> <secret> <secret> <secret> https://rpc.example/?api-key=<secret> u host"


@pytest.mark.parametrize("name", [n for n in Settings.model_fields if n.endswith(("_url", "_urls", "_base"))])
@pytest.mark.parametrize("place", ["/v2/{}", "/{}/", "/?api-key={}", "/x?k={}&y=1"])
def test_a_key_in_an_address_of_the_settings_is_shown_nowhere(name: str, place: str) -> None:
    key = "9fA3kQ7xYz41LmNopQ2r"
    scheme = {"feed_url": "wss", "redis_url": "redis", "database_url": "postgresql"}.get(name, "https")
    if "database" in name or scheme == "redis":
        address = f"{scheme.replace('https', 'postgresql')}://u:{key}@host/bot"
    else:
        address = f"{scheme}://host.example{place.format(key)}"
    configured = Settings.model_construct(None, **{name: (address,) if name.endswith("s") else address})
    redactor = Redactor(configured.secrets)
    assert key not in redactor.text(f"cannot reach {address}: key {key} is refused")
    output = io.StringIO()
    Terminal(Console(file=output, width=200)).show_parts([Part("one", real=True, address=address)])
    assert key not in output.getvalue()
    assert "//host" in output.getvalue()


def test_an_address_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOLANA_RPC_URLS", "PRICE_API_URL", "RUGCHECK_URL", "MIGRATIONS_DATABASE_URL"):
        monkeypatch.setenv(name, "ftp://host/v2/9fA3kQ7xYz41")
    with pytest.raises(FatalError) as caught:
        load_settings()
    assert "PRICE_API_URL" in str(caught.value)
    assert "9fA3" not in str(caught.value)


def test_it_is_so_in_the_files_also_of_libraries_and_in_tracebacks(log_directory: Path) -> None:
    wallet = str(Keypair().pubkey())
    structlog.get_logger("x").warning("paid", payer=wallet, token=MINT, text="meet me at noon")
    logging.getLogger("some.library").warning("sent %s to %s", TOKEN, wallet)
    try:
        {}[f"cannot pay {wallet}"]
    except KeyError:
        structlog.get_logger("x").exception("broke_off", password="abcdefg")
    written = (log_directory / "bot.log").read_text("utf-8")
    assert len(written.splitlines()) == 3
    assert not [one for one in (wallet, TOKEN, "noon", "abcdefg") if one in written]
    assert MINT in written
    assert "cannot pay <address" in written
