"""sendPhoto, sendAnimation, sendVideo, sendDocument, sendMediaGroup and getFile."""

from __future__ import annotations

import itertools
import time
from typing import Any

import msgspec

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import bad_request
from sandbox.telegram.markup.formatting import caption_content
from sandbox.telegram.media import media_content, stored_media
from sandbox.telegram.methods.params import Params, decode_json
from sandbox.telegram.methods.registry import method
from sandbox.telegram.methods.sending import SendParams, open_chat

ALBUM_MAX = 10
DOWNLOAD_MAX_BYTES = 20 * 1024 * 1024
_ALBUM_KINDS = frozenset({"photo", "video", "document"})
_album_ids = itertools.count(time.time_ns())


class SendMedia(SendParams):
    photo: str = ""
    animation: str = ""
    video: str = ""
    document: str = ""
    caption: str = ""
    parse_mode: str = ""
    caption_entities: str = ""
    show_caption_above_media: bool = False
    has_spoiler: bool = False


def _send(cloud: Cloud, params: SendMedia, kind: str, value: str) -> dict[str, Any]:
    caption = caption_content(cloud, params.caption, params.parse_mode, params.caption_entities)
    chat, outline = open_chat(cloud, params)
    file = stored_media(cloud, kind, value, kind, params.uploads)
    content = {**outline, **media_content(file), **caption}
    if params.has_spoiler:
        content["has_media_spoiler"] = True
    if params.show_caption_above_media:
        content["show_caption_above_media"] = True
    cloud.charge(chat, f"send{kind.capitalize()}")
    return cloud.post(chat, cloud.bot, content, silent=params.disable_notification)


@method("sendPhoto", SendMedia, is_send=True)
def send_photo(cloud: Cloud, params: SendMedia) -> dict[str, Any]:
    return _send(cloud, params, "photo", params.photo)


@method("sendAnimation", SendMedia, is_send=True)
def send_animation(cloud: Cloud, params: SendMedia) -> dict[str, Any]:
    return _send(cloud, params, "animation", params.animation)


@method("sendVideo", SendMedia, is_send=True)
def send_video(cloud: Cloud, params: SendMedia) -> dict[str, Any]:
    return _send(cloud, params, "video", params.video)


@method("sendDocument", SendMedia, is_send=True)
def send_document(cloud: Cloud, params: SendMedia) -> dict[str, Any]:
    return _send(cloud, params, "document", params.document)


class SendMediaGroup(SendParams):
    media: str = ""


class InputMedia(msgspec.Struct):
    """One item of an album, or what replaces the media of a message."""

    type: str = ""
    media: str = ""
    caption: str = ""
    parse_mode: str = ""
    caption_entities: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b""))
    has_spoiler: bool = False

    def caption_content(self, cloud: Cloud) -> dict[str, Any]:
        return caption_content(cloud, self.caption, self.parse_mode, bytes(self.caption_entities).decode())


@method("sendMediaGroup", SendMediaGroup, is_send=True)
def send_media_group(cloud: Cloud, params: SendMediaGroup) -> list[dict[str, Any]]:
    items = decode_json(params.media, list[InputMedia], "can't parse media JSON object")
    if not items:
        raise bad_request("there are no messages to send")
    if len(items) > ALBUM_MAX:
        raise bad_request("too many messages to send as an album")
    for item in items:
        if item.type not in _ALBUM_KINDS:
            raise bad_request(f"can't parse InputMedia: type \"{item.type}\" can't be used in sendMediaGroup")
    kinds = {item.type for item in items}
    if "document" in kinds and len(kinds) > 1:
        raise bad_request("document can't be mixed with other media types")
    captions = [item.caption_content(cloud) for item in items]
    chat, outline = open_chat(cloud, params)
    outline.pop("reply_markup", None)
    files = [stored_media(cloud, item.type, item.media, "media", params.uploads) for item in items]
    cloud.charge(chat, "sendMediaGroup", count=len(items))
    album = {**outline, "media_group_id": str(next(_album_ids))}
    return [
        cloud.post(chat, cloud.bot, {**album, **media_content(file), **caption}, silent=params.disable_notification)
        for file, caption in zip(files, captions, strict=True)
    ]


class GetFile(Params):
    file_id: str = ""


@method("getFile", GetFile)
def get_file(cloud: Cloud, params: GetFile) -> dict[str, Any]:
    if not params.file_id:
        raise bad_request("file_id not specified")
    file = cloud.files.get(params.file_id)
    if file is None:
        raise bad_request("invalid file_id")
    if file.source_url:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if len(file.data) > DOWNLOAD_MAX_BYTES:
        raise bad_request("file is too big")
    return {
        "file_id": file.file_id,
        "file_unique_id": file.unique_id,
        "file_size": len(file.data),
        "file_path": file.path,
    }
