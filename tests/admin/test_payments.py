"""Payments as admins see and settle them in the chat, and as nobody else does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace as with_
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from solders.signature import Signature
from structlog.testing import capture_logs

from domain.buttons.data import CallbackData
from domain.payments.differences import Difference
from handlers.account.help import HelpMixin
from handlers.account.start import StartMixin
from handlers.admin import buttons
from handlers.admin.payments import AdminPaymentsMixin
from handlers.admin.settling import AdminSettlingMixin
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.conversation.routing import collect
from managers.storage.postgres import PostgresManager
from services.payments.group import SettlingServices
from services.payments.invoices import standing
from services.stores import keys
from services.subscribers.inputs import InputsService
from tests.conversation.conftest import Clock
from tests.conversation.reading import alert, button, only, toast, words
from tests.conversation.telegram_wire import (
    ADMIN_ID,
    AnyApplication,
    Person,
    RecordedConversation,
    Said,
    application,
)
from tests.conversation.wiring import services_of
from tests.payments.ledger_kit import START, Stores, came, invoice, stores_on
from tests.payments.settling.kit import Differ, file_of, settling_on
from tests.payments.settling.kit import given as given_to
from tests.texts.hostile import HOSTILE
from tests.texts.telegram_html import assert_harmless
from texts import Texts

OTHER_ID = 790
OURS, BACK = (str(Signature.from_bytes(bytes([n] * 64))) for n in (1, 2))
KEY = f"solana:{OURS}:SOL"


class PaymentsBot(AdminPaymentsMixin, AdminSettlingMixin, HelpMixin, StartMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


KINDS = {
    route.data.prefix: route.data
    for route in collect(PaymentsBot).callbacks.values()
    if route.admin and route.data.prefix.startswith("pay")
}


@pytest.fixture
async def stores(redis_url: str, postgres_manager: PostgresManager, clock: Clock) -> AsyncIterator[Stores]:
    clock.now = START
    async with stores_on(redis_url, postgres_manager, clock) as stores:  # pyright: ignore[reportArgumentType] - a clock is a clock
        yield stores


@pytest.fixture
def differ() -> Differ:
    return Differ()


@pytest.fixture
def services(stores: Stores, differ: Differ, clock: Clock, conversation: RecordedConversation) -> Services:
    services = services_of(
        inputs=InputsService(stores.redis),
        telegram=conversation,
        texts=Texts.load(),
        admin_chat_ids=frozenset({ADMIN_ID, OTHER_ID}),
        clock=clock,
    )
    return with_(services, groups={**services.groups, SettlingServices: settling_on(stores, differ)})


@pytest.fixture
async def app(services: Services) -> AsyncIterator[AnyApplication]:
    app = application()
    Dispatcher(PaymentsBot(services)).install(app)
    async with app:
        yield app


@pytest.fixture
def other(app: AnyApplication, conversation: RecordedConversation) -> Person:
    """Another admin."""
    return Person(app, conversation, OTHER_ID)


@pytest.fixture
async def unmatched(stores: Stores) -> Stores:
    """One invoice is open, and something fits none."""
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.41", KEY), None, note="for whom?")
    await stores.journal.drain_all()
    return stores


@pytest.fixture
async def paid(stores: Stores) -> Stores:
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.5", KEY), "INV1")
    await stores.journal.drain_all()
    return stores


async def card(admin: Person) -> list[Said]:
    return await admin.writes(f"/payments {OURS}")


async def question(admin: Person, label: str) -> list[Said]:
    return await admin.taps(button(await card(admin), label))


async def test_the_menu_counts_and_leads_everywhere(admin: Person, unmatched: Stores, differ: Differ) -> None:
    differ.found = [Difference(source="solana", what="not_recorded", key=KEY, detail="0.41 SOL")]
    said = await admin.writes("/payments")
    shown = words(said)
    assert all(part in shown for part in ("Open invoices: 1", "Fits no invoice: 1", "Differences: Solana: 1"))
    listed = await admin.taps(button(said, "Unmatched 1"))
    assert "0.41 SOL" in words(listed, "edited")
    assert "for whom?" in words(await admin.taps(button(listed, "1 · 0.41 SOL")), "edited")
    assert "Nothing here" in words(await admin.taps(button(said, "To settle 0")), "edited")
    differences = await admin.taps(button(said, "Differences 1"))
    assert all(part in words(differences, "edited") for part in ("not recorded here", KEY, "0.41 SOL"))
    assert KEY in words(await admin.taps(button(differences, "1")), "edited")
    assert "Open invoices" in words(await admin.taps(button(differences, "‹ Back")), "edited")
    await admin.taps(button(said, "🔎 Search"))
    assert "0.5 SOL" in words(await admin.writes("INV1"))
    assert await given_to(unmatched) == []


async def test_buttons_fit_a_phone(admin: Person, unmatched: Stores) -> None:
    for number in range(12):
        await unmatched.ledger.arrived(came("0.1", f"k{number}"), "INV1" if number % 2 else None)
    await unmatched.journal.drain_all()
    menu = await admin.writes("/payments")
    for said in (
        menu,
        await card(admin),
        await admin.writes("/payments INV1"),
        await admin.writes("/payments nothing of this name"),
        await admin.taps(button(menu, "Unmatched")),
        await question(admin, "🗑 Dismiss"),
    ):
        (message,) = [one.message for one in said if one.message]
        assert all(len(row) <= 2 for row in message.keyboard)
        assert all(
            len(line) <= 130 for line in (only(said, said[0].how).text or "").split("\n") if "/payments" not in line
        )


async def test_an_arrival_is_settled_by_typing_the_invoice_and_a_second_tap(admin: Person, unmatched: Stores) -> None:
    asked = await question(admin, "✅ For an invoice…")
    assert "For which invoice" in words(asked, "edited")
    assert "no invoice “WHAT”" in words(await admin.writes("WHAT"))
    sure = await admin.writes("inv1")
    assert all(part in words(sure) for part in ("0.41 SOL", "INV1", "30 days", "7"))
    assert await given_to(unmatched) == [], "nobody has tapped twice"
    with capture_logs() as logs:
        done = await admin.taps(button(sure, "Yes, settle"))
    assert "days were given" in (toast(done) or "")
    assert "settled by admin 789" in words(done, "edited")
    assert [(one["admin"], one["arrival"], one["invoice"]) for one in logs if one["event"] == "payment_settled"] == [
        (ADMIN_ID, KEY, "INV1")
    ]
    assert "was answered" in alert(await admin.taps(button(sure, "Yes, settle")))
    assert await given_to(unmatched) == [("invoice:INV1", 30)]


async def test_a_note_that_names_an_invoice_offers_it(admin: Person, stores: Stores) -> None:
    await stores.ledger.open(replace(invoice(), id="ABCD2345"), told_by_amount=True)
    await stores.ledger.arrived(came("0.41", KEY), None, note="from 7 for ABCD2345, or ZZZZ2345")
    await stores.journal.drain_all()
    said = await card(admin)
    assert [label for label in only(said, "sent").buttons if label.startswith("✅")] == [
        "✅ Settle ABCD2345",
        "✅ For an invoice…",
    ]
    asked = await admin.taps(button(said, "✅ Settle ABCD2345"))
    assert "days were given" in (toast(await admin.taps(button(asked, "Yes, settle"))) or "")


async def test_two_admins_with_the_same_question_settle_once(
    admin: Person, other: Person, unmatched: Stores, clock: Clock
) -> None:
    await unmatched.ledger.arrived(came("0.41", KEY), "INV1")
    await unmatched.journal.drain_all()
    clock.now += timedelta(hours=1)
    questions = [await question(person, "✅ Settle INV1") for person in (admin, other)]
    first = await admin.taps(button(questions[0], "Yes, settle"))
    second = await other.taps(button(questions[1], "Yes, settle"))
    assert "days were given" in (toast(first) or "")
    assert "Somebody has decided" in (toast(second) or "")
    assert await given_to(unmatched) == [("invoice:INV1", 30)]
    assert not standing(await file_of(unmatched, "INV1"), unmatched.clock.now).needs_admin


async def test_a_question_that_is_too_old_does_nothing(admin: Person, unmatched: Stores) -> None:
    await admin.taps(button(await card(admin), "✅ For an invoice…"))
    asked = await admin.writes("INV1")
    token = button(asked, "Yes, settle").partition(":")[2]
    await unmatched.redis.transaction([("PEXPIRE", keys.CONFIRMATION.of(ADMIN_ID, token), 0)])
    assert "too old" in alert(await admin.taps(button(asked, "Yes, settle")))
    assert await given_to(unmatched) == []


async def test_what_is_dismissed_leaves_the_list_with_its_note(admin: Person, other: Person, unmatched: Stores) -> None:
    asked = await question(admin, "🗑 Dismiss")
    yes = await admin.taps(button(asked, "Yes, dismiss"))
    assert "Send me a short note" in words(yes, "edited")
    assert len(await unmatched.ledger.unmatched()) == 1
    done = await admin.writes("returned by <hand>")
    assert all(part in words(done) for part in ("Dismissed", "dismissed by admin 789", "returned by <hand>"))
    assert await unmatched.ledger.unmatched() == []
    await unmatched.journal.drain_all()
    assert "Fits no invoice: 0" in words(await other.writes("/payments"))
    assert "dismissed by admin 789" in words(await card(other))


async def test_a_question_for_a_note_is_withdrawn(admin: Person, unmatched: Stores) -> None:
    asked = await question(admin, "🗑 Dismiss")
    await admin.taps(button(asked, "Yes, dismiss"))
    await admin.taps(button(asked, "‹ Back"))
    await admin.writes("by mistake")
    assert len(await unmatched.ledger.unmatched()) == 1


async def test_what_was_sent_back_is_noted_with_its_transaction(admin: Person, paid: Stores) -> None:
    asked = await question(admin, "↩️ Sent back")
    assert all(part in words(asked, "edited") for part in ("The bot sends nothing", "INV1", "30 days"))
    await admin.taps(button(asked, "Yes, I sent it"))
    assert "That is no transaction" in words(await admin.writes("yesterday"))
    assert "the payment itself" in words(await admin.writes(OURS))
    done = await admin.writes(f"https://solscan.io/tx/{BACK}")
    assert "what was given for it was taken back" in words(done)
    assert f"refunded by transaction {BACK}" in words(done)
    assert await given_to(paid) == [("invoice:INV1", 30), ("refund:invoice:INV1", -30)]
    assert "Refunded" in words(await admin.writes("/payments INV1"))


async def test_what_simply_pays_can_only_be_sent_back(admin: Person, paid: Stores) -> None:
    said = only(await card(admin), "sent")
    assert list(said.buttons) == ["↩️ Sent back", "🧾 INV1", "Solscan ↗", "‹ Back"]
    assert said.message
    assert f"https://solscan.io/tx/{OURS}" in [one.url for row in said.message.keyboard for one in row]
    invoice_card = await admin.taps(button([said], "🧾 INV1"))
    assert "Paid with 0.5 SOL" in words(invoice_card, "edited")
    assert "INV1" in words(await admin.taps(button(invoice_card, "Their invoices")), "edited")


async def test_nobody_else_sees_or_does_anything(ann: Person, admin: Person, unmatched: Stores) -> None:
    forged = [one for one in only(await card(admin), "sent").buttons.values() if one]
    asked = await question(admin, "🗑 Dismiss")
    forged += [button(asked, "Yes, dismiss")]
    unknown = words(await ann.writes("/nothing_of_this_name"))
    for text in ("/payments", "/payments INV1", f"/payments {OURS}"):
        assert words(await ann.writes(text)) == unknown
    for data in (*forged, buttons.ShowPayments().pack(), buttons.ShowWaiting("unmatched", 0).pack()):
        assert "out of date" in alert(await ann.taps(data))
    assert len(await unmatched.ledger.unmatched()) == 1
    assert "/payments" not in words(await ann.writes("/help"))
    assert "/payments" in words(await admin.writes("/help"))


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_comes_from_outside_is_harmless(admin: Person, stores: Stores, differ: Differ, hostile: str) -> None:
    harmful = hostile.encode("utf-8", "replace").decode().replace("\x00", "")
    await stores.ledger.open(invoice(), told_by_amount=True)
    await stores.ledger.arrived(came("0.41", KEY, asset=harmful[:40]), None, note=harmful)
    await stores.ledger.arrived(came("0.1", f"nowpayments:{harmful}"), "INV1", note=harmful)
    await stores.journal.drain_all()
    await stores.postgres.execute(
        "INSERT INTO subscribers (user_id, chat_id, name, plan, paused, unreachable, document, revision, updated_at) "
        "VALUES (7, 7, $1, 'pro', false, false, '{}', 1, now())",
        harmful,
    )
    differ.found = [Difference(source="stars", what=harmful, key=harmful, detail=harmful)]
    menu = await admin.writes("/payments")
    for said in (
        menu,
        await card(admin),
        await admin.writes("/payments INV1"),
        await admin.writes(f"/payments {harmful}"),
        await admin.taps(button(menu, "Unmatched")),
        await admin.taps(button(menu, "Differences")),
    ):
        (one,) = [one for one in said if one.text and one.message]
        assert_harmless(re.sub(r"/payments|solana:", "", only([one], one.how).text or ""))


PARTS = st.one_of(
    st.sampled_from(["", "settle", "dismiss", "refund", "returned", "unmatched", "invoices", "INV1", "a" * 20]),
    st.text(max_size=12),
)
NUMBERS = st.sampled_from([0, 1, -1, 10**18, 10**40])


def packed(data: CallbackData) -> str:
    try:
        return data.pack()
    except ValueError:  # too long, or not writable: what a forger would cut
        return f"{data.prefix}:{data!r}"[:64]


def well_formed(prefix: str) -> st.SearchStrategy[str]:
    kind = KINDS[prefix]
    parts = {field.name: NUMBERS if field.type is int else PARTS for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **parts).map(packed)  # pyright: ignore[reportArgumentType] - by the type of each field


forged = st.one_of(
    st.sampled_from(sorted(KINDS)).flatmap(well_formed),
    st.tuples(st.sampled_from(sorted(KINDS)), st.text(max_size=40)).map(":".join),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(forged)
async def test_forged_buttons_of_an_admin_break_nothing(admin: Person, unmatched: Stores, data: str) -> None:
    with capture_logs() as logs:
        said = await admin.taps(data)
    assert [one.how for one in said][-1] in {"answered", "alerted"}
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert await given_to(unmatched) == []
    assert len(await unmatched.ledger.unmatched()) == 1


def test_the_longest_ids_fit_a_button() -> None:
    assert buttons.NoteRuling("returned", "a" * 20, "").pack()
    assert buttons.ConfirmRuling("settle", "a" * 20, "W" * 12).pack()
