"""`python -m sandbox.telegram --port N`: the sandbox's Telegram alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from sandbox.telegram.server import DEFAULT_TOKEN, TelegramSandbox


async def serve(port: int, token: str, kept_at: Path | None) -> None:
    async with TelegramSandbox(port=port, token=token, kept_at=kept_at) as telegram:
        sys.stdout.write(f"chat page {telegram.url}/  Bot API {telegram.url}/bot{telegram.token}/\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.telegram", description=__doc__)
    parser.add_argument("--port", type=int, default=8081, help="port on 127.0.0.1 (default 8081, 0: a free one)")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="the bot's token")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="where people and chats are kept (default nowhere)")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.port, arguments.token, arguments.keep))
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main()
