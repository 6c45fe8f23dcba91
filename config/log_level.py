"""LOG_LEVEL, read again while the bot runs."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


def wanted_log_level(started_with: str) -> str:
    """Read LOG_LEVEL again: what `.env` says now, else what the process was started with. `ValueError` for no level."""
    try:
        written = _LogLevel(_env_file=".env").log_level  # pyright: ignore[reportCallIssue] - pydantic-settings' own
    except ValidationError as error:
        raise ValueError("; ".join(problem["msg"] for problem in error.errors(include_url=False))) from error
    return written or started_with


class _LogLevel(BaseSettings):
    """LOG_LEVEL of `.env` alone: the environment of a process does not change."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, init_settings, env_settings, file_secret_settings
        return (dotenv_settings,)
