"""How far a backtest has come and what came of it, in the message in which it was asked for."""

from __future__ import annotations

import structlog

from domain.backtest.results import BacktestResult
from domain.delivery.messages import Message
from handlers.backtest import menus
from handlers.backtest.chart import chart_of
from handlers.conversation.base import Conversation
from handlers.conversation.menus import View
from managers.pictures.maker import PictureError
from runtime.errors import MessageRefusedError
from services.backtest.backtests import Asked
from services.reports.drawing import Drawing
from texts import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class BacktestScreen:
    """`services.backtest.backtests.Screen`."""

    def __init__(self, conversation: Conversation, texts: Texts, drawing: Drawing) -> None:
        self._conversation = conversation
        self._texts = texts
        self._drawing = drawing

    async def waiting(self, asked: Asked, run_id: str, ahead: int) -> None:
        await self._edit(asked, menus.waiting(self._view(asked), asked, run_id, ahead))

    async def computing(self, asked: Asked, run_id: str, share: float) -> None:
        await self._edit(asked, menus.computing(self._view(asked), asked, run_id, share))

    async def finished(self, asked: Asked, result: BacktestResult) -> None:
        card = menus.result_card(self._view(asked), asked, result)
        try:
            await self._edit(asked, card)
        except MessageRefusedError:
            # They deleted the bar, but asked for this.
            await self._conversation.send(asked.chat_id, card)
        await self._send_chart(asked, result)

    async def _send_chart(self, asked: Asked, result: BacktestResult) -> None:
        view = self._view(asked)
        name = view.set_name(asked.tried)
        chart = chart_of(view, name, result)
        if chart is None:
            return
        try:
            picture = await self._drawing.draw(chart, light=asked.light_pictures)
        except PictureError as error:
            log.warning("backtest_without_picture", reason=str(error))
            return
        caption = view.html("backtest.chart_caption", name=name)
        await self._conversation.send(asked.chat_id, Message(html=str(caption), picture=picture, silent=True))

    async def cancelled(self, asked: Asked) -> None:
        await self._edit(asked, menus.over(self._view(asked), asked, "backtest.cancelled"))

    async def failed(self, asked: Asked, *, passes: bool) -> None:
        key = "backtest.unavailable" if passes else "backtest.failed"
        await self._edit(asked, menus.over(self._view(asked), asked, key))

    async def interrupted(self, asked: Asked) -> None:
        await self._edit(asked, menus.over(self._view(asked), asked, "backtest.interrupted"))

    async def _edit(self, asked: Asked, message: Message) -> None:
        await self._conversation.edit(asked.chat_id, asked.message_id, message)

    def _view(self, asked: Asked) -> View:
        return View(texts=self._texts, language=asked.language)
