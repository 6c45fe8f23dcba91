"""Settings from files: what a unit's `LoadCredential=` and a container's secrets bring."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.credentials import MAX_BYTES, PREFIX, VARIABLE, read_credentials
from config.settings import Settings, load_settings
from runtime.errors import FatalError

TOKEN: Final = "123456789:AAE_of_nobody"


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv(VARIABLE, str(directory))
    return directory


def token_of(settings: Settings) -> str | None:
    return settings.telegram_bot_token.get_secret_value() if settings.telegram_bot_token else None


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_a_file_is_a_setting(credentials: Path, prefix: str) -> None:
    (credentials / f"{prefix}telegram_bot_token").write_text(f"{TOKEN}\n")
    (credentials / f"{prefix}admin_chat_ids").write_text("1, 2\n")
    settings = load_settings()
    assert token_of(settings) == TOKEN
    assert settings.admin_chat_ids == {1, 2}
    assert TOKEN not in repr(settings)


def test_what_stands_there_wins(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever replaces a secret replaces the file; what an old line of the environment says no longer counts."""
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:old")
    assert token_of(load_settings()) == "1:old"
    (credentials / "telegram_bot_token").write_text("\n")
    assert token_of(load_settings()) == "1:old", "an empty file counts as not there"
    (credentials / "telegram_bot_token").write_text(TOKEN)
    assert token_of(load_settings()) == TOKEN


def test_without_the_directory_nothing_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert token_of(load_settings()) is None


def test_all_that_is_wrong_is_said_at_once_and_no_secret_with_it(credentials: Path) -> None:
    secret = "do-not-print-me"
    (credentials / "telegram_bot_tokn").write_text(secret)
    (credentials / "redis_url").write_text(f"redis://:{secret}@h/0")
    (credentials / f"{PREFIX}redis_url").write_text(f"redis://:{secret}@h/0")
    (credentials / "feed_token").write_bytes(secret.encode() + b"\xff")
    (credentials / "solana_wallet").write_text(secret + "x" * MAX_BYTES)
    (credentials / "database_url").mkdir()
    with pytest.raises(FatalError) as refused:
        load_settings()
    said = str(refused.value)
    for name in ("telegram_bot_tokn", f"{PREFIX}redis_url", "feed_token", "solana_wallet", "database_url"):
        assert f"  {name}: " in said
    assert secret not in said


def test_a_value_that_does_not_fit_is_refused_like_any_other(credentials: Path) -> None:
    (credentials / "telegram_bot_token").write_text("no-token-at-all")
    with pytest.raises(FatalError, match="TELEGRAM_BOT_TOKEN") as refused:
        load_settings()
    assert "no-token-at-all" not in str(refused.value)


def test_a_directory_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FatalError, match="nowhere cannot be read"):
        load_settings()


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), st.binary(max_size=64), max_size=4))
def test_whatever_is_in_the_files_is_a_value_or_a_complaint(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]
) -> None:
    directory = tmp_path_factory.mktemp("credentials")
    for name, data in content.items():
        (directory / name).write_bytes(data)
    expected: dict[str, str] | None
    try:
        expected = {name: text for name, data in content.items() if (text := data.decode().strip())}
    except UnicodeDecodeError:
        expected = None
    if expected is None:
        with pytest.raises(FatalError, match="is not UTF-8"):
            read_credentials(directory, Settings.model_fields)
    else:
        assert read_credentials(directory, Settings.model_fields) == expected
