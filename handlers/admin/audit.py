"""What admins did, for admins: in pages, by admin or person, and as a file."""

from __future__ import annotations

from typing import Final

from domain.admins.deeds import Deed
from handlers.admin.admin_buttons import AskAuditPerson, ChooseAdmin, SendAudit, ShowAudit, ShowPersonAudit
from handlers.admin.people.buttons import ShowUser
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import DeliveryError, UserFacingError
from services.administration.audit import AuditService, Whose
from services.administration.audit_file import AuditFile
from services.administration.people import PeopleService
from texts.markup import Html

PER_PAGE: Final = 6
CHOICES: Final = 20
PERSON: Final = "audit_person"
"""Kind of question."""
_SIGNS: Final = {"begun": "❓", "done": "✅", "refused": "✗", "failed": "⚠️"}
_MAX_ID: Final = 2**53


class AdminAuditMixin(BotBase):
    @command("audit", help="help.audit", admin="read_only", topic="bot")
    async def audit(self, turn: Turn) -> None:
        await self._show_audit(turn, ShowAudit(0, 0, 0))

    @callback(ShowAudit, admin="read_only")
    async def show_audit(self, turn: Turn, data: ShowAudit) -> None:
        await self._show_audit(turn, data)

    @callback(ShowPersonAudit, admin="read_only")
    async def show_person_audit(self, turn: Turn, data: ShowPersonAudit) -> None:
        await self._show_audit(turn, ShowAudit(0, data.user_id, data.page), is_of_card=True)

    async def _show_audit(self, turn: Turn, data: ShowAudit, *, is_of_card: bool = False) -> None:
        audit, whose = self.services.of(AuditService), _whose(data)
        page = Page.at(data.page, total=await audit.count(whose), per_page=PER_PAGE)
        found = await audit.page(whose, page.start, PER_PAGE)
        view = view_of(self.services, turn)
        lines = view.listed((_line(view, one) for one in found.deeds), "\n\n") or view.html("audit.nothing")
        of_whom = [view.html("audit.by", admin=data.admin_id)] if data.admin_id else []
        of_whom += [view.html("audit.about", user_id=data.user_id)] if data.user_id else []
        everybody = (view.button("button.audit_all", ShowAudit(0, 0, 0)),) if of_whom else ()

        def at_page(number: int) -> ShowAudit | ShowPersonAudit:
            if is_of_card:
                return ShowPersonAudit(data.user_id, number)
            return ShowAudit(data.admin_id, data.user_id, number)

        keyboard = (
            *page.turning(view, at_page),
            (view.button("button.audit_admin", ChooseAdmin()), view.button("button.audit_person", AskAuditPerson())),
            (*everybody, view.button("button.audit_file", SendAudit(data.admin_id, data.user_id))),
            *(((view.button("button.back", ShowUser(data.user_id)),),) if is_of_card else ()),
        )
        head = view.html("audit.main", count=f"{found.total:,}")
        await self.show(turn, message(head, *of_whom, lines, keyboard=keyboard))

    @callback(ChooseAdmin, admin="read_only")
    async def choose_audited(self, turn: Turn, _data: ChooseAdmin) -> None:
        view, subscribers = view_of(self.services, turn), self.services.subscribers.subscribers
        found = [(one, await subscribers.named(one)) for one in await self.services.of(AuditService).who(CHOICES)]
        buttons = (view.button("button.person", ShowAudit(one, 0, 0), name=name) for one, name in found)
        back = (view.button("button.back", ShowAudit(0, 0, 0)),)
        text = view.html("audit.whose" if found else "audit.nothing")
        await self.show(turn, message(text, keyboard=(*in_rows(buttons, 2), back)))

    @callback(AskAuditPerson, admin="read_only")
    async def ask_audit_person(self, turn: Turn, _data: AskAuditPerson) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, PERSON, "")
        back = (view.button("button.back", ShowAudit(0, 0, 0)),)
        await self.show(turn, message(view.html("audit.ask"), keyboard=(back,)))

    @text_input(PERSON, admin="read_only", forwards=True)
    async def typed_audit_person(self, turn: Turn, _payload: str) -> None:
        """Whoever was deleted is found by their id."""
        typed = turn.text.strip()
        try:
            if turn.points_at is None and typed.isdecimal() and int(typed) < _MAX_ID:
                user_id = int(typed)
            else:
                user_id = (await self.services.of(PeopleService).one_meant(typed, turn.points_at)).user_id
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_audit(turn, ShowAudit(0, user_id, 0))

    @callback(SendAudit, admin="read_only")
    async def send_audit(self, turn: Turn, data: SendAudit) -> str:
        view = view_of(self.services, turn)
        caption = str(view.html("audit.caption"))
        try:
            count = await self.services.of(AuditFile).send(turn.chat_id, _whose(data), caption)
        except DeliveryError as error:
            raise UserFacingError("audit.not_sent") from error
        return view.plain("value.audit_sent" if count else "value.audit_empty", count=f"{count:,}")


def _whose(data: ShowAudit | SendAudit) -> Whose:
    if not (0 <= data.admin_id < _MAX_ID and 0 <= data.user_id < _MAX_ID):
        raise UserFacingError("callback.stale")
    return Whose(admin_id=data.admin_id or None, user_id=data.user_id or None)


def _line(view: View, one: Deed) -> Html:
    return view.html(
        "audit.line",
        sign=_SIGNS[one.outcome],
        at=f"{one.at:%d %b %H:%M:%S}",
        admin=one.admin_id,
        role=view.label("role", one.role),
        action=one.action,
        whom=one.user_id or "–",
        details=one.details,
        said=one.said,
    )
