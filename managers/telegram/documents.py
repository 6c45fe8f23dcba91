"""Files in a chat, sent from the disk: they are never in memory as a whole."""

from __future__ import annotations

from pathlib import Path

from telegram import InputFile

from domain.delivery.messages import Message
from managers.telegram.client import TelegramManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.errors import telegram_errors
from managers.telegram.rate_limiter import Lane


class TelegramCourier:
    """Raises the `DeliveryError` tree. Messages go ahead of alerts, as answers do, and files after them."""

    def __init__(self, telegram: TelegramManager, conversation: TelegramConversation) -> None:
        self._bot = telegram.application.bot
        self._conversation = conversation

    async def send(self, chat_id: int, message: Message) -> int:
        return await self._conversation.send(chat_id, message)

    async def edit(self, chat_id: int, message_id: int, message: Message) -> int:
        return await self._conversation.edit(chat_id, message_id, message)

    async def send_document(self, chat_id: int, path: Path, name: str, caption: str) -> int:
        """Send a file under a name of its own; `caption` is HTML. Returns the id of the message."""
        with telegram_errors(), path.open("rb") as file:
            content = {
                "chat_id": chat_id,
                "document": InputFile(file, filename=name, read_file_handle=False),
                "caption": caption,
                "parse_mode": "HTML",
                "disable_content_type_detection": True,
            }
            sent = await self._bot.do_api_request("send_Document", content, rate_limit_args=Lane.FOLLOW_UP)
        return sent["message_id"]
