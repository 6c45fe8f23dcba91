"""Settings from files, one each: what systemd's `LoadCredential=` and a container's secrets hand to a process.

A file is named after its setting (`telegram_bot_token`), or has `secret_` before it: that is how systemd names the
files of a directory that is loaded whole. Its content, without the white space around it, is the value.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from runtime.errors import FatalError

VARIABLE: Final = "CREDENTIALS_DIRECTORY"
PREFIX: Final = "secret_"
MAX_BYTES: Final = 65_536


class CredentialsSource(PydanticBaseSettingsSource):
    """What lies in `directory`; nothing when that is `None`. A file that is empty counts as not there."""

    def __init__(self, settings: type[BaseSettings], directory: Path | None) -> None:
        super().__init__(settings)
        self._directory = directory

    def __call__(self) -> dict[str, Any]:
        """Read every file. `FatalError`, with all that is wrong and never with what is in a file."""
        return read_credentials(self._directory, self.settings_cls.model_fields) if self._directory else {}

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        """Unused: a value is never looked for by itself."""
        del field
        return None, field_name, False


def read_credentials(directory: Path, names: Collection[str]) -> dict[str, str]:
    """Return the values by name of setting; `FatalError` as said above.

    A file that no setting is named after is wrong as well: with a token that is misspelt the bot would take itself for
    one without a token, and play with the sandbox.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    try:
        paths = sorted(directory.iterdir())
    except OSError as error:
        raise FatalError(f"{VARIABLE}: {directory} cannot be read ({error.strerror})") from error
    for path in paths:
        name = path.name.lower().removeprefix(PREFIX)
        if name not in names:
            problems.append(f"{path.name}: there is no setting of that name")
        elif name in found:
            problems.append(f"{path.name}: the setting is there twice")
        else:
            try:
                found[name] = _content(path)
            except ValueError as error:
                problems.append(f"{path.name}: {error}")
    if problems:
        raise FatalError("The credentials have problems:\n" + "\n".join(f"  {problem}" for problem in problems))
    return {name: value for name, value in found.items() if value}


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise ValueError(f"is longer than {MAX_BYTES:,} bytes")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        # Not as the cause: the message of that error quotes the secret.
        raise ValueError("is not UTF-8") from None
