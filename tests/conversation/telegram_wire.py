"""python-telegram-bot as it runs in the bot, with a wire that ends in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from msgspec.json import encode
from telegram import Update
from telegram.ext import Application, ApplicationBuilder
from telegram.request import BaseRequest

from domain.delivery.messages import Button, Message

AnyApplication = Application[Any, Any, Any, Any, Any, Any]
USER_ID, ADMIN_ID = 456, 789
MENU_ID = 10


class OfflineRequest(BaseRequest):
    """Knows who the bot is and nothing else."""

    @property
    def read_timeout(self) -> float | None:
        return None

    async def initialize(self) -> None: ...

    async def shutdown(self) -> None: ...

    async def do_request(self, url: str, *args: object, **kwargs: object) -> tuple[int, bytes]:
        assert url.endswith("/getMe"), url
        me = {"id": 99, "is_bot": True, "first_name": "Bot", "username": "filter_bot"}
        return 200, encode({"ok": True, "result": me})


def application() -> AnyApplication:
    builder = ApplicationBuilder().token("99:TEST").updater(None).job_queue(None)
    return builder.request(OfflineRequest()).get_updates_request(OfflineRequest()).build()


class Said(Struct, frozen=True):
    """What the bot did: `sent`, `edited` or `answered`."""

    how: str
    text: str | None
    message: Message | None = None

    @property
    def buttons(self) -> dict[str, str | None]:
        """Callback data by label."""
        rows = self.message.keyboard if self.message else ()
        return {button.text: button.data for row in rows for button in row}


class RecordedConversation:
    """A conversation whose other side only listens, or fails as it is told to."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.fail: Callable[[str], Exception | None] = lambda _how: None

    def _note(self, said: Said) -> None:
        if error := self.fail(said.how):
            raise error
        self.said.append(said)

    async def send(self, chat_id: int, message: Message) -> int:
        self._note(Said("sent", message.html, message))
        return MENU_ID

    async def edit(self, chat_id: int, message_id: int, message: Message, *, keeps_picture: bool = False) -> int:
        assert message_id == MENU_ID
        self._note(Said("edited", message.html, message))
        return MENU_ID

    async def edit_keyboard(self, chat_id: int, message_id: int, keyboard: Sequence[Sequence[Button]]) -> None:
        assert message_id == MENU_ID
        rows = tuple(tuple(row) for row in keyboard)
        self._note(Said("buttons", None, Message(html="", keyboard=rows)))

    async def answer(self, callback_query_id: str, text: str | None = None, *, alert: bool = False) -> None:
        self._note(Said("alerted" if alert else "answered", text))


class Person:
    """Somebody with Telegram open."""

    def __init__(self, app: AnyApplication, conversation: RecordedConversation, user_id: int = USER_ID) -> None:
        self._app = app
        self._conversation = conversation
        self.user = {
            "id": user_id,
            "is_bot": False,
            "first_name": "Ann",
            "last_name": "<b>",
            "language_code": "en",
        }
        self._chat: dict[str, Any] = {"id": user_id, "type": "private", "first_name": "Ann"}
        self._update_id = 0

    async def does(self, **update: Any) -> list[Said]:
        """Let an update come in; returns what the bot did about it."""
        self._update_id += 1
        before = len(self._conversation.said)
        parsed = Update.de_json({"update_id": self._update_id, **update}, self._app.bot)
        await self._app.process_update(parsed)
        return self._conversation.said[before:]

    def message(self, text: str | None, **fields: Any) -> dict[str, Any]:
        written: dict[str, Any] = {
            "message_id": 11,
            "date": 1_763_600_000,
            "chat": self._chat,
            "from": self.user,
        }
        if text is not None:
            written["text"] = text
            if text.startswith("/"):
                length = len(text.split()[0])
                written["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        return written | fields

    async def writes(self, text: str | None, **fields: Any) -> list[Said]:
        return await self.does(message=self.message(text, **fields))

    async def taps(self, data: str | None, **fields: Any) -> list[Said]:
        menu = self.message("menu", message_id=MENU_ID) | {"from": {"id": 99, "is_bot": True, "first_name": "Bot"}}
        query = {"id": "77", "from": self.user, "chat_instance": "1", "data": data, "message": menu}
        return await self.does(callback_query=query | fields)

    async def changes_membership(self, status: str) -> list[Said]:
        bot = {"id": 99, "is_bot": True, "first_name": "Bot"}
        new = {"user": bot, "status": status} | ({"until_date": 0} if status == "kicked" else {})
        change = {
            "chat": self._chat,
            "from": self.user,
            "date": 1,
            "old_chat_member": {"user": bot, "status": "member"},
        }
        return await self.does(my_chat_member=change | {"new_chat_member": new})
