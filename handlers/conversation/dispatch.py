"""From a Telegram update to the one method that answers it, and from an error to a sentence.

Only private chats are answered, and commands that are open to groups. Only new messages are (an edited one would run
its command twice), and every tap on a button is answered exactly once, but for those that somebody has too many of. A
command or a tap withdraws the question that was asked last.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
from telegram import CallbackQuery, ChatMember, Update
from telegram.constants import ChatType
from telegram.ext import (
    Application,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    TypeHandler,
    filters,
)

from domain.delivery.messages import Message
from domain.payments.stars import PreCheckout
from handlers.conversation.base import BotBase, GroupChat, Turn
from handlers.conversation.routing import CommandRoute, Routes, collect
from managers.telegram.payment_lane import Money
from managers.telegram.updates import Excess
from runtime.errors import DeliveryError, FloodError, RecipientGoneError, TransientError, UserFacingError
from texts.markup import MAX_CALLBACK_ANSWER_UTF16, Html, cut, to_plain
from texts.renderer import FALLBACK_LANGUAGE

log = structlog.get_logger(__name__)

Context = ContextTypes.DEFAULT_TYPE
AnyApplication = Application[Any, Any, Any, Any, Any, Any]

PRIVATE_MESSAGE = filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE
GROUP_OR_PRIVATE_MESSAGE = filters.UpdateType.MESSAGE & (filters.ChatType.PRIVATE | filters.ChatType.GROUPS)
TRANSIENT_TEXT = "error.transient"
UNEXPECTED_TEXT = "error.unexpected"
STALE_TEXT = "callback.stale"
HURRY_TEXT = "error.too_much_at_once"
_GONE = frozenset({ChatMember.BANNED, ChatMember.LEFT})


class Dispatcher:
    """Carries updates of a PTB application to the methods of a composed bot."""

    def __init__(self, bot: BotBase) -> None:
        self._bot = bot
        self._services = bot.services
        self.routes: Routes = collect(type(bot))

    def install(self, application: AnyApplication) -> None:
        """Register every route. Raises `FatalError` when a route's text is missing."""
        helps = (route.help for route in self.routes.commands.values())
        self._services.conversation.texts.check((*helps, TRANSIENT_TEXT, UNEXPECTED_TEXT, STALE_TEXT, HURRY_TEXT))
        for route in self.routes.commands.values():
            where = GROUP_OR_PRIVATE_MESSAGE if route.groups else PRIVATE_MESSAGE
            application.add_handler(CommandHandler(route.name, self._command(route), where))
        application.add_handler(CallbackQueryHandler(self._tapped))
        application.add_handler(ChatMemberHandler(self._membership, ChatMemberHandler.MY_CHAT_MEMBER))
        application.add_handler(MessageHandler(PRIVATE_MESSAGE & ~filters.StatusUpdate.ALL, self._said))
        application.add_handler(TypeHandler(Excess, self._hurried))
        application.add_handler(TypeHandler(PreCheckout, self._checked_out))
        application.add_handler(TypeHandler(Money, self._paid))
        application.add_error_handler(self._failed)

    def _command(self, route: CommandRoute) -> Callable[[Update, Context], Coroutine[Any, Any, None]]:
        async def commanded(update: Update, _context: Context) -> None:
            turn = (_group_turn(update) if route.groups else None) or _turn(update)
            if turn is None:
                return
            lacks = route.needs is not None and self._services.find(route.needs) is None
            if lacks or (route.admin and not self._is_admin(turn)):
                await self._otherwise(turn)
                return
            await self._withdraw_question(turn)
            await getattr(self._bot, route.method)(turn)

        return commanded

    async def _said(self, update: Update, _context: Context) -> None:
        turn = _turn(update)
        if turn is None:
            return
        if turn.text and not turn.text.startswith("/"):
            expected = await self._services.conversation.inputs.take(turn.user_id)
            route = self.routes.inputs.get(expected.kind) if expected else None
            if expected and route and (self._is_admin(turn) or not route.admin):
                await getattr(self._bot, route.method)(turn, expected.payload)
                return
            if await self._recognised(turn):
                return
        await self._otherwise(turn)

    async def _recognised(self, turn: Turn) -> bool:
        for route in self.routes.texts:
            found = route.recognise(turn.text) if self._services.find(route.needs) is not None else None
            if found is not None:
                await getattr(self._bot, route.method)(turn, found)
                return True
        return False

    async def _tapped(self, update: Update, _context: Context) -> None:
        turn, query = _turn(update), update.callback_query
        if query is None:
            return
        data = query.data or ""
        route = self.routes.callbacks.get(data.partition(":")[0])
        if turn is None or route is None or (route.admin and not self._is_admin(turn)):
            raise UserFacingError(STALE_TEXT)
        unpacked = route.data.unpack(data)
        await self._withdraw_question(turn)
        toast: str | None = await getattr(self._bot, route.method)(turn, unpacked)
        await self._answer(query, toast)

    async def _membership(self, update: Update, _context: Context) -> None:
        turn, change, route = _turn(update), update.my_chat_member, self.routes.membership
        if turn and change and route:
            reachable = change.new_chat_member.status not in _GONE
            await getattr(self._bot, route.method)(turn, reachable)

    async def _checked_out(self, query: PreCheckout, _context: Context) -> None:
        if self.routes.checkout:
            await getattr(self._bot, self.routes.checkout.method)(query)

    async def _paid(self, money: Money, _context: Context) -> None:
        """Acknowledge what is written down; what cannot be now comes again by itself."""
        route, paid = self.routes.payment, money.payment
        message: Message | None = None
        try:
            if route is None:
                log.error("payment_unexpected", charge=paid.charge_id, user_id=paid.user_id)
            else:
                message = await getattr(self._bot, route.method)(paid)
        except TransientError as error:
            log.warning("payment_postponed", charge=paid.charge_id, user_id=paid.user_id, reason=str(error))
            return
        except Exception:
            # It would fail again and hold up all the others; the reconciliation names it.
            log.exception("payment_failed", charge=paid.charge_id, user_id=paid.user_id)
        money.acknowledge()
        if message:
            turn = Turn(user_id=paid.user_id, chat_id=paid.user_id, name="", language=paid.language)
            await self._apologise(turn, message)

    async def _hurried(self, excess: Excess, _context: Context) -> None:
        """Say that something was left out, once for all that was.

        By a message even where they tapped: a tap may have waited too long to be answered. Spinners end by themselves.
        """
        turn = _turn(excess.update)
        if turn is not None:
            html = self._services.conversation.texts.render(HURRY_TEXT, turn.language)
            await self._apologise(turn, Message(html=str(html)))

    async def _otherwise(self, turn: Turn) -> None:
        if self.routes.otherwise:
            await getattr(self._bot, self.routes.otherwise.method)(turn)

    def _is_admin(self, turn: Turn) -> bool:
        return turn.chat_id in self._services.conversation.admin_chat_ids

    async def _withdraw_question(self, turn: Turn) -> None:
        try:
            await self._services.conversation.inputs.cancel(turn.user_id)
        except TransientError as error:
            # The question then ends by itself within minutes; what was asked for now matters more.
            log.warning("question_not_withdrawn", user_id=turn.user_id, reason=str(error))

    async def _failed(self, update: object, context: Context) -> None:
        """Say what an error means for the person, and log it for whoever can mend it."""
        error = context.error
        if not isinstance(update, Update):
            log.error("telegram_failed", exc_info=error)
            return
        turn, query = _turn(update), update.callback_query
        text_key, arguments = self._explained(update, error)
        language = turn.language if turn else FALLBACK_LANGUAGE
        html = self._error_text(text_key, language, arguments)
        if query:
            await self._answer(query, to_plain(html), alert=True)
        elif turn and update.message and not isinstance(error, RecipientGoneError):
            await self._apologise(turn, Message(html=str(html)))

    def _error_text(self, key: str, language: str, arguments: Mapping[str, object]) -> Html:
        try:
            return self._services.conversation.texts.render(key, language, **arguments)
        except (KeyError, TypeError):
            log.exception("error_text_broken", key=key, arguments=sorted(arguments))
            return self._services.conversation.texts.render(UNEXPECTED_TEXT, language)

    def _explained(self, update: Update, error: Exception | None) -> tuple[str, Mapping[str, object]]:
        user_id = update.effective_user.id if update.effective_user else None
        context = {"update_id": update.update_id, "user_id": user_id}
        match error:
            case UserFacingError():
                log.info("update_refused", key=error.key, arguments=error.arguments, **context)
                return error.key, error.arguments
            case FloodError():
                log.warning("update_unanswered", reason=str(error), **context)
                return TRANSIENT_TEXT, {}
            case RecipientGoneError():
                log.info("recipient_gone", reason=str(error), **context)
            case TransientError():
                log.warning("update_postponed", reason=str(error), kind=type(error).__name__, **context)
                return TRANSIENT_TEXT, {}
            case _:
                log.error("update_failed", update=update.to_dict(), exc_info=error, **context)
        return UNEXPECTED_TEXT, {}

    async def _apologise(self, turn: Turn, message: Message) -> None:
        try:
            await self._services.conversation.telegram.send(turn.chat_id, message)
        except DeliveryError as error:
            log.warning("error_not_reported", user_id=turn.user_id, reason=str(error))

    async def _answer(self, query: CallbackQuery, text: str | None, *, alert: bool = False) -> None:
        shown = text and cut(text, MAX_CALLBACK_ANSWER_UTF16)
        try:
            await self._services.conversation.telegram.answer(query.id, shown, alert=alert)
        except DeliveryError as error:
            # The spinner ends by itself; answering again could answer twice.
            log.warning("tap_not_answered", user_id=query.from_user.id, reason=str(error))


