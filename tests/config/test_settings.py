"""What somebody mistypes is named in plain words, with what they probably meant."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.names import unread
from config.settings import Settings, load_settings
from runtime.errors import FatalError

NAMES = sorted(name.upper() for name in Settings.model_fields if name != "notify_socket")
OTHERS = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "PYTHONPATH",
    "LOGNAME",
    "LS_COLORS",
    "SHELL",
    "REDIS_HOST",
    "PGHOST",
    "PGDATABASE",
    "DOCKER_HOST",
    "COLUMNS",
    "VIRTUAL_ENV",
    "LOG_FORMAT",
    "DATA",
    "SSH_AUTH_SOCK",
    "INVOCATION_ID",
]
NOWHERE = Path("/nonexistent/.env")
JARGON = re.compile(r"[Vv]alue error|regular expression|pattern|\^|\\S|Input should|validation")


@st.composite
def typos(draw: st.DrawFn) -> tuple[str, str]:
    """A name and how somebody mistypes it: a letter left out, doubled, or two in each other's place."""
    name = draw(st.sampled_from(NAMES))
    at = draw(st.integers(0, len(name) - 2))
    wrong = draw(
        st.sampled_from(
            [
                name[:at] + name[at + 1 :],
                name[:at] + name[at] + name[at:],
                name[:at] + name[at + 1] + name[at] + name[at + 2 :],
            ]
        )
    )
    return name, draw(st.sampled_from([wrong, wrong.lower()]))


@given(typo=typos())
def test_the_nearest_right_name_is_named_wherever_it_is_mistyped(typo: tuple[str, str]) -> None:
    name, wrong = typo
    if wrong.upper() in NAMES:
        return
    [found] = unread(NAMES, [wrong], NOWHERE)
    assert f"{wrong} (environment)" in str(found)
    assert f"did you mean {name}?" in str(found)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / ".env"
        file.write_text(f"# mine\nexport {wrong}=1\nPOSTGRES_PASSWORD=x\nHTTP_PORT=1\n")
        [found] = unread(NAMES, [], file)
        assert (found.name, found.nearest) == (wrong, name)


def test_what_belongs_to_others_is_no_typo() -> None:
    assert unread(NAMES, [*OTHERS, *NAMES, *(name.lower() for name in NAMES)], NOWHERE) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BOT_TOKEN", "TELEGRAM_BOT_TOKEN"),
        ("ADMIN_IDS", "ADMIN_CHAT_IDS"),
        ("WEBHOOK_SECRET", "TELEGRAM_WEBHOOK_SECRET"),
    ],
)
def test_in_the_file_half_a_name_is_understood(tmp_path: Path, written: str, meant: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{written}=1\nBANANA=1\n")
    assert [found.nearest for found in unread(NAMES, [], file)] == [meant, None]


@given(content=st.binary(max_size=200))
def test_a_file_of_anything_is_read_or_refused_in_one_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / ".env"
        file.write_bytes(content)
        try:
            told = [str(one) for one in unread(NAMES, [], file)]
        except FatalError as error:
            told = [str(error)]
        assert all(str(file) in one for one in told)


@pytest.mark.parametrize("value", ["banana", "-1", "1e999", "🚀", "@me", "::", "0x10"])
def test_a_wrong_value_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in set(os.environ) & set(NAMES):
        monkeypatch.delenv(name)
    refused = 0
    for name in NAMES:
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            told = refusal()
        refused += bool(told)
        assert not told or name in told
        assert not JARGON.search(told)
        assert not re.search("TOKEN|SECRET|KEY|PASSWORD", name) or value not in told
    assert refused > 5


def refusal() -> str:
    """Return why the settings are refused; empty if they are not."""
    try:
        load_settings()
    except FatalError as error:
        return str(error)
    return ""


def test_problems_and_typos_are_told_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("HTTP_PORT=banana\nSOLANA_WALET=x\nREDIS_URL=localhost:s3cret@nowhere\n")
    with pytest.raises(FatalError) as refused:
        load_settings()
    said = str(refused.value)
    assert "HTTP_PORT: it must be a whole number, not “banana”" in said
    assert "SOLANA_WALET (.env) is no variable of the bot: did you mean SOLANA_WALLET?" in said
    assert "REDIS_URL: it must be an address such as redis://localhost:6379/0" in said
    assert "s3cret" not in said
