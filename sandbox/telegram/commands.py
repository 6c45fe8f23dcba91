"""The bot's command menu by scope and language, resolved as Telegram resolves it."""

from __future__ import annotations

from typing import Any

CommandList = list[dict[str, Any]]


class CommandBook:
    """Lists of commands by scope key (`default`, `all_private_chats`, `chat:42` …) and language code."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str], CommandList] = {}

    def set(self, scope: str, language_code: str, commands: CommandList) -> None:
        """Replace a list; an empty one deletes it."""
        if commands:
            self._lists[scope, language_code] = commands
        else:
            self.delete(scope, language_code)

    def get(self, scope: str, language_code: str) -> CommandList:
        """Exactly what was set for this scope and language."""
        return self._lists.get((scope, language_code), [])

    def delete(self, scope: str, language_code: str) -> None:
        self._lists.pop((scope, language_code), None)

    def shown_in_private(self, user_id: int, language_code: str) -> CommandList:
        """Return what one person sees in the chat with the bot: the narrowest scope that was set wins."""
        for scope in (f"chat:{user_id}", "all_private_chats", "default"):
            for language in (language_code, ""):
                commands = self._lists.get((scope, language))
                if commands:
                    return commands
        return []
