"""Chats: who is in them, what is pinned, leaving."""

from __future__ import annotations

from typing import Any

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.errors import bad_request
from sandbox.telegram.methods.params import Params
from sandbox.telegram.methods.registry import method
from sandbox.telegram.people import bot_member

JsonObject = dict[str, Any]
_REACTIONS_MAX = 11


class ChatParams(Params):
    chat_id: str = ""


@method("getChat", ChatParams)
def get_chat(cloud: Cloud, params: ChatParams) -> JsonObject:
    chat = cloud.find_chat(params.chat_id)
    full: JsonObject = {
        **chat.card,
        "accent_color_id": chat.id % 7,
        "max_reaction_count": _REACTIONS_MAX,
        "accepted_gift_types": dict.fromkeys(
            (
                "unlimited_gifts",
                "limited_gifts",
                "unique_gifts",
                "premium_subscription",
                "gifts_from_channels",
            ),
            False,
        ),
    }
    if chat.pinned_ids:
        full["pinned_message"] = chat.messages.get(chat.pinned_ids[-1])
    return full


class GetChatMember(ChatParams):
    user_id: int = 0


@method("getChatMember", GetChatMember)
def get_chat_member(cloud: Cloud, params: GetChatMember) -> JsonObject:
    chat = cloud.find_chat(params.chat_id)
    if params.user_id <= 0:
        raise bad_request("invalid user_id specified")
    if params.user_id == cloud.bot["id"]:
        return bot_member(cloud, chat.bot_status)
    if chat.person is not None and chat.id == params.user_id:
        return {"user": chat.person, "status": "member"}
    if params.user_id in chat.members:
        return _member(chat, params.user_id)
    stranger = cloud.chats.get(params.user_id)
    if stranger is None or stranger.person is None:
        raise bad_request("user not found")
    if chat.kind == "private":
        raise bad_request("member not found")
    return {"user": stranger.person, "status": "left"}


def _member(chat: Chat, user_id: int) -> JsonObject:
    user = chat.members[user_id]
    if user_id == next(iter(chat.members)):
        return {"user": user, "status": "creator", "is_anonymous": False}
    return {"user": user, "status": "member"}


@method("getChatAdministrators", ChatParams)
def get_chat_administrators(cloud: Cloud, params: ChatParams) -> list[JsonObject]:
    chat = cloud.find_chat(params.chat_id)
    if chat.kind == "private":
        raise bad_request("there are no administrators in the private chat")
    return [_member(chat, next(iter(chat.members)))] if chat.members else []


@method("getChatMemberCount", ChatParams)
def get_chat_member_count(cloud: Cloud, params: ChatParams) -> int:
    chat = cloud.find_chat(params.chat_id)
    return 2 if chat.kind == "private" else len(chat.members) + (chat.bot_status in {"member", "administrator"})


class PinChatMessage(ChatParams):
    message_id: int = 0


@method("pinChatMessage", PinChatMessage)
def pin_chat_message(cloud: Cloud, params: PinChatMessage) -> bool:
    chat = cloud.writable_chat(params.chat_id)
    if params.message_id not in chat.messages:
        raise bad_request("message to pin not found")
    if chat.kind != "private" and chat.bot_status != "administrator":
        raise bad_request("not enough rights to manage pinned messages in the chat")
    if params.message_id in chat.pinned_ids:
        chat.pinned_ids.remove(params.message_id)
    chat.pinned_ids.append(params.message_id)
    cloud.changed(chat)
    return True


@method("unpinChatMessage", PinChatMessage)
def unpin_chat_message(cloud: Cloud, params: PinChatMessage) -> bool:
    chat = cloud.writable_chat(params.chat_id)
    wanted = params.message_id or (chat.pinned_ids[-1] if chat.pinned_ids else 0)
    if wanted not in chat.pinned_ids:
        raise bad_request("message to unpin not found")
    chat.pinned_ids.remove(wanted)
    cloud.changed(chat)
    return True


@method("unpinAllChatMessages", ChatParams)
def unpin_all_chat_messages(cloud: Cloud, params: ChatParams) -> bool:
    chat = cloud.writable_chat(params.chat_id)
    chat.pinned_ids.clear()
    cloud.changed(chat)
    return True


@method("leaveChat", ChatParams)
def leave_chat(cloud: Cloud, params: ChatParams) -> bool:
    chat = cloud.writable_chat(params.chat_id)
    if chat.kind == "private":
        raise bad_request("chat member status can't be changed in private chats")
    chat.bot_status = "left"
    cloud.changed(chat)
    return True
