"""Whether there are accounts that can listen, as the doctor says it. Telegram is not asked: a bot may use them now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.doctor.surroundings import UnhealthyError
from managers.channels.session import files_in, why_unusable
from managers.channels.session_library import telethon
from runtime.counted import counted


async def accounts_check(places: Sequence[Path], *, named: bool) -> str:
    """`named`: the operator has said where the session files are."""
    missing = [str(place) for place in places if not place.exists()]
    if named and missing:
        raise UnhealthyError(f"There is nothing at {', '.join(missing)}: correct TELEGRAM_SESSIONS.")
    telethon()
    files = files_in(tuple(places))
    if not files:
        where = ", ".join(map(str, places))
        raise UnhealthyError(
            f"No account listens, there is no session file in {where}: log one in with `main.py login NAME`, or leave "
            "TELEGRAM_API_ID and TELEGRAM_API_HASH out."
        )
    wrong = [f"{file}: {why}" for file in files if (why := why_unusable(file))]
    if wrong:
        raise UnhealthyError(
            f"{len(wrong)} of {counted(len(files), 'account')} cannot listen ({'; '.join(wrong[:3])}): move the "
            "file away and log in anew with `main.py login NAME`."
        )
    return f"{len(files)} logged in: {', '.join(file.stem for file in files)}; what Telegram says of them, a bot tells"
