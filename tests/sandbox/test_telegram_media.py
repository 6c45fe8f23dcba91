"""Photos, animations, videos and documents, by upload, by id and by address."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaDocument, InputMediaPhoto, InputMediaVideo
from telegram.error import BadRequest, NetworkError

from tests.sandbox.telegram_kit import png, started, telegram_and_bot

JPEG = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"
GIF = b"GIF89a\x08\x00\x04\x00" + b"\0" * 8


async def test_a_photo_goes_up_comes_down_and_goes_out_again() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        sent = await bot.send_photo(
            ann.id, png(640, 480), caption="<b>chart</b>", parse_mode="HTML", filename="chart.png"
        )
        (size,) = sent.photo
        assert (size.width, size.height) == (640, 480)
        assert sent.caption == "chart"
        assert sent.caption_entities[0].type == "bold"
        file = await bot.get_file(size.file_id)
        assert bytes(await file.download_as_bytearray()) == png(640, 480)
        again = await bot.send_photo(ann.id, size.file_id)
        assert again.photo[0].file_unique_id == size.file_unique_id
        with pytest.raises(BadRequest, match="as video"):
            await bot.send_video(ann.id, size.file_id)
        (unnamed,) = (await bot.send_photo(ann.id, JPEG)).photo
        assert unnamed.width == 32
        kept = telegram.cloud.files.get(unnamed.file_id)
        assert kept
        assert kept.content_type == "image/jpeg"
        linked = await bot.send_photo(ann.id, "https://example.com/a.png")
        with pytest.raises(BadRequest, match="temporarily unavailable"):
            await bot.get_file(linked.photo[0].file_id)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no picture at all", "Image_process_failed"),
        (png(9_000, 2_000), "Photo_invalid_dimensions"),
        (png(2_100, 100), "Photo_invalid_dimensions"),
        (b"", "File must be non-empty"),
    ],
)
async def test_a_photo_must_be_one(data: bytes, reason: str) -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        with pytest.raises(BadRequest, match=reason):
            await bot.send_photo(ann.id, data)


async def test_animations_videos_and_documents() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        animation = await bot.send_animation(ann.id, GIF, filename="a.gif", has_spoiler=True)
        assert animation.animation is not None
        assert animation.animation.mime_type == "image/gif"
        assert animation.has_media_spoiler
        video = await bot.send_video(ann.id, b"film", filename="a.mp4", show_caption_above_media=True)
        assert video.video is not None
        assert video.video.file_name == "a.mp4"
        document = await bot.send_document(ann.id, b"a,b", filename="calls.csv", caption="all of them")
        assert document.document is not None
        assert document.document.file_size == 3
        assert [each.get("caption") for each in ann.messages[1:]] == [None, None, "all of them"]


async def test_a_file_may_not_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.telegram.media.FILE_MAX_BYTES", 3)
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        await bot.send_document(ann.id, b"a,b", filename="calls.csv")
        with pytest.raises(NetworkError, match="Too Large"):
            await bot.send_document(ann.id, b"a,b,c", filename="calls.csv")


async def test_an_album() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        album = await bot.send_media_group(
            ann.id,
            [
                InputMediaPhoto(png(), caption="<i>one</i>", parse_mode="HTML"),
                InputMediaVideo(b"film"),
                InputMediaPhoto("https://example.com/a.png"),
            ],
        )
        assert len({each.media_group_id for each in album}) == 1
        assert [bool(each.photo) for each in album] == [True, False, True]
        assert album[0].caption == "one"
        with pytest.raises(BadRequest, match="Document can't be mixed"):
            await bot.send_media_group(ann.id, [InputMediaPhoto(png()), InputMediaDocument(b"x")])


async def test_media_and_captions_are_edited() -> None:
    async with telegram_and_bot() as (telegram, bot):
        ann = await started(telegram)
        sent = await bot.send_photo(ann.id, png(), caption="one")
        place: dict[str, Any] = {"chat_id": ann.id, "message_id": sent.message_id}
        await bot.edit_message_caption(caption="two", **place)
        markup = InlineKeyboardMarkup([[InlineKeyboardButton("Open", url="https://example.com")]])
        edited = await bot.edit_message_reply_markup(reply_markup=markup, **place)
        assert not isinstance(edited, bool)
        assert edited.caption == "two"
        edited = await bot.edit_message_media(InputMediaDocument(b"x", caption="three"), **place)
        assert not isinstance(edited, bool)
        assert edited.document is not None
        assert not edited.photo
        assert edited.caption == "three"
        assert edited.reply_markup is None
        with pytest.raises(BadRequest, match="There is no text in the message to edit"):
            await bot.edit_message_text("x", **place)
        with pytest.raises(BadRequest, match="Message is not modified"):
            await bot.edit_message_caption(caption="three", **place)
