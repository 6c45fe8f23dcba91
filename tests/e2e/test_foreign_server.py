"""The same program against a Bot API server that shares nothing with the sandbox, given only its address."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from sandbox.feed.server import FeedSandbox
from tests.e2e.bot_process import BotProcess
from tests.telegram.foreign_server import PRIVATE_CHAT, SENDER, TOKEN, ForeignBotApi


async def test_the_whole_way_over_a_foreign_bot_api(
    feed: FeedSandbox, redis_url: str, postgres_dsn: str, data_dir: Path
) -> None:
    async with ForeignBotApi() as api:
        environment = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_BASE": api.url,
            "REDIS_URL": redis_url,
            "DATABASE_URL": postgres_dsn,
            "DATA_DIR": str(data_dir),
            "HTTP_PORT": "0",
            "FEED_SOURCE": "native",
            "FEED_URL": feed.ws_url,
            "FEED_API_URL": feed.http_url,
            "FEED_TOKEN": feed.token,
        }
        async with BotProcess(environment) as bot:
            await bot.says("Telegram .*real .*127.0.0.1")
            await bot.says("Ready after")
            await api.bring(message=said("/start"))
            (greeting,) = await api.until_asked("sendMessage")
            assert "Ann" in greeting["text"]
            await api.bring(callback_query=tapped("preset:everything"))
            await api.until_asked("answerCallbackQuery")
            plain = feed.market.next_call(datetime.now(UTC))
            token = replace(plain.token, image_url=None, animation_url=None, video_url=None)
            call = feed.publish(replace(plain, token=token))
            sent = await api.until_asked("sendMessage", times=2)
            assert call.token.address in sent[1]["text"]
            assert str(sent[1]["chat_id"]) == str(PRIVATE_CHAT["id"])
            bot.interrupt()
            assert await bot.exit_code() == 0, bot.output


def said(text: str) -> dict[str, object]:
    return {
        "message_id": 1,
        "date": 1_763_600_000,
        "chat": PRIVATE_CHAT,
        "from": SENDER,
        "text": text,
        "entities": [{"type": "bot_command", "offset": 0, "length": len(text)}],
    }


def tapped(data: str) -> dict[str, object]:
    menu = {"message_id": 1, "date": 1_763_600_000, "chat": PRIVATE_CHAT, "text": "presets"}
    return {"id": "7", "from": SENDER, "chat_instance": "1", "data": data, "message": menu}
