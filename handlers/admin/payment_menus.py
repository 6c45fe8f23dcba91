"""What admins see of money: what waits, what was found, and a card for an invoice and for an arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.payments.amounts import STARS, show_paid
from domain.payments.invoices import Arrival, Assessment
from domain.payments.stars import PREFIX
from domain.stored.payments import ArrivalRecord, InvoiceFile
from handlers.admin.buttons import (
    AskInvoice,
    AskRuling,
    AskSearch,
    CompareNow,
    ShowArrival,
    ShowDifferences,
    ShowInvoice,
    ShowPayments,
    ShowPerson,
    ShowWaiting,
)
from handlers.conversation.base import Services
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.conversation.pages import Page
from runtime.errors import UserFacingError
from services.payments.group import SettlingServices
from services.payments.invoices import standing
from services.payments.settling.search import Found, Overview, PaymentSearch, Waiting, Which, signature_in
from texts.markup import Html, join

PER_PAGE: Final = 6
PER_CARD: Final = 10
"""Arrivals on the card of an invoice, the latest ones."""
MAX_PAGE: Final = 100_000
PER_ROW: Final = 2
TRANSACTION_URL: Final = "https://solscan.io/tx/{signature}"
ACTIONS: Final = ("settle", "dismiss", "refund", "returned")


def main(view: View, overview: Overview) -> Message:
    differ = sum(overview.differences.values())
    sources = ", ".join(f"{view.plain(f'paying.source.{one}')}: {n}" for one, n in overview.differences.items())
    unmatched, of_invoices = overview.waiting["unmatched"], overview.waiting["invoices"]
    text = view.html(
        "paying.main",
        open=f"{overview.open_invoices:,}",
        unmatched=f"{unmatched:,}",
        waiting=f"{of_invoices:,}",
        differences=sources or "0",
    )
    return message(
        text,
        view.html("paying.hint"),
        keyboard=(
            (
                view.button("button.pay_unmatched", ShowWaiting("unmatched", 0), count=f"{unmatched:,}"),
                view.button("button.pay_invoices", ShowWaiting("invoices", 0), count=f"{of_invoices:,}"),
            ),
            (
                view.button("button.pay_differences", ShowDifferences(0), count=f"{differ:,}"),
                view.button("button.pay_search", AskSearch()),
            ),
            (view.button("button.pay_compare", CompareNow()), view.button("button.refresh", ShowPayments())),
        ),
    )


async def waiting(view: View, search: PaymentSearch, which: Which, page: Page, found: Waiting) -> Message:
    lines = [_line(view, number, record) for number, record in enumerate(found.records, 1)]
    listed = view.listed(lines, "\n\n") if lines else view.html("paying.none_waiting")
    return message(
        view.html(f"paying.waiting.{which}", count=f"{found.total:,}", payments=listed),
        keyboard=(
            *await _to_arrivals(view, search, found.records),
            *page.turning(view, lambda number: ShowWaiting(which, number)),
            (view.button("button.back", ShowPayments()),),
        ),
    )


async def differences(view: View, search: PaymentSearch, asked: int) -> Message:
    found = await search.differences()
    page = Page.at(asked, total=len(found), per_page=PER_PAGE)
    shown = page.of(found)
    lines = [
        view.html(
            "paying.difference",
            number=number,
            source=view.plain(f"paying.source.{one.source}"),
            what=view.label("pay_differs", one.what),
            key=one.key,
            detail=one.detail,
        )
        for number, one in enumerate(shown, 1)
    ] or [view.html("paying.none_differ")]
    buttons = [
        view.button("button.pay_number", ShowArrival(await search.handle_of(one.key)), number=number)
        for number, one in enumerate(shown, 1)
    ]
    return message(
        view.html("paying.differences", count=f"{len(found):,}", differences=view.listed(lines, "\n\n")),
        keyboard=(
            *in_rows(buttons, PER_ROW),
            *page.turning(view, ShowDifferences),
            (view.button("button.back", ShowPayments()),),
        ),
    )


async def found(view: View, services: Services, found: Found, typed: str, back: CallbackData) -> Message:
    """Show what was found: the one thing itself, or a list of what it may be."""
    search = services.of(SettlingServices).search
    if len(found.invoices) == 1 and not found.arrivals:
        return await invoice(view, services, found.invoices[0], back)
    if len(found.arrivals) == 1 and not found.invoices:
        return await arrival(view, services, found.arrivals[0])
    to_back = ((view.button("button.back", back),),)
    if not (found.invoices or found.arrivals or found.people):
        return message(view.html("paying.nothing", typed=typed), view.html("paying.hint"), keyboard=to_back)
    now = services.conversation.clock()
    lines = [_invoice_line(view, file, standing(file, now)) for file in found.invoices]
    lines += [_line(view, number, record) for number, record in enumerate(found.arrivals, 1)]
    lines += [view.html("paying.person", name=one.name, user_id=one.user_id) for one in found.people]
    buttons = [_to_invoice(view, file.invoice.id) for file in found.invoices]
    people = [view.button("button.pay_person", ShowPerson(one.user_id), name=one.name) for one in found.people]
    return message(
        view.html("paying.found", typed=typed, found=view.listed(lines, "\n\n")),
        keyboard=(
            *in_rows(buttons, PER_ROW),
            *await _to_arrivals(view, search, found.arrivals),
            *in_rows(people, PER_ROW),
            *to_back,
        ),
    )


async def invoice(view: View, services: Services, file: InvoiceFile, back: CallbackData | None = None) -> Message:
    search, stands = services.of(SettlingServices).search, standing(file, services.conversation.clock())
    one = file.invoice
    latest, earlier = file.records[-PER_CARD:], len(file.records[:-PER_CARD])
    came = [_line(view, number, record) for number, record in enumerate(latest, 1)]
    came += [view.html("list.more", count=earlier)] if earlier else []
    text = view.html(
        "paying.invoice",
        id=one.id,
        name=await search.name_of(one.user_id) or "?",
        user_id=one.user_id,
        plan=view.label("plan", one.plan),
        days=one.days,
        price=f"${one.price_usd:,.2f}",
        amount=show_paid(one.amount, one.asset),
        asset=_asset(one.asset),
        method=view.label("pay_method", one.method),
        made=f"{one.created_at:%d %b %H:%M}",
        ends=f"{one.expires_at:%d %b %H:%M}",
        state=view.plain(
            f"paying.state.{stands.state}",
            received=show_paid(stands.received, one.asset),
            pending=show_paid(stands.pending, one.asset),
            missing=show_paid(stands.missing, one.asset),
            excess=show_paid(stands.excess, one.asset),
            asset=_asset(one.asset),
        ),
    )
    return message(
        text,
        view.html("paying.needs_admin") if stands.needs_admin else Html(),
        view.listed(came, "\n\n") if came else view.html("paying.nothing_came"),
        keyboard=(
            *await _to_arrivals(view, search, latest),
            (
                view.button("button.pay_payer", ShowPerson(one.user_id)),
                view.button("button.back", back or ShowPayments()),
            ),
        ),
    )


async def arrival_by(view: View, services: Services, handle: str, note: Html | None = None) -> Message:
    """Show the arrival that a button means. Raises `UserFacingError` where there is none."""
    search = services.of(SettlingServices).search
    record = await search.record(await search.key_of(handle))
    if record is None:
        raise UserFacingError("paying.arrival_unknown")
    return await arrival(view, services, record, note)


async def arrival(view: View, services: Services, record: ArrivalRecord, note: Html | None = None) -> Message:
    search, came = services.of(SettlingServices).search, record.arrival
    file = await search.file(record.invoice_id) if record.invoice_id else None
    text = view.html(
        "paying.arrival",
        amount=show_paid(came.amount, came.asset),
        asset=_asset(came.asset),
        key=came.key,
        at=f"{came.at:%d %b %Y %H:%M:%S}",
        state=_state(view, record),
    )
    if record.note:
        text = join("\n", (text, view.html("paying.note", note=record.note)))
    whose = view.html("paying.unmatched")
    if file:
        name = await search.name_of(file.invoice.user_id) or "?"
        whose = view.html("paying.counts_for", id=file.invoice.id, name=name, user_id=file.invoice.user_id)
    handle = await search.handle_of(came.key)
    stands = standing(file, services.conversation.clock()) if file else None
    meant = await search.meant(record) if record.invoice_id is None else []
    actions = _actions(view, record, handle, stands, meant)
    links: list[Button] = [_to_invoice(view, file.invoice.id)] if file else []
    if came.key.startswith("solana:") and (signature := signature_in(came.key)):
        links.append(Button(text=view.plain("button.pay_solscan"), url=TRANSACTION_URL.format(signature=signature)))
    back = (view.button("button.back", ShowPayments()),)
    return message(note or Html(), text, whose, keyboard=(*in_rows(actions, PER_ROW), *in_rows(links, PER_ROW), back))


def _actions(
    view: View, record: ArrivalRecord, handle: str, stands: Assessment | None, meant: Sequence[str]
) -> Iterable[Button]:
    """Return what may be decided of it, as far as that makes sense now."""
    came = record.arrival
    if came.refunded or came.stage != "final":
        return
    if record.invoice_id is None:
        for one in meant:
            yield view.button("button.pay_settle", AskRuling("settle", handle, one), id=one)
        yield view.button("button.pay_settle_for", AskInvoice(handle))
    elif stands and stands.needs_admin and came.ruling != "accepted":
        yield view.button("button.pay_settle", AskRuling("settle", handle, record.invoice_id), id=record.invoice_id)
    if came.ruling is None and (stands is None or stands.needs_admin):
        yield view.button("button.pay_dismiss", AskRuling("dismiss", handle, ""))
    action = "refund" if came.key.startswith(PREFIX) else "returned"
    yield view.button(f"button.pay_action.{action}", AskRuling(action, handle, ""))


async def asked(view: View, services: Services, data: AskRuling) -> Html:
    """Return the question whether something is meant. Raises `UserFacingError` where it cannot be done."""
    if data.action not in ACTIONS:
        raise UserFacingError("callback.stale")
    search, settling = services.of(SettlingServices).search, services.of(SettlingServices).settling
    record = await settling.record(await search.key_of(data.handle))
    told: dict[str, object] = {**_of(record)}
    invoice_id = data.invoice_id if data.action == "settle" else record.invoice_id
    if not invoice_id:
        return view.html(f"paying.ask.{data.action}", **told, takes=Html())
    one = (await settling.file(invoice_id)).invoice
    name = await search.name_of(one.user_id) or "?"
    told |= {"id": one.id, "name": name, "user_id": one.user_id, "days": one.days, "plan": view.label("plan", one.plan)}
    takes = view.html("paying.takes", **told)
    return view.html(f"paying.ask.{data.action}", **told, takes=takes)


def _line(view: View, number: int, record: ArrivalRecord) -> Html:
    came = record.arrival
    return view.html(
        "paying.line",
        number=number,
        amount=show_paid(came.amount, came.asset),
        asset=_asset(came.asset),
        at=f"{came.at:%d %b %H:%M}",
        invoice=record.invoice_id or view.plain("paying.no_invoice"),
        state=_state(view, record),
    )


def _invoice_line(view: View, file: InvoiceFile, stands: Assessment) -> Html:
    one = file.invoice
    return view.html(
        "paying.invoice_line",
        id=one.id,
        amount=show_paid(one.amount, one.asset),
        asset=_asset(one.asset),
        made=f"{one.created_at:%d %b %Y}",
        state=view.plain(f"invoices.state.{stands.state}"),
    )


def _state(view: View, record: ArrivalRecord) -> str:
    came = record.arrival
    state = "refunded" if came.refunded else came.ruling or came.stage
    by = view.plain("paying.by", admin=record.settled_by) if record.settled_by is not None else ""
    return " ".join(filter(None, (view.plain(f"paying.came.{state}"), by)))


async def _to_arrivals(view: View, search: PaymentSearch, records: Sequence[ArrivalRecord]) -> Keyboard:
    buttons = [
        view.button(
            "button.pay_arrival", ShowArrival(await search.handle_of(one.arrival.key)), number=number, **_of(one)
        )
        for number, one in enumerate(records, 1)
    ]
    return in_rows(buttons, PER_ROW)


def _of(record: ArrivalRecord) -> dict[str, str]:
    came: Arrival = record.arrival
    return {"amount": show_paid(came.amount, came.asset), "asset": _asset(came.asset)}


def _to_invoice(view: View, invoice_id: str) -> Button:
    return view.button("button.pay_invoice", ShowInvoice(invoice_id), id=invoice_id)


def _asset(code: str) -> str:
    return "⭐" if code == STARS.code else code
