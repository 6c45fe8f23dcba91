"""A seeded workload: who wants what, who calls what, and, by a plain loop, who must be told of what.

Figures of a token are the same in all its calls, so the flow chart's answer does not depend on the order or on the
time in which calls are checked: a pair is accepted when any call of the token passes any enabled set of the
subscriber. That makes the reference right whatever is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from msgspec.structs import replace
from solders.pubkey import Pubkey

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Choice, FilterSet, Range, Rule, Words
from domain.subscribers.subscriber import Subscriber

Pair = tuple[int, str]
"""(user id, token address)"""

FIRST_USER_ID: Final = 2_000_000
CHANNELS: Final = tuple(f"@caller_{number}" for number in range(24))
WORDS: Final = ("moon", "cat", "frog", "rocket", "pepe", "gold", "river", "stone", "cloud", "ember", "lynx", "tide")
PAID_FOR: Final = timedelta(days=30)
RECALLED_SHARE: Final = 0.3
"""Of the calls: another channel calls a token that was called before."""

_READ: Final[dict[str, Callable[[Call], float | str | None]]] = {
    "market_cap_usd": lambda call: call.token.market_cap_usd,
    "liquidity_usd": lambda call: call.token.liquidity_usd,
    "holders": lambda call: call.token.holders,
    "channel": lambda call: call.channel.id,
    "name_words": lambda call: f"{call.token.name}\n{call.token.symbol}",
}


class Workload:
    def __init__(self, *, seed: int, users: int, calls: int) -> None:
        random = Random(seed)
        self.subscribers = [_subscriber(random, FIRST_USER_ID + number) for number in range(users)]
        self.calls = _calls(random, seed, calls)

    def accepted(self, calls: Sequence[Call] | None = None) -> set[Pair]:
        """Return who must be told of which token, once each of these calls (all by default) was made."""
        return accepted(self.subscribers, self.calls if calls is None else calls)


def accepted(subscribers: Sequence[Subscriber], calls: Sequence[Call]) -> set[Pair]:
    now = datetime.now(UTC)
    pairs: set[Pair] = set()
    for subscriber in subscribers:
        if not _receives(subscriber, now):
            continue
        for call in calls:
            if any(filter_set.enabled and passes(filter_set, call) for filter_set in subscriber.filter_sets):
                pairs.add((subscriber.user_id, call.token.address))
    return pairs


def passes(filter_set: FilterSet, call: Call) -> bool:
    return all(_holds(rule, _READ[key](call)) for key, rule in filter_set.rules.items())


def made_now(call: Call) -> Call:
    """Return the call as it is made at this moment."""
    now = datetime.now(UTC)
    return replace(call, called_at=now, received_at=now)


def made_again(call: Call, number: int) -> Call:
    """Return another event of the same channel about the same token: nobody is to be told again."""
    return replace(call, id=f"{call.id}-again-{number}")


def _receives(subscriber: Subscriber, now: datetime) -> bool:
    paid = subscriber.paid_until is not None and subscriber.paid_until > now
    return paid and not subscriber.paused and not subscriber.unreachable


def _holds(rule: Rule, value: float | str | None) -> bool:
    if value is None:
        return rule.missing == "pass"
    if isinstance(rule, Range):
        assert isinstance(value, float | int)
        above = rule.minimum is None or value >= rule.minimum
        return above and (rule.maximum is None or value <= rule.maximum)
    assert isinstance(value, str)
    if isinstance(rule, Choice):
        return (not rule.included or value in rule.included) and value not in rule.excluded
    text = value.casefold()
    included = not rule.included or any(word in text for word in rule.included)
    return included and not any(word in text for word in rule.excluded)


# who wants what


def taker(user_id: int, rules: dict[str, Rule] | None = None) -> Subscriber:
    """Return somebody with one set of these rules; without any they take every call."""
    now = datetime.now(UTC)
    chosen = (_set(user_id, 1, dict(rules or {})),)
    return Subscriber(
        user_id=user_id,
        chat_id=user_id,
        name="taker",
        created_at=now,
        plan="pro",
        paid_until=now + PAID_FOR,
        filter_sets=chosen,
    )


def _subscriber(random: Random, user_id: int) -> Subscriber:
    now = datetime.now(UTC)
    kind = random.random()
    rules = [_rules(random)] if kind < 0.8 else [_rules(random), _rules(random)]
    sets = tuple(_set(user_id, number, one) for number, one in enumerate(rules, start=1))
    if kind > 0.97:  # what is switched off would let everything through
        sets = (*sets, replace(_set(user_id, len(sets) + 1, {}), enabled=False))
    return Subscriber(
        user_id=user_id,
        chat_id=user_id,
        name=f"user {user_id - FIRST_USER_ID}",
        created_at=now,
        plan="pro",
        paid_until=now + PAID_FOR,
        paused=random.random() < 0.06,
        filter_sets=sets,
    )


def _set(user_id: int, number: int, rules: dict[str, Rule]) -> FilterSet:
    return FilterSet(user_id=user_id, number=number, name=f"Set {number}", rules=rules)


def _rules(random: Random) -> dict[str, Rule]:
    """Each kind of rule alone and together; a call passes one set in seven or so."""
    low = 10 ** random.uniform(4, 6.7)
    match random.randrange(7):
        case 0 | 1:
            return {"market_cap_usd": Range(low, low * random.choice((2, 3)))}
        case 2:
            return {"channel": Choice(included=frozenset(random.sample(CHANNELS, 3)))}
        case 3:
            caps = Range(low, low * 10)
            return {"market_cap_usd": caps, "holders": Range(minimum=random.randrange(500, 3_000), missing="pass")}
        case 4:
            return {"liquidity_usd": Range(low / 10, low / 4), "channel": Choice(excluded=frozenset(CHANNELS[:4]))}
        case 5:
            return {"name_words": Words(included=tuple(random.sample(WORDS, 2)))}
        case _:
            return {} if random.random() < 0.3 else {"market_cap_usd": Range(minimum=low * 20)}


# who calls what


def _calls(random: Random, seed: int, count: int) -> list[Call]:
    calls: list[Call] = []
    callers: dict[str, list[str]] = {}
    for number in range(count):
        token = _token(random)
        if calls and random.random() < RECALLED_SHARE:
            token = random.choice(calls[-50:]).token
        channel = random.choice([one for one in CHANNELS if one not in callers.get(token.address, ())])
        callers.setdefault(token.address, []).append(channel)
        at = datetime.now(UTC)
        calls.append(
            Call(
                id=f"fault-{seed}-{number}",
                token=token,
                channel=Channel(id=channel, title=channel.removeprefix("@").replace("_", " ").title()),
                called_at=at,
                received_at=at,
                text=f"{token.name} looks good",
            )
        )
    return calls


def _token(random: Random) -> Token:
    cap = round(10 ** random.uniform(4, 7), 2)
    first, second = random.sample(WORDS, 2)
    return Token(
        address=str(Pubkey(random.randbytes(32))),
        name=f"{first.title()} {second.title()}",
        symbol=first.upper()[:6],
        price_usd=cap / 1e9,
        market_cap_usd=cap,
        fdv_usd=cap,
        liquidity_usd=round(cap * random.uniform(0.05, 0.2), 2),
        holders=random.randrange(50, 5_000) if random.random() < 0.9 else None,
        risk_score=float(random.randrange(100)),
    )
