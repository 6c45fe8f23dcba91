"""Logging an account in: what Telegram is asked, step by step. Who asks the person is somebody else."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from managers.channels.session import TIMEOUT_S, translated
from managers.channels.session_library import telethon
from runtime.errors import BotError

REFUSED: Final = {
    "PhoneNumberInvalidError": "phone",
    "PhoneNumberUnoccupiedError": "phone",
    "PhoneCodeInvalidError": "code",
    "PhoneCodeEmptyError": "code",
    "PasswordHashInvalidError": "password",
}


class SessionLogin:
    """Fails with `TransientError`, or with `WrongError` where what the person said is not right."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._phone = ""

    async def ask_for_code(self, phone: str) -> None:
        """Let Telegram send a code to the account."""
        self._phone = phone
        if not self._client.is_connected():
            await self._done(self._client.connect())
        await self._done(self._client.send_code_request(phone))

    async def with_code(self, code: str) -> bool:
        """Whether the account is logged in now; else its password is wanted, too."""
        try:
            await self._done(self._client.sign_in(self._phone, code=code))
        except _PasswordWantedError:
            return False
        return True

    async def with_password(self, password: str) -> None:
        await self._done(self._client.sign_in(password=password))

    async def close(self) -> None:
        """Also writes what the session file keeps."""
        await self._done(self._client.disconnect())

    async def _done(self, asked: Any) -> Any:
        errors = telethon().errors
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await asked
        except errors.SessionPasswordNeededError as error:
            raise _PasswordWantedError from error
        except Exception as error:
            if what := REFUSED.get(type(error).__name__):
                raise WrongError(what) from error
            found = translated(error, errors, None)
            if found is None:
                raise
            raise found from error


class WrongError(BotError):
    """What was typed is not right: the phone number, the code or the password."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what: Final = what


class _PasswordWantedError(BotError):
    pass
