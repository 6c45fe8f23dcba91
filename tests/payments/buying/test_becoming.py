"""What becomes of the plan that somebody has is said before they pay for another one."""

from __future__ import annotations

from msgspec.structs import replace

from domain.filters.registry import FilterSet
from services.subscribers.group import SubscriberServices
from tests.payments.buying.kit import Buyer, Shop, words


async def offers(ann: Buyer, plan: str) -> list[str]:
    await ann.user.tap(f"Buy {plan}", await ann.plans())
    return words(await ann.says(f"{plan}: for how long?")).splitlines()


def days(line: str) -> int:
    """Of `• 1 mo: 37 days from now, until 7 Jan 2027, 12:00 (UTC)`."""
    return int(line.split(": ")[1].split(maxsplit=1)[0])


async def test_what_is_left_is_added_or_goes_on_by_what_was_paid(ann: Buyer, shop: Shop) -> None:
    trial = await offers(ann, "Pro")
    assert trial[0] == "It begins at once, and what is left of your trial is added:"
    assert [days(line) for line in trial[1:5]] == [37, 97, 187, 372]
    await ann.buys("$ USDC")
    [invoice] = await ann.invoices()
    shop.wallet.pay(await shop.url(invoice.id))
    shop.chain.finalize()
    await ann.has("pro")
    more = await offers(ann, "Pro")
    assert more[0].startswith("You have it until ")
    assert [days(line) for line in more[1:5]] == [67, 127, 217, 402]
    subscribers = shop.bot.of(SubscriberServices).subscribers
    sets = tuple(FilterSet(user_id=ann.user.id, number=number, name=f"f{number}") for number in range(1, 8))
    await subscribers.change(ann.user.id, lambda one: replace(one, filter_sets=sets))
    less = await offers(ann, "Starter")
    assert less[0].startswith("⚠️ You have Pro until ")
    assert "Starter would take its place at once" in less[0]
    # $39 go on at $19 for 30 days, at $49 for 90, at $89 for 180 and at $159 for 365.
    left = [30 + 39 / 19 * 30, 90 + 39 / 49 * 90, 180 + 39 / 89 * 180, 365 + 39 / 159 * 365]
    assert [days(line) for line in less[1:5]] == [round(one) for one in left]
    assert less[6] == "⚠️ It holds 5 filters: 2 of yours would be paused, none deleted."
