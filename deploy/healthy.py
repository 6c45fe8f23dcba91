"""Exit code 0 when the address given answers 200, else 1 and what it said: `python deploy/healthy.py URL [SECONDS]`.

With SECONDS it asks again until then. It needs nothing but Python, so containers and the install script use it.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus

_TIMEOUT_S = 4.0
_ASK_EVERY_S = 0.5
_SHOWN = 2_000


def problem(url: str) -> str | None:
    """Return what is wrong; `None` when it is well."""
    # A proxy of the environment is not on the way to the machine itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            return None if answer.status == HTTPStatus.OK else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}: {error.read(_SHOWN).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return str(error)


def main() -> int:
    url, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0  # noqa: PLR2004 - the second argument
    if not url.startswith(("http://", "https://")):
        sys.stderr.write(f"{url} is no address\n")
        return 1
    until = time.monotonic() + seconds
    while (wrong := problem(url)) and time.monotonic() < until:
        time.sleep(_ASK_EVERY_S)
    if wrong:
        sys.stderr.write(f"{url}: {wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
