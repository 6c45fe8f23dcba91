"""getUpdates and the webhook."""

from __future__ import annotations

import re
from typing import Any

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.errors import bad_request
from sandbox.telegram.methods.params import Params, decode_json
from sandbox.telegram.methods.registry import method
from sandbox.telegram.webhook import Webhook, check_url

JsonObject = dict[str, Any]

_LONG_POLL_MAX_S = 50
_UPDATES_MAX = 100
_CONNECTIONS_DEFAULT = 40
_CONNECTIONS_MAX = 100
_SECRET_MAX = 256
_SECRET = re.compile(r"[A-Za-z0-9_-]*")


class GetUpdates(Params):
    offset: int = 0
    limit: int = _UPDATES_MAX
    timeout: int = 0
    allowed_updates: str = ""


@method("getUpdates", GetUpdates)
async def get_updates(cloud: Cloud, params: GetUpdates) -> list[JsonObject]:
    cloud.updates.allow(_allowed(params.allowed_updates))
    limit = min(max(params.limit, 1), _UPDATES_MAX)
    timeout_s = min(max(params.timeout, 0), _LONG_POLL_MAX_S)
    return await cloud.updates.poll(params.offset, limit, timeout_s)


def _allowed(text: str) -> list[str] | None:
    return decode_json(text, list[str], "can't parse allowed_updates JSON object") if text else None


class SetWebhook(Params):
    url: str = ""
    max_connections: int = _CONNECTIONS_DEFAULT
    secret_token: str = ""
    allowed_updates: str = ""
    drop_pending_updates: bool = False


@method("setWebhook", SetWebhook)
async def set_webhook(cloud: Cloud, params: SetWebhook) -> bool:
    if len(params.secret_token) > _SECRET_MAX:
        raise bad_request("secret token is too long")
    if not _SECRET.fullmatch(params.secret_token):
        raise bad_request("secret token contains unallowed characters")
    if params.url:
        check_url(params.url)
    cloud.updates.allow(_allowed(params.allowed_updates))
    if params.drop_pending_updates:
        cloud.updates.drop_all()
    if not params.url:
        await cloud.webhook.stop()
        return True
    connections = min(max(params.max_connections, 1), _CONNECTIONS_MAX)
    await cloud.webhook.start(Webhook(url=params.url, secret_token=params.secret_token, max_connections=connections))
    return True


class DeleteWebhook(Params):
    drop_pending_updates: bool = False


@method("deleteWebhook", DeleteWebhook)
async def delete_webhook(cloud: Cloud, params: DeleteWebhook) -> bool:
    await cloud.webhook.stop()
    if params.drop_pending_updates:
        cloud.updates.drop_all()
    return True


@method("getWebhookInfo", Params)
def get_webhook_info(cloud: Cloud, _: Params) -> JsonObject:
    webhook = cloud.webhook.webhook
    info: JsonObject = {
        "url": webhook.url if webhook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(cloud.updates),
    }
    if webhook is not None:
        info["max_connections"] = webhook.max_connections
        info["ip_address"] = "127.0.0.1"
        if webhook.last_error_at is not None:
            info["last_error_date"] = webhook.last_error_at
            info["last_error_message"] = webhook.last_error
    if cloud.updates.allowed:
        info["allowed_updates"] = sorted(cloud.updates.allowed)
    return info
