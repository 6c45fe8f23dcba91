"""A Bot API request as Telegram's server reads it: every parameter is a string first, whatever carried it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sandbox.telegram.errors import bad_request
from sandbox.telegram.files import Upload

Decoded = TypeVar("Decoded")
P = TypeVar("P", bound="Params")

_FIELDS_MAX = 1_000


class Params(msgspec.Struct, kw_only=True):
    """Base of the parameters of every method. Unknown parameters are ignored, as Telegram does."""

    # The name keeps a text parameter from taking the place of the files of the multipart body.
    uploads: dict[str, Upload] = msgspec.field(default_factory=dict[str, Upload], name="(files)")


@dataclass(frozen=True, slots=True)
class Arguments:
    texts: dict[str, str]
    uploads: dict[str, Upload]


async def read_arguments(request: web.Request) -> Arguments:
    """From the query string and a JSON, urlencoded or multipart body."""
    texts = dict(request.query)
    if not request.can_read_body:
        return Arguments(texts, {})
    content_type = request.content_type
    if content_type == "application/json":
        texts.update(_from_json(await request.read()))
    elif content_type == "application/x-www-form-urlencoded":
        body = (await request.read()).decode("utf-8", "replace")
        texts.update(parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS_MAX))
    elif content_type == "multipart/form-data":
        return await _from_multipart(request, texts)
    return Arguments(texts, {})


def _from_json(body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise bad_request("can't parse JSON object") from error
    return {name: _as_text(value) for name, value in fields.items() if value is not None}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


async def _from_multipart(request: web.Request, texts: dict[str, str]) -> Arguments:
    uploads: dict[str, Upload] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            uploads[name] = Upload(value.filename, value.content_type, value.file.read())
        elif isinstance(value, str):
            texts[name] = value
        else:
            texts[name] = bytes(value).decode("utf-8", "replace")
    return Arguments(texts, uploads)


def decode_params(texts: dict[str, str], kind: type[P]) -> P:
    """Telegram reads a scalar parameter it cannot parse as if it were absent; so does this."""
    while True:
        try:
            return msgspec.convert(texts, kind, strict=False)
        except msgspec.ValidationError as error:
            field = str(error).rpartition("`$.")[2].rstrip("`")
            if field not in texts:
                raise bad_request(f"invalid {field} specified") from error
            texts = {name: value for name, value in texts.items() if name != field}


def decode_json(text: str, kind: type[Decoded], unreadable: str) -> Decoded:
    """Read a nested object, which always arrives as JSON text; `unreadable` is what Telegram says else."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise bad_request(unreadable) from error
