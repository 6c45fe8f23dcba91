"""What every mixin sees: the collaborators, what a person just did, and two ways to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from domain.admins.controls import ControlName
from domain.admins.deeds import Deed
from domain.admins.roles import AdminRole
from domain.delivery.messages import Button, Message
from runtime.errors import MessageRefusedError, UserFacingError
from services.administration.confirmations import Confirmations
from services.calls.group import CallServices
from services.claims.group import ClaimServices
from services.monitoring.group import MonitoringServices
from services.plans.group import PlanServices
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.subscribers.permissions import PermissionsService
from services.why.group import WhyServices
from texts.renderer import Texts

T = TypeVar("T")
WrittenAs = Literal["person", "group", "channel"]


class Conversation(Protocol):
    """Telegram, as far as a conversation needs it. What fails is a `DeliveryError`; answers go first."""

    async def send(self, chat_id: int, message: Message) -> int:
        """Return the id of the new message."""
        ...

    async def edit(self, chat_id: int, message_id: int, message: Message, *, keeps_picture: bool = False) -> int:
        """Replace a message; return the id of the one that says it now.

        An unmodified one is a success; one that is gone is a `MessageRefusedError`. `keeps_picture`: one without a
        picture of its own leaves that which is there.
        """
        ...

    async def edit_keyboard(self, chat_id: int, message_id: int, keyboard: Sequence[Sequence[Button]]) -> object:
        """Replace the buttons under a message, and nothing else of it. Errors as with `edit`."""
        ...

    async def answer(self, callback_query_id: str, text: str | None = None, *, alert: bool = False) -> object:
        """End the spinner on a button, with a plain text up to 200 UTF-16 units. Too late is no error."""
        ...


class Admins(Protocol):
    """`services.administration.admins.AdminsService` in the running bot."""

    def role_of(self, user_id: int) -> AdminRole | None: ...


class Audit(Protocol):
    """`services.administration.audit.AuditService` in the running bot."""

    def recording(self, deed: Deed) -> AbstractAsyncContextManager[None]: ...


class Standing(Protocol):
    """What admins have turned off; `services.running.controls.Controls` in the running bot."""

    def read_only(self) -> str | None:
        """Return why people can change nothing; `None`: they can."""
        ...

    def is_off(self, feature: str) -> bool:
        """Whether one of `domain.admins.controls.FEATURES` is."""
        ...

    def of(self, name: ControlName) -> frozenset[str]:
        """Return of what it stands."""
        ...


class NothingOff:
    """Everything as usual."""

    def read_only(self) -> str | None:
        return None

    def is_off(self, feature: str) -> bool:
        del feature
        return False

    def of(self, name: ControlName) -> frozenset[str]:
        del name
        return frozenset()


class ActivityLog(Protocol):
    """`services.administration.activity.ActivityService` in the running bot."""

    def note(self, user_id: int, what: str, detail: str = "", username: str = "") -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationServices:
    """What every answer needs, whatever it is about."""

    telegram: Conversation
    texts: Texts
    inputs: InputsService
    permissions: PermissionsService
    bot_username: Callable[[], str]
    """Of the bot itself, without `@`; known once Telegram is entered."""
    admins: Admins
    audit: Audit
    """Where it is written down what admins do."""
    activity: ActivityLog
    confirmations: Confirmations
    is_banned: Callable[[int], Awaitable[bool]]
    clock: Callable[[], datetime]
    standing: Standing = field(default_factory=NothingOff)
    admin_wrote: Callable[[int], None] = lambda _chat_id: None
    """Told of every update of an admin, by their chat: their menu, and alarms, may be missing there yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """Collaborators of the conversation, by feature."""

    conversation: ConversationServices
    subscribers: SubscriberServices
    plans: PlanServices
    calls: CallServices
    claims: ClaimServices
    why: WhyServices
    monitoring: MonitoringServices
    groups: Mapping[type, object] = field(default_factory=dict[type, object])
    """Of every feature, by class: what came later needs no field here."""

    def of(self, group: type[T]) -> T:
        """The group of a feature that has no field."""
        found = self.find(group)
        if found is None:
            raise LookupError(f"no feature gives a {group.__name__}")
        return found

    def find(self, group: type[T]) -> T | None:
        """`of`, where a feature may not be configured."""
        found = self.groups.get(group)
        return found if isinstance(found, group) else None


class GroupChat(Struct, frozen=True, kw_only=True):
    """Where a command was given outside the private chat."""

    chat_id: int
    thread_id: int | None
    """Topic of a forum; `None` outside topics and in General."""
    title: str
    """Attacker-controlled text."""
    written_as: WrittenAs = "person"
    """Whose name the message bears: Telegram does not say who wrote in the name of a group or of a channel."""


class Turn(Struct, frozen=True, kw_only=True):
    """One thing that a person did: wrote, tapped a button, or blocked the bot.

    In their private chat, but for commands that are open to groups.
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
    username: str = ""
    """Theirs in Telegram, without `@`."""
    is_forwarded: bool = False
    """Somebody else may have written it."""
    points_at: int | None = None
    """The person whose message was forwarded here, or is answered by this one."""
    forwards_post: str | None = None
    """Link to the post of a public channel that was forwarded here."""
    role: AdminRole | None = None
    """Set for what admins alone can do."""
    deed: Deed | None = None
    """Set where it is written down: more may be said of it."""

    @property
    def number(self) -> str:
        """Of what is written down: what is given for it bears it."""
        if self.deed is None:
            raise LookupError("only what acts has a number")
        return self.deed.number


class BotBase:
    services: Services

    async def reply(self, turn: Turn, message: Message) -> int:
        """Answer with a new message; return its id."""
        return await self.services.conversation.telegram.send(turn.chat_id, message)

    async def ask_again(self, turn: Turn, error: UserFacingError) -> None:
        """Say what is wrong with what was typed; the question stays open."""
        if turn.deed is not None:
            turn.deed.end("refused", error.key)
        texts, language = self.services.conversation.texts, turn.language
        why = texts.render(error.key, language, **error.arguments)
        await self.reply(turn, Message(html=str(texts.render("error.try_again", language, error=why))))

    async def show(self, turn: Turn, message: Message) -> int:
        """Answer in place of the menu that was tapped, or with a new message if nothing was; return its id."""
        if turn.menu_id is None:
            return await self.reply(turn, message)
        try:
            return await self.services.conversation.telegram.edit(turn.chat_id, turn.menu_id, message)
        except MessageRefusedError:
            # The person deleted the menu, or it is too old to be edited. A bad message is refused again here.
            return await self.reply(turn, message)
