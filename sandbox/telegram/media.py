"""Photos, animations, videos and documents: where they come from and how a message carries them."""

from __future__ import annotations

import mimetypes
import struct
from dataclasses import replace
from typing import Any

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.files import StoredFile, Upload
from sandbox.telegram.markup.links import LinkError, checked_link

PHOTO_MAX_BYTES = 10 * 1024 * 1024
FILE_MAX_BYTES = 50 * 1024 * 1024
_SIDES_MAX = 10_000
_RATIO_MAX = 20
# What a photo behind an address is taken for, as the sandbox does not fetch it.
_LINKED_SIZE = (1280, 720)
_PICTURES = {"png": b"\x89PNG", "gif": b"GIF8", "webp": b"RIFF", "jpeg": b"\xff\xd8"}
_PNG_HEADER_BYTES = 24
_GIF_HEADER_BYTES = 10
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})


def stored_media(cloud: Cloud, kind: str, value: str, field: str, uploads: dict[str, Upload]) -> StoredFile:
    """Find the file that a parameter names: uploaded in the request, known by file_id, or at an address."""
    upload = uploads.get(value.removeprefix("attach://") if value.startswith("attach://") else field)
    if upload is not None:
        _check_upload(kind, upload)
        return cloud.files.add(kind, _as_picture(upload) if kind == "photo" else upload)
    if not value or value.startswith("attach://"):
        raise _absent(kind)
    if value.lower().startswith(("http://", "https://")):
        return _linked(cloud, kind, value)
    known = cloud.files.get(value)
    if known is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    if known.kind != kind:
        raise bad_request(f"can't use file of type {known.kind.capitalize()} as {kind.capitalize()}")
    return known


def _absent(kind: str) -> ApiError:
    return bad_request(f"there is no {kind} in the request")


def _linked(cloud: Cloud, kind: str, url: str) -> StoredFile:
    try:
        address = checked_link(url)
    except LinkError as error:
        raise bad_request("wrong HTTP URL specified") from error
    name = address.partition("?")[0].rpartition("/")[2] or kind
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return cloud.files.add(kind, Upload(name, content_type, b""), source_url=address)


def _check_upload(kind: str, upload: Upload) -> None:
    if not upload.data:
        raise bad_request("file must be non-empty")
    if len(upload.data) > FILE_MAX_BYTES:
        raise ApiError(413, "Request Entity Too Large")
    if kind != "photo":
        return
    if len(upload.data) > PHOTO_MAX_BYTES:
        raise bad_request("file is too big")
    size = picture_size(upload.data)
    if size is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    if sum(size) > _SIDES_MAX or max(size) > _RATIO_MAX * min(size):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")


def _as_picture(upload: Upload) -> Upload:
    """Name the type that the bytes have: Telegram looks at them alone, whatever the bot calls them."""
    name = next(name for name, begins in _PICTURES.items() if upload.data.startswith(begins))
    return replace(upload, content_type=f"image/{name}")


def media_content(file: StoredFile) -> dict[str, Any]:
    """Return the fields of a Message that show this file."""
    card: dict[str, Any] = {"file_id": file.file_id, "file_unique_id": file.unique_id}
    if file.data:
        card["file_size"] = len(file.data)
    if file.kind == "document":
        return {"document": {**card, "file_name": file.name, "mime_type": file.content_type}}
    width, height = picture_size(file.data) or _LINKED_SIZE
    card |= {"width": width, "height": height}
    if file.kind == "photo":
        return {"photo": [card]}
    card |= {"duration": 0, "file_name": file.name, "mime_type": file.content_type}
    if file.kind == "video":
        return {"video": card}
    document = {key: value for key, value in card.items() if key not in {"width", "height", "duration"}}
    return {"animation": card, "document": document}


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, GIF, JPEG or WebP; None if it is none of them."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= _PNG_HEADER_BYTES:
        return struct.unpack(">II", data[16:24])
    if data[:6] in {b"GIF87a", b"GIF89a"} and len(data) >= _GIF_HEADER_BYTES:
        return struct.unpack("<HH", data[6:10])
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _LINKED_SIZE
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:  # noqa: PLR2004 -- the marker byte
        if data[position + 1] in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None