def _group_turn(update: Update) -> Turn | None:
    """Read who gave a command in which group; `None` in a private chat."""
    user, chat, message = update.effective_user, update.effective_chat, update.message
    if user is None or chat is None or message is None or chat.type == ChatType.PRIVATE:
        return None
    thread_id = message.message_thread_id if message.is_topic_message else None
    return Turn(
        user_id=user.id,
        chat_id=chat.id,
        name=_writable(user.full_name),
        language=user.language_code or FALLBACK_LANGUAGE,
        text=_writable(message.text or ""),
        group=GroupChat(chat_id=chat.id, thread_id=thread_id, title=_writable(chat.title or "")),
    )


def _turn(update: Update) -> Turn | None:
    """Read who did what; `None` outside private chats."""
    user, chat = update.effective_user, update.effective_chat
    if user is None or chat is None or chat.type != ChatType.PRIVATE:
        return None
    tapped = update.callback_query.message if update.callback_query else None
    return Turn(
        user_id=user.id,
        chat_id=chat.id,
        name=_writable(user.full_name),
        language=user.language_code or FALLBACK_LANGUAGE,
        text=_writable(update.message.text or "") if update.message else "",
        menu_id=tapped.message_id if tapped else None,
    )


def _writable(text: str | None) -> str:
    """Replace halves of surrogate pairs, which JSON can say but no encoding can write.

    A deleted account has no name, whatever PTB promises.
    """
    return (text or "").encode("utf-8", "replace").decode()
