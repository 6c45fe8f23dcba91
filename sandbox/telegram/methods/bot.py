"""The bot itself: who it is, its commands, its name and descriptions, its menu button."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sandbox.telegram.cloud import Cloud
from sandbox.telegram.commands import CommandList
from sandbox.telegram.errors import bad_request
from sandbox.telegram.methods.params import Params, decode_json
from sandbox.telegram.methods.registry import method

JsonObject = dict[str, Any]

COMMANDS_MAX = 100
_COMMAND_MAX = 32
_DESCRIPTION_MAX = 256
_COMMAND = re.compile(r"[a-z0-9_]+")
_LANGUAGE = re.compile(r"(?:[a-z]{2})?")


class NoParams(Params):
    pass


@method("getMe", NoParams)
def get_me(cloud: Cloud, _: NoParams) -> JsonObject:
    cloud.stars.bot_started()
    return {
        **cloud.bot,
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


@method("logOut", NoParams)
def log_out(_: Cloud, __: NoParams) -> bool:
    return True


@method("close", NoParams)
def close(_: Cloud, __: NoParams) -> bool:
    return True


class BotCommand(msgspec.Struct):
    command: str
    description: str


class CommandScope(msgspec.Struct):
    type: str
    chat_id: int | Annotated[str, Meta(min_length=1)] | None = None
    user_id: int = 0


class CommandParams(Params):
    scope: str = ""
    language_code: str = ""


class SetMyCommands(CommandParams):
    commands: str = ""


def _scope_key(cloud: Cloud, params: CommandParams) -> str:
    if not _LANGUAGE.fullmatch(params.language_code):
        raise bad_request("invalid language code specified")
    if not params.scope:
        return "default"
    scope = decode_json(params.scope, CommandScope, "can't parse BotCommandScope JSON object")
    if scope.type in {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}:
        return scope.type
    if scope.type not in {"chat", "chat_administrators", "chat_member"}:
        raise bad_request("can't parse BotCommandScope: Unsupported type specified")
    if scope.chat_id is None:
        raise bad_request("can't parse BotCommandScope: Empty chat_id specified")
    chat = cloud.find_chat(str(scope.chat_id))
    if chat.kind == "private" and not chat.is_started:
        raise bad_request("chat not found")  # a bot knows nobody who has not written to it
    if scope.type != "chat_member":
        return f"{scope.type}:{chat.id}"
    if scope.user_id <= 0:
        raise bad_request("can't parse BotCommandScope: Invalid user_id specified")
    return f"{scope.type}:{chat.id}:{scope.user_id}"


def _checked_command(given: BotCommand) -> JsonObject:
    command, description = given.command.removeprefix("/"), given.description.strip()
    if not command:
        raise bad_request("command must be non-empty")
    if len(command) > _COMMAND_MAX:
        raise bad_request(f"command length must not exceed {_COMMAND_MAX}")
    if not description:
        raise bad_request("command description must be non-empty")
    if len(description) > _DESCRIPTION_MAX:
        raise bad_request(f"command description length must not exceed {_DESCRIPTION_MAX}")
    if not _COMMAND.fullmatch(command):
        raise bad_request("BOT_COMMAND_INVALID")
    return {"command": command, "description": description}


@method("setMyCommands", SetMyCommands)
def set_my_commands(cloud: Cloud, params: SetMyCommands) -> bool:
    given = decode_json(params.commands or "[]", list[BotCommand], "can't parse commands JSON object")
    if len(given) > COMMANDS_MAX:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    key = _scope_key(cloud, params)
    cloud.commands.set(key, params.language_code, [_checked_command(command) for command in given])
    cloud.commands_changed()
    return True


@method("getMyCommands", CommandParams)
def get_my_commands(cloud: Cloud, params: CommandParams) -> CommandList:
    return cloud.commands.get(_scope_key(cloud, params), params.language_code)


@method("deleteMyCommands", CommandParams)
def delete_my_commands(cloud: Cloud, params: CommandParams) -> bool:
    cloud.commands.delete(_scope_key(cloud, params), params.language_code)
    cloud.commands_changed()
    return True


class BotTextParams(Params):
    name: str = ""
    description: str = ""
    short_description: str = ""
    language_code: str = ""


def _set_text(cloud: Cloud, field: str, language_code: str, text: str, longest: int) -> bool:
    if len(text) > longest:
        raise bad_request(f"bot {field.replace('_', ' ')} is too long")
    cloud.texts[field, language_code] = text
    return True


def _get_text(cloud: Cloud, field: str, language_code: str) -> JsonObject:
    return {field: cloud.texts.get((field, language_code)) or cloud.texts.get((field, ""), "")}


@method("setMyName", BotTextParams)
def set_my_name(cloud: Cloud, params: BotTextParams) -> bool:
    if params.name and not params.language_code:
        cloud.bot["first_name"] = params.name[:64]
    return _set_text(cloud, "name", params.language_code, params.name, 64)


@method("getMyName", BotTextParams)
def get_my_name(cloud: Cloud, params: BotTextParams) -> JsonObject:
    return {"name": _get_text(cloud, "name", params.language_code)["name"] or cloud.bot["first_name"]}


@method("setMyDescription", BotTextParams)
def set_my_description(cloud: Cloud, params: BotTextParams) -> bool:
    return _set_text(cloud, "description", params.language_code, params.description, 512)


@method("getMyDescription", BotTextParams)
def get_my_description(cloud: Cloud, params: BotTextParams) -> JsonObject:
    return _get_text(cloud, "description", params.language_code)


@method("setMyShortDescription", BotTextParams)
def set_my_short_description(cloud: Cloud, params: BotTextParams) -> bool:
    return _set_text(cloud, "short_description", params.language_code, params.short_description, 120)


@method("getMyShortDescription", BotTextParams)
def get_my_short_description(cloud: Cloud, params: BotTextParams) -> JsonObject:
    return _get_text(cloud, "short_description", params.language_code)


class MenuButtonParams(Params):
    chat_id: str = ""
    menu_button: str = ""


@method("setChatMenuButton", MenuButtonParams)
def set_chat_menu_button(cloud: Cloud, params: MenuButtonParams) -> bool:
    button = decode_json(params.menu_button or '{"type":"default"}', JsonObject, "can't parse menu button JSON object")
    if button.get("type") not in {"default", "commands", "web_app"}:
        raise bad_request("can't parse menu button: Invalid type specified")
    cloud.menu_buttons[cloud.find_chat(params.chat_id).id if params.chat_id else 0] = button
    return True


@method("getChatMenuButton", MenuButtonParams)
def get_chat_menu_button(cloud: Cloud, params: MenuButtonParams) -> JsonObject:
    chat_id = cloud.find_chat(params.chat_id).id if params.chat_id else 0
    return cloud.menu_buttons.get(chat_id) or cloud.menu_buttons.get(0) or {"type": "commands"}
