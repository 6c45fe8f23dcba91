"""Variables about channels that are read, the feed that this makes, and who is asked about its tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from config.problems import HTTP_URL
from domain.channels.names import channel_named

MIN_LISTEN_TOKEN = 16
API_HASH = re.compile(r"[0-9a-f]{32}")


class ChannelSettings(BaseSettings):
    channels: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Public Telegram channels whose calls are read, separated by commas: @name or a link. Admins add "
        "others in the chat.",
    )
    preview_url: Annotated[str, Field(pattern=HTTP_URL)] | None = Field(
        default=None,
        description="Where Telegram shows public channels to everybody. Empty: https://t.me with a real bot token.",
    )
    channel_requests_per_minute: Annotated[float, Field(gt=0, le=6_000)] | None = Field(
        default=None,
        description="Pages of channels that are asked for, at most, of all channels together. Empty: 120, in the "
        "sandbox 1200.",
    )
    channel_pause_s: Annotated[float, Field(ge=0.5, le=3_600)] | None = Field(
        default=None,
        description="Seconds between two looks at the same channel, at least. Empty: 10, in the sandbox 1.",
    )
    listen_token: SecretStr | None = Field(
        default=None,
        description="Token under which other bots may read the calls of these channels, at /feed: 16 characters or "
        "more, their FEED_TOKEN. Empty: nobody else reads them.",
    )

    telegram_api_id: Annotated[int, Field(gt=0)] | None = Field(
        default=None,
        description="Id of an application of yours at my.telegram.org, under which accounts listen to channels. Needs "
        "requirements-session.txt and `main.py login`. Empty: no account listens.",
    )
    telegram_api_hash: SecretStr | None = Field(default=None, description="The hash beside it.")
    telegram_sessions: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Session files of those accounts, or directories of them, separated by commas. Each is a full key "
        "to its account. Empty: DATA_DIR/sessions.",
    )

    rugcheck_url: Annotated[str, Field(pattern=HTTP_URL)] | None = Field(
        default=None,
        description="Base URL of RugCheck's API. Empty: https://api.rugcheck.xyz with a real bot token.",
    )
    goplus_url: Annotated[str, Field(pattern=HTTP_URL)] | None = Field(
        default=None,
        description="Base URL of GoPlus' API. Empty: https://api.gopluslabs.io with a real bot token.",
    )
    birdeye_api_key: SecretStr | None = Field(
        default=None, description="Key of Birdeye's API; without one it is not asked."
    )
    birdeye_url: Annotated[str, Field(pattern=HTTP_URL)] = Field(
        default="https://public-api.birdeye.so", description="Base URL of Birdeye's API."
    )
    feed_polls: bool = Field(
        default=True,
        description="Fetch calls from the feed's HTTP side while its socket stays away (native, with FEED_API_URL).",
    )

    @field_validator("channels", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        named = {part: channel_named(part) for part in parts}
        if wrong := [part for part, name in named.items() if name is None]:
            raise ValueError(f"{wrong[0]} is no public channel: write @name, or a link such as https://t.me/name")
        return tuple(dict.fromkeys(filter(None, named.values())))

    @field_validator("telegram_sessions", mode="before")
    @classmethod
    def _places(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("telegram_api_hash")
    @classmethod
    def _is_a_hash(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not API_HASH.fullmatch(value.get_secret_value()):
            raise ValueError("an API hash has 32 characters of 0-9 a-f, as my.telegram.org shows it")
        return value

    @model_validator(mode="after")
    def _is_an_application(self) -> Self:
        if (self.telegram_api_id is None) != (self.telegram_api_hash is None):
            raise ValueError("TELEGRAM_API_ID and TELEGRAM_API_HASH belong together")
        return self

    @field_validator("listen_token")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_LISTEN_TOKEN:
            raise ValueError(f"{MIN_LISTEN_TOKEN} characters or more: openssl rand -hex 16")
        return value
