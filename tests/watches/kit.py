"""The desk of tracking, with personal alerts beside it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from domain.calls.events import PriceTick, Token
from domain.payments.plans import Plan, Plans
from domain.prices.readings import PriceReading, TokenRef
from domain.stored.outgoing import Envelope, read_outgoing
from domain.subscribers.partitions import PARTITIONS
from domain.subscribers.subscriber import Subscriber
from domain.watches.conditions import Condition, Figures
from services.claims.putting import Putting
from services.stores import keys
from services.stores.journal import Journal
from services.watches.evaluating import Evaluator
from services.watches.rows import WatchRows
from services.watches.telling import WatchNotice, WatchTeller
from services.watches.watches import Begun, WatchesService
from tests.tracking.kit import Desk, address
from tests.wiring import spool_on

TRIAL = Plan(key="trial", filter_sets=5, watches=3)
PLANS = Plans(free=None, trial=TRIAL, trial_days=7, sold=())


class Nobody:
    """Knows no price."""

    async def latest(self, address: str) -> Token | None:
        del address
        return None


class WatchDesk(Desk):
    def restart(self) -> None:
        super().restart()
        subscribers = self.users.subscribers
        self.watches = WatchesService(self.postgres, plans=PLANS, tokens=Nobody(), clock=self.clock)
        putting = Putting(spool_on(self.redis), Journal(self.redis, self.postgres))
        self.teller = WatchTeller(self.postgres, subscribers=subscribers, putting=putting, clock=self.clock)
        self.evaluator = Evaluator(
            rows=WatchRows(self.postgres), tracked=self.tracking, teller=self.teller, clock=self.clock
        )

    async def begin(self, user_id: int, condition: Condition, token: int = 0, *, now_usd: float | None = None) -> Begun:
        subscriber = await self.person(user_id)
        return await self.watches.begin(subscriber, address(token), condition, Figures(price_usd=now_usd))

    async def person(self, user_id: int) -> Subscriber:
        return await self.users.subscribers.require(user_id)

    def tick(
        self, price_usd: float, token: int = 0, *, after_s: float = 1.0, market_cap_usd: float | None = None
    ) -> None:
        super().tick(price_usd, token, after_s=after_s, market_cap_usd=market_cap_usd)
        one = PriceTick(
            token_address=address(token), price_usd=price_usd, market_cap_usd=market_cap_usd, at=self.clock()
        )
        self.evaluator.take_in({one.token_address: one})

    def heard(
        self,
        price_usd: float,
        token: int = 0,
        *,
        after_s: float = 20.0,
        liquidity_usd: float | None = 30_000.0,
        market_cap_usd: float | None = None,
    ) -> None:
        """Let a provider say a price."""
        self.clock.now += timedelta(seconds=after_s)
        self.evaluator.hear(
            PriceReading(
                token=TokenRef(address(token)),
                price_usd=price_usd,
                at=self.clock(),
                source="jupiter",
                liquidity_usd=liquidity_usd,
                market_cap_usd=market_cap_usd,
            )
        )

    async def notices(self) -> list[tuple[str, WatchNotice]]:
        """What waits in the outboxes, with the step of each."""
        found: list[tuple[str, WatchNotice]] = []
        for partition in range(PARTITIONS):
            for one in await self.redis.xrange(keys.OUTBOX.of(partition), count=10_000):
                outgoing = read_outgoing(one.fields["alert"])
                if isinstance(outgoing, Envelope) and outgoing.kind == "watch":
                    found.append((outgoing.step, msgspec.json.decode(outgoing.payload, type=WatchNotice)))
        return found

    async def crossings(self) -> list[str]:
        """Which crossings were told."""
        return [step for step, _ in await self.notices()]
