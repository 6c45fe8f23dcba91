"""Variables about channels that are read, the feed that this makes, and who is asked about its tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from config.problems import HTTP_URL
from domain.channels.names import channel_named

MIN_LISTEN_TOKEN = 16


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

    @field_validator("listen_token")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_LISTEN_TOKEN:
            raise ValueError(f"{MIN_LISTEN_TOKEN} characters or more: openssl rand -hex 16")
        return value
