"""The first words, and whether a person can be written to at all."""

from __future__ import annotations

from msgspec.structs import replace

from domain.channels.names import bot_started
from domain.delivery.quiet import shown_time
from domain.payments.plans import TRIAL
from domain.posts.pasted import tokens_in
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import command, membership, recognised
from handlers.delivery.standing import subscriber_state
from handlers.filters.buttons import AddSet, ApplyPreset, ShowSettings
from handlers.filters.preset_menus import preset_keyboard, presets_at_a_glance
from handlers.filters.sharing_menus import preview
from runtime.errors import UserFacingError
from services.subscribers.sharing import PAYLOAD_PREFIX
from services.subscribers.subscribers import Opened
from texts.markup import Html


def _link_to_a_bot(text: str) -> str | None:
    """Return name and payload. Where the payload is a token's address, that is what is meant."""
    named = None if tokens_in(text) else bot_started(text)
    return " ".join(named) if named else None


class StartMixin(BotBase):
    @command("start", help="help.start", takes=True)
    async def start(self, turn: Turn) -> None:
        opened = await self.services.subscribers.subscribers.open(
            user_id=turn.user_id, chat_id=turn.chat_id, name=turn.name, language=turn.language
        )
        opened = await self._with_plan(opened)
        payload = turn.text.partition(" ")[2].strip()
        if payload.startswith(PAYLOAD_PREFIX):
            await self._open_shared(turn, opened, payload.removeprefix(PAYLOAD_PREFIX))
        elif opened.created:
            await self._greet(turn, opened)
        else:
            await self._welcome_back(turn, opened)

    @recognised(_link_to_a_bot, goes_on=False)
    async def start_linked(self, turn: Turn, link: str) -> None:
        """A link to this bot, pasted, does what it does when it is tapped."""
        bot, _, payload = link.partition(" ")
        own = self.services.conversation.bot_username()
        if bot == f"@{own.lower()}":
            await self.start(replace(turn, text=f"/start {payload}"))
        else:
            await self.reply(turn, message(view_of(self.services, turn).html("start.other_bot", bot=bot)))

    async def _with_plan(self, opened: Opened) -> Opened:
        """Whose plan has ended may have got the free tier since."""
        now, subscriber = self.services.conversation.clock(), opened.subscriber
        if opened.created or subscriber.has_plan_at(now):
            return opened
        applied = await self.services.plans.entitling.apply(subscriber.user_id)
        return Opened(applied or subscriber, created=False)

    async def _greet(self, turn: Turn, opened: Opened) -> None:
        view = view_of(self.services, turn)
        presets = self.services.subscribers.presets.all()
        begin = _begin(self.services, view, opened.subscriber)
        welcome = view.html("start.new", name=turn.name, begin=begin, presets=presets_at_a_glance(view, presets))
        own = view.button("button.own_filter", AddSet())
        keyboard = (*preset_keyboard(view, presets, ApplyPreset), (own,))
        await self.reply(turn, message(welcome, keyboard=keyboard))

    async def _welcome_back(self, turn: Turn, opened: Opened) -> None:
        view = view_of(self.services, turn)
        state = await subscriber_state(self.services, view, opened.subscriber)
        settings = view.button("button.settings", ShowSettings())
        welcome = view.html("start.back", name=turn.name, state=state)
        await self.reply(turn, message(welcome, keyboard=((settings,),)))

    async def _open_shared(self, turn: Turn, opened: Opened, code: str) -> None:
        """Preview the set behind a link; a newcomer whose link leads nowhere is greeted as any other."""
        view = view_of(self.services, turn)
        try:
            shared = await self.services.subscribers.sharing.open(code)
        except UserFacingError as error:
            await self.reply(turn, message(view.html(error.key, **error.arguments)))
            if opened.created:
                await self._greet(turn, opened)
            return
        begin = _begin(self.services, view, opened.subscriber)
        own = view.html("share.own") if shared.creator_id == turn.user_id else None
        note = view.html("share.welcome", name=turn.name, begin=begin) if opened.created else own
        await self.reply(turn, preview(view, shared, note))

    @membership
    async def membership_changed(self, turn: Turn, reachable: bool) -> None:  # noqa: FBT001 - a route's argument
        await self.services.subscribers.subscribers.set_unreachable(turn.user_id, unreachable=not reachable)


def _begin(services: Services, view: View, subscriber: Subscriber) -> Html:
    """Say what the bot does, and what they have: who was deleted gets back what was kept for them."""
    status = services.plans.subscriptions.status(subscriber)
    if status.ends_at is None or not status.days_left:
        had_trial = subscriber.paid_until is not None
        return view.html("start.begin.had_trial" if had_trial else "start.begin.no_trial")
    until = shown_time(status.ends_at, subscriber.preferences.time_zone)
    plan = view.label("plan", status.plan)
    key = "start.begin.trial" if status.plan == TRIAL else "start.begin.plan"
    return view.html(key, days=status.days_left, plan=plan, until=until)
