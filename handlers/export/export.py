"""Everything that is kept of a person, as files."""

from __future__ import annotations

from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command
from handlers.export.buttons import ExportAs
from services.export.exporting import ExportService


class ExportMixin(BotBase):
    @command("export", help="help.export")
    async def export(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        keyboard = (
            (view.button("button.export_csv", ExportAs("csv")),),
            (view.button("button.export_jsonl", ExportAs("jsonl")),),
        )
        await self.reply(turn, message(view.html("export.menu"), keyboard=keyboard))

    @callback(ExportAs)
    async def export_as(self, turn: Turn, data: ExportAs) -> str:
        await self.services.of(ExportService).ask(
            user_id=turn.user_id,
            chat_id=turn.chat_id,
            language=turn.language,
            form=data.form,
            progress_id=turn.menu_id,
        )
        return view_of(self.services, turn).plain("export.asked")
