"""Reports sent now: to oneself to try, to one person, to those who get it, or to everybody."""

from __future__ import annotations

from typing import Final

from domain.reports.times import report_name
from domain.subscribers.subscriber import REPORTS, ReportName
from handlers.admin.running.buttons import (
    AskReportAll,
    AskReportPerson,
    ChooseReport,
    SendReport,
    SendReportAll,
    ShowSending,
    TestReport,
)
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.administration.people import PeopleService
from services.reports.sending import SEGMENTS, ReportSending, Segment

WHOM: Final = "report_whom"
"""Kind of question; the payload is the packed data of the button that asked."""


class AdminReportsMixin(BotBase):
    @command("send_report", help="help.send_report", admin="read_only", topic="calls")
    async def send_report(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        buttons = (
            view.button("button.report_choose", ChooseReport(one), report=view.label("report_name", one))
            for one in REPORTS
        )
        await self.show(turn, message(view.html("sending.main"), keyboard=in_rows(buttons, 2)))

    @callback(ShowSending, admin="read_only")
    async def show_sending(self, turn: Turn, _data: ShowSending) -> None:
        await self.send_report(turn)

    @callback(ChooseReport, admin="read_only")
    async def choose_report(self, turn: Turn, data: ChooseReport) -> None:
        report, view = _report(data.report), view_of(self.services, turn)
        to_many = (view.button(f"button.report.{one}", AskReportAll(report, one)) for one in SEGMENTS)
        keyboard = (
            (
                view.button("button.report_test", TestReport(report)),
                view.button("button.report_person", AskReportPerson(report)),
            ),
            *in_rows(to_many, 1),
            (view.button("button.back", ShowSending()),),
        )
        text = view.html("sending.whom", report=view.label("report_name", report))
        await self.show(turn, message(text, keyboard=keyboard))

    @callback(TestReport, admin="support", acts="test report")
    async def test_report(self, turn: Turn, data: TestReport) -> str:
        put = await self.services.of(ReportSending).to_person(_report(data.report), turn.user_id)
        return view_of(self.services, turn).plain("value.report_put" if put else "value.report_none")

    @callback(AskReportPerson, admin="support")
    async def ask_report_person(self, turn: Turn, data: AskReportPerson) -> None:
        report, view = _report(data.report), view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, WHOM, data.pack())
        back = (view.button("button.back", ChooseReport(report)),)
        await self.show(turn, message(view.html("sending.ask_person"), keyboard=(back,)))

    @text_input(WHOM, admin="support", forwards=True)
    async def typed_report_person(self, turn: Turn, payload: str) -> None:
        report, view = _report(AskReportPerson.unpack(payload).report), view_of(self.services, turn)
        try:
            who = await self.services.of(PeopleService).one_meant(turn.text, turn.points_at)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        told = {"report": view.label("report_name", report), "name": who.name, "user_id": who.user_id}
        yes, back = SendReport(report, who.user_id), ChooseReport(report)
        text = view.html("sending.sure_person", **told)
        await self.reply(
            turn, await asked_twice(self.services, turn, text, yes_key="button.report_yes", yes=yes, back=back)
        )

    @callback(SendReport, admin="support", acts="send report", confirmed=True)
    async def send_report_to(self, turn: Turn, data: SendReport) -> str:
        report = _report(data.report)
        put = await self.services.of(ReportSending).to_person(report, data.user_id)
        return view_of(self.services, turn).plain("value.report_put" if put else "value.report_none")

    @callback(AskReportAll, admin="owner")
    async def ask_report_all(self, turn: Turn, data: AskReportAll) -> None:
        report, segment, view = _report(data.report), _segment(data.whom), view_of(self.services, turn)
        count = await self.services.of(ReportSending).count(report, segment)
        text = view.html("sending.sure_all", report=view.label("report_name", report), count=f"{count:,}")
        yes, back = SendReportAll(report, segment), ChooseReport(report)
        asked = await asked_twice(self.services, turn, text, yes_key="button.report_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(SendReportAll, admin="owner", acts="send report to many", confirmed=True)
    async def send_report_to_all(self, turn: Turn, data: SendReportAll) -> str:
        report, segment = _report(data.report), _segment(data.whom)
        count = await self.services.of(ReportSending).to_many(report, segment)
        await self.send_report(turn)
        return view_of(self.services, turn).plain("value.report_due", count=f"{count:,}")


def _report(name: str) -> ReportName:
    report = report_name(name)
    if report is None:
        raise UserFacingError("callback.stale")
    return report


def _segment(name: str) -> Segment:
    if name not in SEGMENTS:
        raise UserFacingError("callback.stale")
    return name
