"""What is said on the command line."""

from __future__ import annotations

import argparse

from bot.roles import ROLES
from domain.subscribers.partitions import PARTITIONS
from services.cluster.members import Shard


def shard(text: str) -> Shard:
    """Read `i/n`, the i-th of n equal shares."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= PARTITIONS):
        raise argparse.ArgumentTypeError(f"“{text}” is not I/N with 1 ≤ I ≤ N ≤ {PARTITIONS}")
    return Shard(int(index), int(count))


def arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="start the bot")
    run_command.add_argument("--seconds", type=float, help="end by itself after so many seconds")
    run_command.add_argument("--role", choices=ROLES, default="all", help="the part of the work; see docs/scaling.md")
    run_command.add_argument("--shard", type=shard, metavar="I/N", help="the share of `match` or `send` to prefer")
    commands.add_parser("doctor", help="check the configuration and every dependency")
    migrating = commands.add_parser("migrate", help="bring the database schema up to date")
    migrating.add_argument("--to", metavar="REVISION", help="back to an earlier one; what came with later ones is lost")
    logging_in = commands.add_parser("login", help="log an account of Telegram in, so that it listens to channels")
    logging_in.add_argument("name", nargs="?", default="account", help="what to call it: the name of its session file")
    return parser.parse_args()
