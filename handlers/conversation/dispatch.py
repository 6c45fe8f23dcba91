"""From a Telegram update to the one method that answers it, and from an error to a sentence.

Only private chats are answered, and commands that are open to groups; of the others a group is told where they belong
(`groups.py`). Only new messages are done (an edited one would run its command twice: that edits are not followed is
said), and every tap on a button is answered exactly once, but for those that somebody has too many of. A command or a
tap withdraws the question that was asked last, but for a tap `aside`, below alerts and the like.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, cast

import structlog
from msgspec.structs import replace
from telegram import CallbackQuery, ChatMember, Update
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

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from domain.payments.stars import PreCheckout
from domain.reading.typed import clip
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.edits import Edits
from handlers.conversation.groups import ELSEWHERE_TEXT, OPEN_CHAT_TEXT, GroupAnswers
from handlers.conversation.guard import Guard, Sure
from handlers.conversation.routing import CallbackRoute, CommandRoute, InputRoute, Routes, collect
from handlers.conversation.second_taps import SecondTaps
from handlers.conversation.turns import group_turn, private_turn
from managers.telegram.payment_lane import Money
from managers.telegram.updates import Excess
from runtime.errors import (
    DeliveryError,
    FloodError,
    RecipientGoneError,
    TransientError,
    UnreadableError,
    UserFacingError,
)
from texts.markup import MAX_CALLBACK_ANSWER_UTF16, Html, cut, to_plain
from texts.renderer import FALLBACK_LANGUAGE

log = structlog.get_logger(__name__)

Context = ContextTypes.DEFAULT_TYPE
AnyApplication = Application[Any, Any, Any, Any, Any, Any]

PRIVATE_MESSAGE = filters.UpdateType.MESSAGE & filters.ChatType.PRIVATE
GROUP_MESSAGE = filters.UpdateType.MESSAGE & filters.ChatType.GROUPS
EDITED_MESSAGE = filters.UpdateType.EDITED_MESSAGE & filters.ChatType.PRIVATE
GROUP_OR_PRIVATE_MESSAGE = filters.UpdateType.MESSAGE & (filters.ChatType.PRIVATE | filters.ChatType.GROUPS)
TRANSIENT_TEXT = "error.transient"
UNEXPECTED_TEXT = "error.unexpected"
UNREADABLE_TEXT = "error.unreadable"
UNREADABLE_OTHER_TEXT = "error.unreadable_other"
STALE_TEXT = "callback.stale"
LEFT_TEXT = "command.left"
HURRY_TEXT = "error.too_much_at_once"
QUICK_TEXT = "callback.too_quick"
EDITED_TEXT = "error.edited"
ERROR_TEXTS = (
    TRANSIENT_TEXT,
    UNEXPECTED_TEXT,
    UNREADABLE_TEXT,
    UNREADABLE_OTHER_TEXT,
    STALE_TEXT,
    LEFT_TEXT,
    HURRY_TEXT,
    QUICK_TEXT,
    ELSEWHERE_TEXT,
    OPEN_CHAT_TEXT,
    EDITED_TEXT,
)
_GONE = frozenset({ChatMember.BANNED, ChatMember.LEFT})


class Dispatcher:
    """Carries updates of a PTB application to the methods of a composed bot."""

    def __init__(self, bot: BotBase, *, double_tap_s: float = 0.0) -> None:
        """`double_tap_s`: so long a tap does nothing on a button that has only just come where another was."""
        self._bot = bot
        self._second_taps = SecondTaps(double_tap_s)
        self._edits = Edits()
        self._services = bot.services
        self.routes: Routes = collect(type(bot))
        self._guard = Guard(bot.services.conversation, self.routes)
        self._groups = GroupAnswers(bot.services)

    def install(self, application: AnyApplication) -> None:
        """Register every route. Raises `FatalError` when a route's text is missing."""
        helps = (route.help for route in self.routes.commands.values())
        self._services.conversation.texts.check((*helps, *ERROR_TEXTS))
        application.add_handler(TypeHandler(Update, self._let_in), group=-1)
        for route in self.routes.commands.values():
            where = GROUP_OR_PRIVATE_MESSAGE if route.groups else PRIVATE_MESSAGE
            application.add_handler(CommandHandler(route.name, self._command(route), where))
        application.add_handler(CommandHandler(self._private_commands(), self._elsewhere, GROUP_MESSAGE))
        application.add_handler(CallbackQueryHandler(self._tapped))
        application.add_handler(ChatMemberHandler(self._membership, ChatMemberHandler.MY_CHAT_MEMBER))
        application.add_handler(MessageHandler(PRIVATE_MESSAGE & ~filters.StatusUpdate.ALL, self._said))
        application.add_handler(MessageHandler(EDITED_MESSAGE, self._edited))
        application.add_handler(TypeHandler(Excess, self._hurried))
        application.add_handler(TypeHandler(PreCheckout, self._checked_out))
        application.add_handler(TypeHandler(Money, self._paid))
        application.add_error_handler(self._failed)

    def _private_commands(self) -> list[str]:
        """Everybody's: of an admin's a group learns nothing."""
        known = self.routes.where(self._services.find).commands.values()
        return [route.name for route in known if route.admin is None and not route.groups]

    async def _elsewhere(self, update: Update, _context: Context) -> None:
        turn = group_turn(update)
        if turn is not None:
            await self._groups.say_where(turn)

    def _command(self, route: CommandRoute) -> Callable[[Update, Context], Coroutine[Any, Any, None]]:
        async def commanded(update: Update, _context: Context) -> None:
            turn = (group_turn(update) if route.groups else None) or private_turn(update)
            if turn is None:
                return
            lacks = route.needs is not None and self._services.find(route.needs) is None
            entered = None if lacks else self._guard.entered(turn, route)
            if entered is None:
                await self._otherwise(turn)
                return
            self._note(turn, f"/{route.name}")
            await self._withdraw_question(turn)
            await self._say_left_out(entered, route)
            await getattr(self._bot, route.method)(entered)

        return commanded

    async def _say_left_out(self, turn: Turn, route: CommandRoute) -> None:
        """Name what was typed after a command that reads nothing of it."""
        left = turn.text.split(maxsplit=1)[1:]
        if left and not route.takes and turn.group is None:
            words = self._services.conversation.texts.render(
                LEFT_TEXT, turn.language, command=route.name, typed=clip(left[0])
            )
            await self._bot.reply(turn, Message(html=str(words)))

    async def _said(self, update: Update, _context: Context) -> None:
        turn = private_turn(update)
        if turn is None:
            return
        is_text = bool(turn.text) and not turn.text.startswith("/")
        if is_text or turn.is_forwarded or turn.points_at is not None:
            expected = await self._services.conversation.inputs.take(turn.user_id)
            route = self.routes.inputs.get(expected.kind) if expected else None
            if expected and route and await self._answered(route, turn, expected.payload):
                return
        if turn.forwards_post and await self._recognised(turn, turn.forwards_post):
            return
        if is_text and await self._recognised(turn, turn.text):
            return
        await self._otherwise(turn)

    async def _answered(self, route: InputRoute, turn: Turn, payload: str) -> bool:
        """Let a question be answered; `False` where this is no answer to it."""
        if route.forwards and turn.is_forwarded:
            # It says who is meant. What it says is somebody else's word, and nothing is done by it.
            turn = replace(turn, is_forwarded=False, text="")
        elif not turn.text or turn.text.startswith("/") or (route.unless and route.unless(turn.text)):
            return False
        entered = self._guard.entered(turn, route)
        if entered is None:
            return False
        self._note(turn, "answer", route.kind)

        async def answer(turn: Turn) -> None:
            await getattr(self._bot, route.method)(turn, payload)

        await self._guard.perform(route, entered, payload, answer)
        return True

    async def _recognised(self, turn: Turn, text: str) -> bool:
        for route in self.routes.texts:
            lacks = route.needs is not None and self._services.find(route.needs) is None
            found = None if lacks else route.recognise(text)
            if found is not None:
                self._guard.require_open(route)
                self._note(turn, "answer", route.method)
                await getattr(self._bot, route.method)(turn, found)
                return True
        return False

    async def _tapped(self, update: Update, _context: Context) -> None:
        turn, query = private_turn(update), update.callback_query
        if query is None:
            return
        if turn is None:
            raise UserFacingError(STALE_TEXT)
        if self._second_taps.is_too_soon(query, self.routes.callbacks):
            await self._answer(query, self._services.conversation.texts.plain(QUICK_TEXT, turn.language))
            return
        turn, route, data = await self._meant(turn, query.data or "")
        self._note(turn, "tap", data.pack())
        if not route.aside:
            await self._withdraw_question(turn)

        async def tap(turn: Turn) -> str | None:
            return cast("str | None", await getattr(self._bot, route.method)(turn, data))

        try:
            toast = await self._guard.perform(route, turn, data, tap)
        finally:
            self._second_taps.note(query)
        await self._answer(query, toast)

    async def _meant(self, turn: Turn, data: str) -> tuple[Turn, CallbackRoute, CallbackData]:
        """Return what a button is for. `UserFacingError` for one that is foreign, stale, or for somebody else."""
        is_sure = data.partition(":")[0] == Sure.prefix
        if is_sure:
            turn, data = await self._confirmed(turn, data)
        route = self.routes.callbacks.get(data.partition(":")[0])
        entered = self._guard.entered(turn, route) if route else None
        if route is None or entered is None or route.confirmed != is_sure:
            raise UserFacingError(STALE_TEXT)
        return entered, route, route.data.unpack(data)

    async def _confirmed(self, turn: Turn, data: str) -> tuple[Turn, str]:
        """Return what was asked twice, with what they had typed for it."""
        if self._guard.role_of(turn) is None:
            raise UserFacingError(STALE_TEXT)
        meant = await self._services.conversation.confirmations.take(turn.user_id, Sure.unpack(data).token)
        if meant is None:
            raise UserFacingError("confirm.expired")
        return replace(turn, text=meant.text), meant.data

    async def _membership(self, update: Update, _context: Context) -> None:
        turn, change, route = private_turn(update), update.my_chat_member, self.routes.membership
        if turn and change and route:
            reachable = change.new_chat_member.status not in _GONE
            await getattr(self._bot, route.method)(turn, reachable)

    async def _checked_out(self, query: PreCheckout, _context: Context) -> None:
        if await self._guard.is_banned(query.user_id):
            log.info("checkout_of_banned", user_id=query.user_id)
        elif self.routes.checkout:
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
        if message and not await self._guard.is_banned(paid.user_id):
            turn = Turn(user_id=paid.user_id, chat_id=paid.user_id, name="", language=paid.language)
            await self._apologise(turn, message)

    async def _hurried(self, excess: Excess, _context: Context) -> None:
        """Say that something was left out, once for all that was.

        By a message even where they tapped: a tap may have waited too long to be answered. Spinners end by themselves.
        """
        turn = private_turn(excess.update)
        if turn is not None and not await self._guard.is_banned(turn.user_id):
            html = self._services.conversation.texts.render(HURRY_TEXT, turn.language)
            await self._apologise(turn, Message(html=str(html)))

    async def _edited(self, update: Update, _context: Context) -> None:
        turn, edited = private_turn(update), update.edited_message
        if turn is not None and edited is not None and self._edits.is_to_be_answered(edited):
            html = self._services.conversation.texts.render(EDITED_TEXT, turn.language)
            await self._apologise(turn, Message(html=str(html)))

    async def _otherwise(self, turn: Turn) -> None:
        if self.routes.otherwise:
            await getattr(self._bot, self.routes.otherwise.method)(turn)

    async def _let_in(self, update: Update, _context: Context) -> None:
        await self._guard.stop_banned(update)
        conversation, chat = self._services.conversation, update.effective_chat
        if chat and conversation.admins.role_of(chat.id) is not None:
            conversation.admin_wrote(chat.id)

    def _note(self, turn: Turn, what: str, detail: str = "") -> None:
        self._services.conversation.activity.note(turn.user_id, what, detail, turn.username)

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
        turn, query = private_turn(update), update.callback_query
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
            case UnreadableError():
                log.warning("update_unanswerable", reason=str(error), **context)
                is_own = error.user_id == user_id
                return (UNREADABLE_TEXT, {}) if is_own else (UNREADABLE_OTHER_TEXT, {"user_id": error.user_id})
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
