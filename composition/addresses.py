"""Where every outside part is, real or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from config.settings import Settings
from managers.channels.session import files_in
from managers.telegram.rate_limiter import Limit
from managers.telegram.send_windows import OVERALL
from runtime.errors import FatalError

PREVIEW_URL = "https://t.me"
JUPITER_URL = "https://api.jup.ag"
DEXSCREENER_URL = "https://api.dexscreener.com"
GECKOTERMINAL_URL = "https://api.geckoterminal.com/api/v2"
RUGCHECK_URL = "https://api.rugcheck.xyz"
GOPLUS_URL = "https://api.gopluslabs.io"
PUMPPORTAL_URL = "wss://pumpportal.fun/api/data"
PRIVATE_CHATS = Limit(3, 3.0)
"""One message a second with the short burst that Telegram allows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolanaAccess:
    wallet: str
    usdc_mint: str
    rpc_urls: tuple[str, ...]
    """The preferred one first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NowPaymentsAccess:
    url: str
    api_key: str
    ipn_secret: str = ""
    email: str = ""
    password: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelAccess:
    url: str
    """Where public channels are shown."""
    channels: tuple[str, ...] = ()
    """Those that are read from the start."""
    requests_per_s: float = 2.0
    pause_s: float = 10.0
    """Between two looks at the same channel, at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionAccess:
    """An application at my.telegram.org, and the session files of the accounts that use it."""

    api_id: int
    api_hash: str
    places: tuple[Path, ...]


def session_access(settings: Settings) -> SessionAccess | None:
    """`FatalError` where there are sessions that nobody can use."""
    if settings.telegram_api_id is None or settings.telegram_api_hash is None:
        if files := files_in(settings.sessions):
            raise FatalError(f"Set TELEGRAM_API_ID and TELEGRAM_API_HASH, or move {files[0]} away: it needs both.")
        return None
    return SessionAccess(
        api_id=settings.telegram_api_id,
        api_hash=settings.telegram_api_hash.get_secret_value(),
        places=settings.sessions,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """Where every outside part is, real or not."""

    telegram_token: str
    telegram_api_base: str
    source: str
    feed_url: str
    feed_api_url: str | None
    feed_token: str | None
    price_api_url: str
    """Empty where nobody is to be asked; so are the next two."""
    redis_url: str
    database_url: str
    listen_token: str = ""
    """What readers of the feed of channels have to show."""
    channels: ChannelAccess | None = None
    rugcheck_url: str = ""
    goplus_url: str = ""
    birdeye_url: str = ""
    birdeye_key: str = ""
    dexscreener_url: str = ""
    geckoterminal_url: str = ""
    messages_per_s: int = OVERALL.slots
    """What Telegram allows the bot in all."""
    private_chats: Limit = PRIVATE_CHATS
    """What it allows in each of them."""
    sessions: SessionAccess | None = None
    """`None`: no account listens to channels."""
    solana: SolanaAccess | None = None
    """`None`: plans are not sold for SOL and USDC."""
    nowpayments: NowPaymentsAccess | None = None


def variables_of(at: Addresses) -> dict[str, str]:
    """Name by host what an operator has to check when it does not let us in."""
    checked = {
        at.price_api_url: "PRICE_API_URL",
        at.dexscreener_url: "DEXSCREENER_URL",
        at.geckoterminal_url: "GECKOTERMINAL_URL",
        at.rugcheck_url: "RUGCHECK_URL",
        at.goplus_url: "GOPLUS_URL",
        at.birdeye_url if at.birdeye_key else "": "BIRDEYE_API_KEY",
        at.nowpayments.url if at.nowpayments else "": "NOWPAYMENTS_API_KEY",
        at.feed_api_url or "": "FEED_TOKEN and FEED_API_URL",
    }
    return {URL(url).host_port_subcomponent or url: names for url, names in checked.items() if url}
