"""What errors of the network mean, in words for whoever has to mend it."""

from __future__ import annotations

import errno
import re
from typing import Final

_REASONS: Final = {
    r"refused|Connect call failed|\[Errno 111\]": "nothing listens there",
    r"getaddrinfo|[Nn]ame or service|nodename|No address associated|name resolution|DNS": "its name is not known here",
    r"CERTIFICATE|certificate|SSL": "its certificate is not trusted",
    r"[Tt]imed? ?out|TimeoutError": "it does not answer in time",
    r"unreachable|No route": "there is no way to it through the network",
}
_CLASS: Final = re.compile(r"^(?:\w+(?:Error|Exception|Failure|Closed)\b: *)+")


def cannot_listen(error: OSError, *, host: str, port: int, port_name: str, host_name: str | None = None) -> str:
    """Say in one sentence why nobody can listen there. `port_name`, `host_name`: the variables that choose it."""
    match error.errno:
        case errno.EADDRINUSE:
            why = f"Port {port} on {host} is taken, by a bot that is running already or by another program"
            return f"{why}: end that one, or set {port_name} to another port (0: any free one)."
        case errno.EACCES:
            return f"This user may not listen on port {port}: set {port_name} to 1024 or more."
        case errno.EADDRNOTAVAIL if host_name:
            return f"{host} is no address of this machine: correct {host_name}."
        case _:
            choice = port_name if host_name is None else f"{host_name} and {port_name}"
            return f"Cannot listen on {host}:{port} ({error.strerror}): check {choice}."


def in_short(error: object) -> str:
    """Say what an error means in a few words, where that is known; else in its own, without the names of classes."""
    text = str(error)
    for pattern, meaning in _REASONS.items():
        if re.search(pattern, text):
            return meaning
    return _CLASS.sub("", text).strip(" .")
