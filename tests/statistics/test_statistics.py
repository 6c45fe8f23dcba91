"""Statistics are what a plain count over the same rows says, and an admin reads and sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from domain.filters.registry import FilterSet
from domain.payments.entitlements import Entitlement
from domain.payments.invoices import Arrival, Invoice
from domain.payments.plans import load_plans
from domain.reports.pictures import MAX_SERIES, Order
from domain.stored.journal import DeliveryRecord
from domain.stored.payments import ArrivalRecord, EntitlementRecord
from domain.subscribers.subscriber import Subscriber
from handlers.admin.statistics.showing import picture_of, summary_text
from handlers.conversation.menus import View
from managers.pictures.process import draw
from managers.storage.postgres import PostgresManager
from runtime.latencies import ENOUGH_FOR_P99
from services.statistics.statistics import DAYS, WHATS, ByDay, StatisticsService, What
from services.stores.journal_rows import Kind, writes_of
from services.subscribers.group import SubscriberServices
from tests.admin.people.house import BROADCAST, OTHER, OUTSIDER, READER, VICTIM, House
from tests.conversation.reading import only, words
from tests.conversation.telegram_wire import Person
from texts import Texts
from texts.markup import to_plain

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PLANS = load_plans((Path(__file__).parents[2] / "config" / "plans.toml").read_text("utf-8"))
VIEW = View(texts=Texts.load(), language="en")
SOLD = PLANS.sold[0].key
ON = FilterSet(user_id=1, number=1, name="x", rules={})


class Books:
    """Rows as the journal writes them."""

    def __init__(self, postgres: PostgresManager) -> None:
        self.postgres = postgres
        self.statistics = StatisticsService(postgres, PLANS, lambda: NOW)
        self.count = 0

    async def put(self, kind: Kind, document: msgspec.Struct) -> None:
        for statement, values in writes_of(kind, msgspec.json.encode(document), NOW):
            await self.postgres.execute(statement, *values)

    async def person(self, born: timedelta = 40 * DAY, ends: timedelta | None = 9 * DAY, **fields: object) -> int:
        self.count += 1
        one = Subscriber(
            user_id=self.count,
            chat_id=self.count,
            name="x",
            created_at=NOW - born,
            plan=SOLD,
            paid_until=None if ends is None else NOW + ends,
        )
        await self.put("subscriber", replace(one, **fields))
        return self.count

    async def paid(self, method: str, amount: str, ago: timedelta, *, part: str = "1", **arrival: object) -> None:
        self.count += 1
        asset = {"sol": "SOL", "usdc": "USDC", "stars": "XTR"}[method]
        invoice = Invoice(
            id=f"I{self.count}",
            user_id=1,
            plan=SOLD,
            days=30,
            price_usd=Decimal("20.00"),
            method=method,  # pyright: ignore[reportArgumentType] - one of them
            asset=asset,
            amount=Decimal(amount),
            created_at=NOW - ago,
            expires_at=NOW,
        )
        await self.put("invoice", invoice)
        came = Arrival(key=f"k{self.count}", asset=asset, amount=Decimal(amount) * Decimal(part), at=NOW - ago)
        await self.put("arrival", ArrivalRecord(arrival=replace(came, **arrival), invoice_id=invoice.id))

    async def more_paid(self, method: str, ago: timedelta, **arrival: object) -> None:
        """For the invoice of before, the same amount again where it is not said."""
        asset, invoice_id = {"sol": "SOL", "usdc": "USDC"}[method], "I1"
        self.count += 1
        came = Arrival(key=f"k{self.count}", asset=asset, amount=Decimal("0.2"), at=NOW - ago)
        await self.put("arrival", ArrivalRecord(arrival=replace(came, **arrival), invoice_id=invoice_id))

    async def given(self, user_id: int, ago: timedelta, price: str = "20.00", days: int = 30, kind: str = "e") -> str:
        self.count += 1
        key = kind if kind.startswith("refund:e") else f"{kind}{self.count}"
        given = Entitlement(
            key=key,
            plan=SOLD,
            days=days,
            price_usd=Decimal(price),
            at=NOW - ago,
        )
        await self.put("entitlement", EntitlementRecord(user_id=user_id, entitlement=given))
        return given.key

    async def alert(self, ago: timedelta, latency_s: float | None, status: str = "sent", **fields: object) -> None:
        self.count += 1
        one = DeliveryRecord(
            call_id=f"c{self.count}",
            user_id=1,
            kind="alert",
            set_number=1,
            status=status,  # pyright: ignore[reportArgumentType] - one of them
            decided_at=NOW - ago,
            latency_s=latency_s,
        )
        await self.put("delivery", replace(one, **fields))


@pytest.fixture
def books(postgres_manager: PostgresManager) -> Books:
    return Books(postgres_manager)


async def test_people_are_counted_by_what_they_have_and_what_they_did(books: Books) -> None:
    pays = await books.person(timedelta(hours=1), filter_sets=(ON,))
    await books.given(pays, DAY)
    await books.person(3 * DAY, -1 * DAY, filter_sets=(replace(ON, enabled=False),))
    await books.person(20 * DAY, -3 * DAY)
    await books.person(plan="trial", ends=timedelta(seconds=-1))
    await books.person(plan="free", ends=None, paused=True)
    await books.person(unreachable=True)
    await books.person(banned_at=NOW)
    await books.postgres.execute(
        "INSERT INTO erasures (number, user_id, asked_at, deleted, document) VALUES ('1', 99, $1, '{}', '{}')",
        NOW - DAY,
    )
    summary = await books.statistics.summary()
    people = summary.people
    assert (people.total, people.active, people.paying) == (7, 1, 1)
    assert (people.new_day, people.new_week, people.new_month, people.deleted_month) == (1, 2, 3, 1)
    assert (people.paused, people.blocked, people.banned) == (1, 1, 1)
    assert {(one.plan, one.people, one.active) for one in summary.plans} == {
        (SOLD, 5, 4), ("trial", 1, 0), ("free", 1, 1)
    }  # fmt: skip


async def test_who_pays_has_paid_for_days_that_run_and_got_nothing_back(books: Books) -> None:
    pays, renewed, refunded, given, taken, ran_out, extended = [
        await books.person(ends=ends) for ends in (9 * DAY, 39 * DAY, DAY, 9 * DAY, timedelta(0), 9 * DAY, 39 * DAY)
    ]
    await books.given(pays, 21 * DAY)
    for ago in (50 * DAY, 2 * DAY):
        await books.given(renewed, ago)
    back = await books.given(refunded, 29 * DAY)
    await books.given(refunded, DAY, price="0", days=-29, kind=f"refund:{back}")
    await books.given(given, 21 * DAY, price="0", kind="admin:")
    await books.given(taken, 21 * DAY, price="0", kind="admin:")
    await books.given(taken, timedelta(0), price="0", days=-9, kind="admin:")
    await books.given(ran_out, 90 * DAY)
    await books.given(ran_out, 21 * DAY, price="0", kind="admin:")
    await books.given(extended, 21 * DAY)
    await books.given(extended, 2 * DAY, price="0", kind="admin:")
    assert (await books.statistics.summary()).people.paying == 3


async def test_who_gets_alerts_are_those_of_a_broadcast_and_of_the_plans(house: House, owner: Person) -> None:
    """Some have no filter on, one pauses, one is banned, one is in the days of grace."""
    users = house.made.of(SubscriberServices).subscribers
    grace = datetime.now(UTC) - timedelta(hours=3)
    await users.change(
        READER, lambda s: replace(s, filter_sets=(replace(ON, user_id=s.user_id),), plan=SOLD, paid_until=grace)
    )
    for user_id in (OTHER, VICTIM, OUTSIDER):
        await users.change(user_id, lambda s: replace(s, filter_sets=(replace(ON, user_id=s.user_id),)))
    await users.change(OTHER, lambda s: replace(s, paused=True))
    await users.change(VICTIM, lambda s: replace(s, banned_at=grace))
    await house.written()
    stats, plans = words(await owner.writes("/stats")), words(await owner.writes("/plans"))
    assert "People: 6 · 2 get alerts" in stats
    assert "Paying: 0" in stats
    assert f"{VIEW.label('plan', SOLD)}: 1, active 1" in stats
    assert f"{VIEW.label('plan', SOLD)}: 1 · active 1" in plans
    assert "Get alerts · 2" in only(await owner.taps(f"bcfor:{BROADCAST}"), "edited").buttons


async def test_revenue_is_what_came_to_stay_by_way_and_window(books: Books) -> None:
    await books.paid("sol", "0.2", timedelta(hours=2))
    await books.paid("sol", "0.2", timedelta(hours=2), part="0.5")
    await books.paid("usdc", "20.01", 3 * DAY)
    await books.paid("stars", "1500", 20 * DAY)
    await books.paid("stars", "1500", 31 * DAY)
    await books.paid("sol", "0.2", DAY / 2, refunded=True)
    await books.paid("sol", "0.2", DAY / 2, stage="confirming")
    await books.paid("sol", "0.2", DAY / 2, ruling="dismissed")
    await books.paid("sol", "0.2", DAY / 2, asset="BONK", ruling="accepted")
    found = {(one.days, one.method): one for one in (await books.statistics.summary()).revenue}
    assert {key: (one.payments, one.usd, one.stars) for key, one in found.items()} == {
        (1, "sol"): (3, 50, 0),
        (7, "sol"): (3, 50, 0),
        (7, "usdc"): (1, 20, 0),
        (30, "sol"): (3, 50, 0),
        (30, "usdc"): (1, 20, 0),
        (30, "stars"): (1, 20, 1500),
    }
    by_day = await books.statistics.by_day("revenue")
    assert by_day.days[-1] == NOW.date()
    assert {part: sum(filter(None, its)) for part, its in by_day.parts.items()} == {"sol": 50, "usdc": 20, "stars": 20}
    assert by_day.parts["usdc"][-4] == 20


BEYOND: dict[str, tuple[str, list[dict[str, object]]]] = {
    "too much": ("2", []),
    "twice": ("1", [{}]),
    "the rest and more": ("0.5", [{"amount": Decimal("0.05")}, {"amount": Decimal("0.3")}]),
    "another coin": ("1", [{"asset": "BONK", "ruling": "accepted"}]),
    "two others": ("0.5", [{"asset": "BONK", "ruling": "accepted"}, {"asset": "WIF", "ruling": "accepted"}]),
    "sent back": ("1", [{"refunded": True}]),
    "settled": ("1", [{"ruling": "accepted"}]),
}


@pytest.mark.parametrize(("first", "more"), BEYOND.values(), ids=BEYOND)
async def test_what_comes_beyond_a_price_is_no_revenue(books: Books, first: str, more: list[dict[str, object]]) -> None:
    await books.paid("sol", "0.2", timedelta(hours=3), part=first)
    for one in more:
        await books.more_paid("sol", timedelta(hours=2), **one)
    assert {(one.days, one.usd) for one in (await books.statistics.summary()).revenue} == {(1, 20), (7, 20), (30, 20)}
    assert sum(filter(None, (await books.statistics.by_day("revenue")).parts["sol"])) == pytest.approx(20)


async def test_churn_is_the_share_of_those_who_paid_before_and_stopped(books: Books) -> None:
    stays, renews, lapses, new, gift, old = [
        await books.person(ends=ends) for ends in (9 * DAY, 9 * DAY, -5 * DAY, 9 * DAY, -5 * DAY, -50 * DAY)
    ]
    for user_id in (stays, renews, lapses, old):
        await books.given(user_id, 60 * DAY)
    await books.given(renews, 2 * DAY)
    await books.given(new, 3 * DAY)
    await books.given(gift, 40 * DAY, price="0")
    await books.given(lapses, 20 * DAY, days=-30, kind="refund:")
    await books.given(gift, 20 * DAY, price="0", days=-30, kind="admin:")
    summary = await books.statistics.summary()
    renewals = summary.renewals
    assert (renewals.first, renewals.renewed, renewals.refunded, renewals.lapsed) == (1, 1, 1, 1)
    assert summary.churn == pytest.approx(1 / 3)


async def test_alerts_and_how_fast_they_were(books: Books) -> None:
    await books.person()
    for latency_s in (0.01, 0.02, 0.03):
        await books.alert(timedelta(hours=1), latency_s)
    await books.alert(timedelta(hours=1), 900.0, may_repeat=True)
    await books.alert(timedelta(hours=1), None, "withheld", reason="muted")
    await books.alert(timedelta(hours=1), None, "digest")
    await books.alert(timedelta(hours=1), None, "dead")
    await books.alert(timedelta(hours=1), None, kind="digest")
    await books.alert(2 * DAY, 1.0)
    delivered = (await books.statistics.summary()).delivered
    assert (delivered.sent, delivered.in_digests, delivered.withheld, delivered.dead) == (4, 1, 1, 1)
    assert (delivered.measured, delivered.p50_s, delivered.p99_s) == (3, pytest.approx(0.02), None)
    alerts, latency = await books.statistics.by_day("alerts"), await books.statistics.by_day("latency")
    assert {part: its[-1] for part, its in alerts.parts.items()} == {"sent": 4, "digest": 1, "not_sent": 2}
    assert {part: its[-4:] for part, its in latency.parts.items()} == {"p50": (None, 1.0, None, pytest.approx(0.02))}


async def test_a_p99_is_of_a_hundred_alerts_or_more(books: Books) -> None:
    await books.person()
    for number in range(ENOUGH_FOR_P99):
        await books.alert(timedelta(hours=1), 0.01 * (number + 1))
    delivered = (await books.statistics.summary()).delivered
    assert (delivered.measured, delivered.p99_s) == (ENOUGH_FOR_P99, pytest.approx(0.9901))
    assert (await books.statistics.by_day("latency")).parts["p99"][-1] == pytest.approx(0.9901)


async def test_an_empty_bot_has_statistics_and_no_pictures(books: Books) -> None:
    summary = await books.statistics.summary()
    assert summary.churn is None
    assert "People: 0" in to_plain(summary_text(VIEW, summary))
    for what in WHATS:
        assert picture_of(VIEW, what, await books.statistics.by_day(what)) is None


@pytest.mark.parametrize(("what", "parts"), [("people", 9), ("revenue", 4), ("alerts", 3), ("latency", 2)])
def test_a_picture_is_drawn_of_whatever_there_is(what: What, parts: int) -> None:
    days = tuple(NOW.date() - number * DAY for number in reversed(range(DAYS)))
    its = {f"part {number}": tuple(float(number * day % 7) for day in range(DAYS)) for number in range(1, parts + 1)}
    picture = picture_of(VIEW, what, ByDay(days=days, parts=its))
    assert picture
    assert len(picture.parts) == min(parts, MAX_SERIES)
    if picture.stacked:
        shown = sum(value or 0 for part in picture.parts for value in part.values)
        assert shown == sum(map(sum, its.values())), "the smaller ones are one"
    assert draw(Order(picture=picture, dark=True)).startswith(b"\x89PNG")


async def test_an_admin_reads_them_and_gets_a_picture(house: House, reader: Person) -> None:
    text = words(await reader.writes("/stats"))
    assert "People: 6" in text
    assert "Revenue" in text
    said = await reader.taps("statspic:people")
    assert any(one.message and one.message.picture for one in said)
