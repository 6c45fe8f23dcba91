"""What comes back in Telegram's place: pages of proxies, halves of bodies, JSON of somebody else's."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from urllib.parse import quote

from aiohttp import web

from tests.telegram.foreign_server import TOKEN, Handler

PAGE = "<html><head><title>Blocked</title></head><body>by your provider</body></html>"
FORBIDDEN = '{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}'
UNAUTHORISED = '{"ok":false,"error_code":401,"description":"Unauthorized"}'
MESSAGE = '{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":7,"type":"private"}}}'


def page(status: int, **headers: str) -> Handler:
    return said(PAGE, status, "text/html", **headers)


def said(body: str | bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Handler:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"Content-Type": content_type}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body if isinstance(body, bytes) else body.encode(), status=status, headers=named)

    return answer


def raw(answer: bytes) -> Handler:
    """Answer with bytes of no HTTP server, and hang up."""

    async def answering(request: web.Request) -> web.StreamResponse:
        await request.read()
        assert request.transport is not None
        request.transport.write(answer)
        request.transport.close()
        return web.Response()

    return answering


ANSWERS: Mapping[str, Handler] = {
    **{f"page with {status}": page(status) for status in (200, 400, 401, 403, 404, 409, 413, 418, 500, 502, 503)},
    "page with 429": page(429, Retry_After="3"),
    "redirect": page(302, Location="https://login.example/?next=%2Fbot"),
    "empty": said(""),
    "empty no content": said(b"", 204),
    "list": said("[]"),
    "null": said("null"),
    "object": said("{}"),
    "ok alone": said('{"ok":true}'),
    "ok without a result": said('{"ok":true,"result":null}'),
    "ok with a false result": said('{"ok":true,"result":false}'),
    "ok with a number": said('{"ok":true,"result":7}'),
    "ok that is a text": said('{"ok":"true","result":{"message_id":1}}'),
    "success with 500": said(MESSAGE, 500),
    "refusal alone": said('{"ok":false}', 403),
    "refusal with 200": said('{"ok":false}'),
    "refusal without a description": said('{"ok":false,"error_code":403}', 403),
    "refusal with a null description": said('{"ok":false,"error_code":404,"description":null}', 404),
    "refusal with an object as description": said('{"ok":false,"error_code":400,"description":{}}', 400),
    "refusal without a code": said('{"ok":false,"description":"Unauthorized"}', 401),
    "refusal with a code that is a text": said('{"ok":false,"error_code":"401","description":"Unauthorized"}', 401),
    "refusal with a code that is none": said('{"ok":false,"error_code":200,"description":"OK"}'),
    "refusal with odd parameters": said('{"ok":false,"error_code":400,"description":"x","parameters":[1]}', 400),
    "flood without an end": said(
        '{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":1e300}}', 429
    ),
    "refusal in a page": said(FORBIDDEN, 403, "text/html"),
    "unknown token in a page": said(UNAUTHORISED, 401, "text/plain"),
    "somebody else's JSON": said('{"error":{"code":403,"message":"quota exceeded"}}', 403),
    "page with the address": said(f"<p>/bot{TOKEN}/ was not found</p>", 404, "text/html"),
    "page with the address in a link": said(f"<a href='?next=%2Fbot{quote(TOKEN, '')}%2F'>", 404, "text/html"),
    "half a document": said(FORBIDDEN[:40], 403),
    "half a body": raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"ok":true,'),
    "rubbish in place of gzip": said(b"\x1f\x8b rubbish", Content_Encoding="gzip"),
    "half of a gzip": said(gzip.compress(PAGE.encode() * 99)[:-20], Content_Encoding="gzip"),
    "no HTTP": raw(b"220 mail.example ESMTP ready\r\n"),
    "deeply nested": said('{"ok":' + "[" * 90_000),
    "not UTF-8": said(b'{"ok":true,"result":\xff\xfe}'),
    "endless": said(b" " * (17 * 1024 * 1024)),
}
"""By what they are."""
