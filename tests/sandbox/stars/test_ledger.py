"""Whatever is bought and given back, no Star appears or disappears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.errors import ApiError
from sandbox.telegram.stars.invoices import Invoice
from sandbox.telegram.stars.ledger import Ledger

Step = tuple[str, int, int]

steps = st.lists(
    st.tuples(st.sampled_from(["top_up", "pay", "refund"]), st.integers(1, 3), st.integers(0, 500)), max_size=60
)


def play(ledger: Ledger, step: Step, given_out: int) -> int:
    """Do one thing; how many Stars were given out by then."""
    action, user_id, number = step
    if action == "top_up":
        ledger.balances[user_id] += number
        return given_out + number
    if action == "pay":
        invoice = Invoice(title="T", description="D", payload="p", amount=number + 1)
        ledger.charge({"id": user_id}, invoice, at_s=0)
    elif ledger.charges:
        charges = list(ledger.charges.values())
        charge = charges[number % len(charges)]
        is_due = charge.payer["id"] == user_id and not charge.is_refunded
        try:
            ledger.refund(user_id, charge.id, at_s=0)
        except ApiError:
            assert not is_due
        else:
            assert is_due
    return given_out


@given(steps)
def test_no_star_appears_or_disappears(played: list[Step]) -> None:
    ledger = Ledger()
    given_out = 0
    for step in played:
        given_out = play(ledger, step, given_out)
        assert ledger.balances.total() + ledger.bot_balance == given_out
        assert all(balance >= 0 for balance in ledger.balances.values())
        income = sum(each["amount"] for each in ledger.transactions if "source" in each)
        outgo = sum(each["amount"] for each in ledger.transactions if "receiver" in each)
        assert income - outgo == ledger.bot_balance >= 0
