"""Which proxy leads to a feed, by the environment's variables (`https_proxy`, `ALL_PROXY`, `NO_PROXY` …)."""

from __future__ import annotations

import ipaddress
import urllib.request
from importlib.util import find_spec

import structlog
from websockets.exceptions import InvalidProxy
from websockets.proxy import parse_proxy
from websockets.uri import WebSocketURI

log = structlog.get_logger(__name__)

_SECURE = ("wss", "socks", "https", "all")
_PLAIN = ("ws", "socks", "https", "http", "all")
"""Whose variable comes first; the first two and their order are those of websockets."""


class Proxies:
    """What of the variables is of no use is left out, with one warning, and the feed is sought without it."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def find(self, address: WebSocketURI) -> str | None:
        """Address of the proxy to go through; `None`: straight ahead."""
        if is_loopback(address.host) or urllib.request.proxy_bypass(f"{address.host}:{address.port}"):
            return None
        found = urllib.request.getproxies()
        for scheme in _SECURE if address.secure else _PLAIN:
            if said := found.get(scheme):
                proxy = _with_scheme(said.strip(), scheme)
                problem = _problem(proxy)
                if problem is None:
                    return proxy
                self._tell(f"{scheme}_proxy", problem)
        return None

    def _tell(self, variable: str, problem: str) -> None:
        if variable not in self._told:
            self._told.add(variable)
            log.warning("proxy_not_used", variable=variable, reason=problem)


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: no proxy could reach it."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _with_scheme(proxy: str, variable: str) -> str:
    """Read `host:port` as what it is meant to be, and `socks_proxy=http://…` as operating systems mean it."""
    is_socks = variable == "socks"
    bare = proxy.removeprefix("http://") if is_socks else proxy
    return bare if "://" in bare else f"{'socks5h' if is_socks else 'http'}://{bare}"


def _problem(proxy: str) -> str | None:
    """Say in a sentence why a proxy cannot be used, without repeating the password that may be in it."""
    try:
        parsed = parse_proxy(proxy)
    except InvalidProxy as error:
        return f"it is not the address of a proxy (http://host:port): {error.msg}"
    except ValueError:
        return "it is not the address of a proxy (http://host:port): its host or port is none"
    if parsed.scheme.startswith("socks") and find_spec("python_socks") is None:
        return "a SOCKS proxy needs the package python-socks, which is not installed"
    return None
