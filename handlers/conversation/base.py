"""What every mixin sees: the collaborators, what a person just did, and two ways to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from domain.delivery.messages import Message
from runtime.errors import MessageRefusedError
from services.calls.channels import ChannelsService
from services.claims.dead_letters import DeadLetters
from services.monitoring.health import MonitoringService
from services.payments.subscriptions import SubscriptionsService
from services.subscribers.filter_sets import FilterSets
from services.subscribers.inputs import InputsService
from services.subscribers.loading import RosterLoading
from services.subscribers.permissions import PermissionsService
from services.subscribers.presets import PresetsService
from services.subscribers.roster import Roster
from services.subscribers.sharing import SharingService
from services.subscribers.subscribers import Subscribers
from services.why.explanations import ExplanationsService
from texts.renderer import Texts


class Conversation(Protocol):
    """Telegram, as far as a conversation needs it. What fails is a `DeliveryError`; answers go first."""

    async def send(self, chat_id: int, message: Message) -> object: ...

    async def edit(self, chat_id: int, message_id: int, message: Message) -> object:
        """Replace a message. An unmodified one is a success; one that is gone is a `MessageRefusedError`."""
        ...

    async def answer(self, callback_query_id: str, text: str | None = None, *, alert: bool = False) -> object:
        """End the spinner on a button, with a plain text up to 200 UTF-16 units. Too late is no error."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    subscribers: Subscribers
    filter_sets: FilterSets
    roster: Roster
    loading: RosterLoading
    subscriptions: SubscriptionsService
    presets: PresetsService
    sharing: SharingService
    permissions: PermissionsService
    bot_username: Callable[[], str]
    """Of the bot itself, without `@`; known once Telegram is entered."""
    channels: ChannelsService
    explanations: ExplanationsService
    monitoring: MonitoringService
    letters: DeadLetters
    inputs: InputsService
    telegram: Conversation
    texts: Texts
    admin_chat_ids: frozenset[int]
    clock: Callable[[], datetime]


class GroupChat(Struct, frozen=True, kw_only=True):
    """Where a command was given outside the private chat."""

    chat_id: int
    thread_id: int | None
    """Topic of a forum; `None` outside topics and in General."""
    title: str
    """Attacker-controlled text."""


class Turn(Struct, frozen=True, kw_only=True):
    """One thing that a person did: wrote, tapped a button, or blocked the bot.

    In his private chat, but for commands that are open to groups.
    """

    user_id: int
    chat_id: int
    name: str
    """Attacker-controlled display name."""
    language: str
    text: str = ""
    """The message as it was typed; empty for a tap and for a message without text."""
    menu_id: int | None = None
    """The message whose button was tapped."""
    group: GroupChat | None = None
    """Set in a group; `chat_id` is that of the group then."""


class BotBase:
    services: Services

    async def reply(self, turn: Turn, message: Message) -> None:
        """Answer with a new message."""
        await self.services.telegram.send(turn.chat_id, message)

    async def show(self, turn: Turn, message: Message) -> None:
        """Answer in place of the menu that was tapped, or with a new message if nothing was."""
        if turn.menu_id is None:
            await self.reply(turn, message)
            return
        try:
            await self.services.telegram.edit(turn.chat_id, turn.menu_id, message)
        except MessageRefusedError:
            # The person deleted the menu, or it is too old to be edited. A bad message is refused again here.
            await self.reply(turn, message)
