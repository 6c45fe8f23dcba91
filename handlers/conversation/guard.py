"""Who may do what: admins by their role, nobody who is banned. And what an admin does is written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

import structlog
from msgspec.structs import replace
from telegram import Update
from telegram.ext import ApplicationHandlerStop

from domain.admins.deeds import MAX_DETAILS, Deed
from domain.admins.roles import AdminRole, allows
from domain.buttons.data import CallbackData
from handlers.conversation.base import ConversationServices, Turn
from handlers.conversation.routing import CallbackRoute, CommandRoute, InputRoute, Routes, TextRoute
from runtime.errors import TransientError, UnreadableError, UserFacingError
from services.administration.audit import new_number

log = structlog.get_logger(__name__)


class Sure(CallbackData, frozen=True, array_like=True):
    """The second tap on what is asked twice; see `services/administration/confirmations.py`."""

    prefix: ClassVar[str] = "sure"
    token: str


class Guard:
    def __init__(self, services: ConversationServices, routes: Routes) -> None:
        self._services = services
        self._routes = routes

    async def stop_banned(self, update: Update) -> None:
        """Let nothing of a banned person through but that they blocked the bot or came back."""
        user = update.effective_user
        if user is None or update.my_chat_member is not None:
            return
        if await self.is_banned(user.id):
            raise ApplicationHandlerStop

    async def is_banned(self, user_id: int) -> bool:
        try:
            return await self._services.is_banned(user_id)
        except UnreadableError:
            return False  # what needs their document says so; an admin may do what needs none
        except TransientError as error:
            # What they want is asked of the same stores in a moment, and is not known there either.
            log.warning("ban_not_known", user_id=user_id, reason=str(error))
            return False

    def entered(self, turn: Turn, route: CommandRoute | CallbackRoute | InputRoute) -> Turn | None:
        """Return the turn as its route sees it; `None`: to this person there is no such thing.

        Raises `UserFacingError` for an admin whose role is too small, and in read-only mode for what changes something.
        """
        needs = route.admin
        if needs is None:
            self.require_open(route)
            return turn
        role = self.role_of(turn)
        if role is None:
            return None
        if not allows(role, needs):
            label = self._services.texts.label
            raise UserFacingError(
                "admin.role_needed",
                needs=label("role", needs, turn.language),
                has=label("role", role, turn.language),
            )
        return replace(turn, role=role)

    def require_open(self, route: CommandRoute | CallbackRoute | InputRoute | TextRoute) -> None:
        """Raise `UserFacingError` in read-only mode for what changes something."""
        why = None if route.goes_on else self._services.standing.read_only()
        if why is not None:
            raise UserFacingError("maintenance.read_only", why=why)

    def role_of(self, turn: Turn) -> AdminRole | None:
        """Groups, and what somebody else may have written, do not pass."""
        if turn.group is not None or turn.user_id != turn.chat_id or turn.is_forwarded:
            return None
        return self._services.admins.role_of(turn.user_id)

    async def perform(
        self,
        route: CallbackRoute | InputRoute,
        turn: Turn,
        given: CallbackData | str,
        act: Callable[[Turn], Awaitable[str | None]],
    ) -> str | None:
        """Let it be done; what an admin changes is written down before and after. Returns the text of a toast."""
        if route.acts is None or turn.role is None:
            return await act(turn)
        data = self._asked(given) if isinstance(given, str) else given
        user_id = getattr(data, "user_id", None) if data is not None else None
        deed = Deed(
            number=new_number(),
            at=self._services.clock(),
            admin_id=turn.user_id,
            role=turn.role,
            action=route.acts,
            user_id=user_id if isinstance(user_id, int) else None,
            details=_details(data, turn.text),
        )
        async with self._services.audit.recording(deed):
            said = await act(replace(turn, deed=deed))
            deed.end("done", said or "")
        return said

    def _asked(self, payload: str) -> CallbackData | None:
        """Return the button that asked, if the payload of a question is one."""
        route = self._routes.callbacks.get(payload.partition(":")[0])
        try:
            return route.data.unpack(payload) if route else None
        except UserFacingError:
            return None


def _details(data: CallbackData | None, typed: str) -> str:
    """Show parameters as text."""
    named = (f"{name}={getattr(data, name)}" for name in data.__struct_fields__) if data is not None else ()
    return "; ".join(filter(None, (", ".join(named), typed)))[:MAX_DETAILS]
