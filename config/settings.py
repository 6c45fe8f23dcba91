"""Every environment variable the bot reads: its unit, default and meaning, once.

`.env.example` is generated from this class (`make docs`). An empty variable counts as not set. Each may be a file
instead, in the directory that systemd or a container hands over (`credentials.py`): what stands there wins.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from config.channel_settings import ChannelSettings
from config.credentials import VARIABLE, CredentialsSource
from config.names import Unread, unread
from config.problems import BASE58_KEY, HTTP_URL, POSTGRES_URL, REDIS_URL, WEB_SOCKET_URL, sentence
from runtime.errors import FatalError

HttpUrl = Annotated[str, Field(pattern=HTTP_URL)]
WebSocketUrl = Annotated[str, Field(pattern=WEB_SOCKET_URL)]
Port = Annotated[int, Field(ge=0, le=65535)]

TELEGRAM_TOKEN = re.compile(r"^\d+:[\w-]+$")
WEBHOOK_PORTS = "443, 80, 88 or 8443"
DATA_KEY = re.compile(r"^[\w-]{43}=$", re.ASCII)
MAINNET_URL = "https://api.mainnet-beta.solana.com"
PLAIN = "plain"
MAINNET_USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"


ENV_FILE = Path(".env")
_ADDRESSES = ("_url", "_urls", "_base")
"""How names of variables end that hold addresses, in which a key may stand."""
NOBODY = "0:nobody"
"""Token of who never asks Telegram anything."""


class Settings(ChannelSettings):
    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    telegram_bot_token: SecretStr | None = Field(
        default=None, description="Token from @BotFather. Empty: the sandbox's Telegram with its chat page."
    )
    telegram_api_base: HttpUrl = Field(
        default="https://api.telegram.org",
        description="Base URL of the Bot API server, without `/bot`. Used when a token is set.",
    )
    telegram_webhook_secret: SecretStr | None = Field(
        default=None,
        description="1-256 characters of A-Z a-z 0-9 _ -. Required with PUBLIC_URL: proves who calls.",
    )
    admin_chat_ids: Annotated[frozenset[int], NoDecode] = Field(
        default=frozenset(),
        description="Telegram user ids of the owners, separated by commas; they add others in the chat.",
    )
    telegram_messages_per_second: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=30,
        description="What Telegram allows the bot in all; more only where Telegram agreed to it.",
    )
    double_tap_s: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.5, description="Seconds in which a tap is ignored on a button that has just come in place of another."
    )

    pay_with_stars: bool | None = Field(
        default=None,
        description="Sell plans for Telegram Stars (its only way for digital goods). Empty: only in the sandbox.",
    )
    pay_with_crypto: bool | None = Field(
        default=None,
        description="Sell them for crypto, too, which Telegram's terms do not allow for digital goods: your decision. "
        "Empty: only in the sandbox.",
    )
    solana_wallet: Annotated[str, Field(pattern=BASE58_KEY)] | None = Field(
        default=None,
        description="Public address that SOL and USDC come to; never a key. Empty: not sold for them.",
    )
    solana_rpc_urls: Annotated[tuple[HttpUrl, ...], NoDecode] = Field(
        default=(),
        description="RPC servers of Solana, separated by commas, the preferred one first; two or more confirm each "
        f"other. Empty: {MAINNET_URL}.",
    )
    solana_usdc_mint: Annotated[str, Field(pattern=BASE58_KEY)] = Field(
        default=MAINNET_USDC, description="The mint of USDC on that chain."
    )
    nowpayments_api_key: SecretStr | None = Field(
        default=None, description="Key of a NOWPayments account: many other coins. Empty: not sold for them."
    )
    nowpayments_ipn_secret: SecretStr | None = Field(
        default=None, description="Its IPN secret. With PUBLIC_URL payments are told at once, and its page is offered."
    )
    nowpayments_email: str | None = Field(
        default=None, description="Login of the same account, so that its list can be compared every night."
    )
    nowpayments_password: SecretStr | None = Field(default=None, description="The password to it.")
    nowpayments_api_url: HttpUrl = Field(
        default="https://api.nowpayments.io/v1",
        description="Its API; to try it: https://api-sandbox.nowpayments.io/v1.",
    )

    feed_source: Literal["native", "pumpportal", "channels"] | None = Field(
        default=None,
        description="Where calls come from. Empty: native with FEED_URL, channels with CHANNELS or in the sandbox, "
        "else pumpportal.",
    )
    feed_url: WebSocketUrl | None = Field(
        default=None,
        description="WebSocket URL of the feed. Empty: PumpPortal with a real bot token, else the sandbox.",
    )
    feed_api_url: HttpUrl | None = Field(
        default=None,
        description="Base URL of the feed's HTTP side (native only): missed calls, channel records.",
    )
    feed_token: SecretStr | None = Field(
        default=None, description="Bearer token of the feed's HTTP side; PumpPortal: the API key."
    )
    price_api_url: HttpUrl | None = Field(
        default=None,
        description="Base URL of a Jupiter price API v3. Empty: https://api.jup.ag with a real bot token.",
    )

    dexscreener_url: HttpUrl | None = Field(
        default=None,
        description="Base URL of DexScreener's API. Empty: https://api.dexscreener.com with a real bot token.",
    )
    geckoterminal_url: HttpUrl | None = Field(
        default=None,
        description="Base URL of GeckoTerminal's API v2. Empty: the public one with a real bot token.",
    )
    track_for_days: Annotated[float, Field(gt=0, le=365)] = Field(
        default=14, description="Days for which a call's price is followed, and its milestones are told."
    )

    calls_kept_days: Annotated[float, Field(ge=14, le=3650)] = Field(
        default=14,
        description="Days for which calls are kept that nobody was told of; who was told of one, 14 days longer.",
    )
    deliveries_kept_days: Annotated[float, Field(ge=90, le=3650)] = Field(
        default=180, description="Days for which it is kept what was sent to whom, and what became of it."
    )
    messages_kept_days: Annotated[float, Field(ge=90, le=3650)] = Field(
        default=90, description="Days for which messages are kept that are no alerts; no longer than deliveries."
    )
    settings_history_kept_days: Annotated[float, Field(ge=28, le=3650)] = Field(
        default=365, description="Days for which earlier versions of people's settings are kept."
    )
    outcomes_kept_days: Annotated[float, Field(ge=30, le=3650)] = Field(
        default=730, description="Days for which it is kept what became of a call, from its end on."
    )
    admin_actions_kept_days: Annotated[float, Field(ge=90, le=3650)] = Field(
        default=730, description="Days for which it is kept what admins did."
    )
    activity_kept_days: Annotated[float, Field(ge=1, le=3650)] = Field(
        default=30, description="Days for which it is kept what people did in the chat: commands and buttons, no texts."
    )
    archive_for_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=32, description="Days for which past calls stay in DATA_DIR/archive, for backtests of up to 30."
    )

    redis_url: Annotated[str, Field(pattern=REDIS_URL)] | None = Field(
        default=None, description="Redis 6.2 or newer. Empty: an embedded server keeps its data in DATA_DIR."
    )
    database_url: Annotated[str, Field(pattern=POSTGRES_URL)] | None = Field(
        default=None,
        description="PostgreSQL 14 or newer. Empty: an embedded server keeps its data in DATA_DIR.",
    )

    migrations_database_url: Annotated[str, Field(pattern=r"^postgres(ql)?://\S+$")] | None = Field(
        default=None,
        description="The same database, as a role that may change the schema: what `main.py migrate` uses where the "
        "role of DATABASE_URL may not.",
    )
    data_key: SecretStr | None = Field(
        default=None,
        description="Encrypts in Redis what people set and type: keys of Fernet, separated by commas. The first "
        "encrypts, all decrypt; `plain` as the first one ends it. Empty: nothing is encrypted.",
    )

    data_dir: Path = Field(default=Path("data"), description="Directory of everything that lasts.")
    log_dir: Path | None = Field(default=None, description="Directory of log files. Empty: DATA_DIR/logs.")
    log_format: Literal["console", "json"] = Field(
        default="console", description="Lines in the terminal: for people, or JSON. Files are JSON."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="Least level that is logged. SIGHUP reads it again: from DATA_DIR/log_level, .env, environment.",
    )

    http_host: str = Field(default="127.0.0.1", description="Address of /healthz, /readyz, /metrics and the webhook.")
    http_port: Port = Field(default=8080, description="Port of the same; 0 takes any free one.")
    metrics_token: SecretStr | None = Field(
        default=None,
        description="Bearer token that /metrics asks for, and /readyz for details. Empty: nobody is asked.",
    )
    memory_limit_mib: Annotated[int, Field(ge=64)] | None = Field(
        default=None, description="Memory the bot may use, for the alarm at 80 %. Empty: what its control group allows."
    )
    public_url: HttpUrl | None = Field(
        default=None,
        description=f"HTTPS URL where Telegram reaches this host (port {WEBHOOK_PORTS}). Empty: polling.",
    )
    sandbox_port: Port = Field(
        default=8090, description="Port of the sandbox's chat page on 127.0.0.1; 0 takes any free one."
    )
    sandbox_calls_per_minute: Annotated[float, Field(gt=0, le=60_000)] = Field(
        default=30, description="Calls per minute in the sandbox's market."
    )

    credentials_directory: Path | None = Field(
        default=None,
        description="Set by systemd (LoadCredential=), or to a container's secrets: a directory with a file for a "
        "setting, named after it in lower case. What stands there wins.",
    )
    notify_socket: str | None = Field(default=None, description="Set by systemd (sd_notify); not by people.")
    fault_point: str = Field(default="", description="For fault tests only: where the process kills itself.")
    fault_clock_file: Path | None = Field(
        default=None, description="For fault tests only: a file that says how late it is, or how fast time runs."
    )
    fault_pace: Annotated[float, Field(ge=1)] = Field(
        default=1.0, description="For fault tests only: pauses and the watchdog's limit are so many times shorter."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the order: what the caller says, credentials, the environment, `.env`."""
        del file_secret_settings
        given = os.environ.get(VARIABLE)
        credentials = CredentialsSource(settings_cls, Path(given) if given else None)
        return init_settings, credentials, env_settings, dotenv_settings

    @field_validator("admin_chat_ids", "solana_rpc_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("telegram_bot_token")
    @classmethod
    def _looks_like_a_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not TELEGRAM_TOKEN.match(value.get_secret_value()):
            raise ValueError("a bot token looks like 123456789:AAE…, as @BotFather gives it")
        return value

    @field_validator("data_key")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        keys = _parts(value.get_secret_value()) if value else []
        if not all(DATA_KEY.fullmatch(key) for key in keys if key != PLAIN) or PLAIN in keys[1:]:
            raise ValueError("each key is 32 random bytes in URL-safe base64: openssl rand -base64 32 | tr +/ -_")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.public_url and self.telegram_webhook_secret is None:
            raise ValueError("PUBLIC_URL needs TELEGRAM_WEBHOOK_SECRET: anybody could forge updates without it")
        if self.feed_source == "native" and self.telegram_bot_token and not self.feed_url:
            raise ValueError("FEED_SOURCE=native needs FEED_URL")
        if self.migrations_database_url and not self.database_url:
            raise ValueError("MIGRATIONS_DATABASE_URL needs DATABASE_URL, of a role that may do less")
        if self.solana_rpc_urls and not self.solana_wallet:
            raise ValueError("SOLANA_RPC_URLS needs SOLANA_WALLET: where should the money come to?")
        if self.messages_kept_days > self.deliveries_kept_days:
            # Of a message whose delivery is forgotten it would look as if it were to be sent yet.
            raise ValueError("MESSAGES_KEPT_DAYS may not be more than DELIVERIES_KEPT_DAYS")
        if (self.nowpayments_email is None) != (self.nowpayments_password is None):
            raise ValueError("NOWPAYMENTS_EMAIL and NOWPAYMENTS_PASSWORD belong together")
        return self

    def for_listener(self) -> Self:
        """The same for who reads channels: nothing of it is the sandbox's, though it talks to nobody on Telegram."""
        token = self.telegram_bot_token or SecretStr(NOBODY)
        return self.model_copy(update={"feed_source": "channels", "telegram_bot_token": token})

    @property
    def has_real_telegram(self) -> bool:
        return self.telegram_bot_token is not None

    @property
    def takes_stars(self) -> bool:
        return not self.has_real_telegram if self.pay_with_stars is None else self.pay_with_stars

    @property
    def takes_crypto(self) -> bool:
        return not self.has_real_telegram if self.pay_with_crypto is None else self.pay_with_crypto

    @property
    def source(self) -> Literal["native", "pumpportal", "channels"]:
        if self.feed_source:
            return self.feed_source
        if self.feed_url:
            return "native"
        return "channels" if self.channels or not self.has_real_telegram else "pumpportal"

    @property
    def has_real_feed(self) -> bool:
        """Without FEED_URL, PumpPortal's own address is used once the bot talks to the real Telegram."""
        return self.feed_url is not None or self.has_real_telegram

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may hold; of an address, what may be a key in it."""
        values = [getattr(self, name) for name in type(self).model_fields]
        kept = [one.get_secret_value() for one in values if isinstance(one, SecretStr)]
        urls = [one for one in values if isinstance(one, str) and "://" in one]
        return (*kept, *self.data_keys, *urls, *self.solana_rpc_urls)

    @property
    def data_keys(self) -> tuple[str, ...]:
        return tuple(_parts(self.data_key.get_secret_value())) if self.data_key else ()

    @property
    def sessions(self) -> tuple[Path, ...]:
        return self.telegram_sessions or (self.data_dir / "sessions",)

    @property
    def logs(self) -> Path:
        return self.log_dir or self.data_dir / "logs"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def load_settings() -> Settings:
    """Read the environment and `.env` once. All problems are reported together, as one `FatalError`."""
    misspelt = unread_names()
    try:
        return Settings()
    except ValidationError as error:
        problems = [sentence(problem, _secrets()) for problem in error.errors(include_url=False)]
        lines = [f"  {problem}" for problem in [*problems, *(str(one) for one in misspelt)]]
        raise FatalError("The configuration has problems:\n" + "\n".join(lines)) from error


def unread_names() -> list[Unread]:
    """Name what stands in the environment or in `.env` and is probably meant for the bot, but nobody reads."""
    return unread(Settings.model_fields, os.environ, ENV_FILE)


def _secrets() -> frozenset[str]:
    """Variables of which nobody may read the value over somebody's shoulder."""
    return frozenset(
        name
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation) or name.endswith(_ADDRESSES) or name == "solana_wallet"
    )


def env_example() -> str:
    """Text of `.env.example`: every variable with its meaning and default, commented out."""
    lines = [
        "# Every variable the bot reads. Made by `make docs` from config/settings.py: change it there.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if default in (None, (), frozenset()) else str(default)
        lines += [f"# {field.description}", f"#{name.upper()}={shown}", ""]
    return "\n".join(lines)
