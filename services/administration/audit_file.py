"""What admins did, as a file in the chat."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from domain.export.lines import Form
from services.administration.audit import AuditService, Whose
from services.export.contents import Content
from services.export.files import PART_BYTES, ExportDirectory, write_parts

_FORM: Final[Form] = "csv"
_CONTENT: Final = Content(name="admin_actions", statement="")


class Courier(Protocol):
    """`managers.telegram.documents.TelegramCourier` in the running bot."""

    async def send_document(self, chat_id: int, path: Path, name: str, caption: str) -> int: ...


class AuditFile:
    def __init__(self, audit: AuditService, courier: Courier, directory: ExportDirectory) -> None:
        self._audit = audit
        self._courier = courier
        self._directory = directory

    async def send(self, chat_id: int, whose: Whose, caption: str) -> int:
        """Send it as a spreadsheet, in several files where it is long; returns how many rows. `DeliveryError` tree."""
        with self._directory.of(chat_id) as own:
            parts = await write_parts(self._audit.rows(whose), own, _CONTENT, _FORM, PART_BYTES)
            for path in parts.paths:
                await self._courier.send_document(chat_id, path, parts.name_of(path), caption)
            return parts.rows
