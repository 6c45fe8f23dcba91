"""What admins give, take and move: entitlements in the ledger, each under the number of what the admin did.

Nothing is written into a person's document here: that follows from all that they were given, as ever. Why it was done
stands with the admin's action.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import structlog

from domain.payments.entitlements import Entitlement, PlanStanding, standing_of
from domain.payments.plans import FREE, TRIAL, Plans
from domain.stored.outgoing import Envelope
from domain.stored.payments import EntitlementRecord
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import RedisManager
from managers.redis.scripts import Script, packed
from runtime.errors import UserFacingError
from services.claims.putting import Putting
from services.payments import keys, outcomes
from services.payments.ledger import Ledger
from services.plans.entitling import EntitlingService
from services.plans.notices import KIND, PlanNotice, changed_notice
from services.stores import keys as stores_keys
from services.stores.journal import Journal, entry
from services.subscribers.subscribers import Subscribers

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_DAYS: Final = 3_650
_DAY_S: Final = 86_400
_MOVE: Final = Script.beside(__file__, "move.lua")


class GrantingService:
    """Everything raises `TransientError` while the ledger is not complete."""

    def __init__(
        self,
        *,
        redis: RedisManager,
        journal: Journal,
        ledger: Ledger,
        subscribers: Subscribers,
        entitling: EntitlingService,
        putting: Putting,
        plans: Plans,
        clock: Callable[[], datetime],
        needs_epoch: bool = True,
    ) -> None:
        self._redis = redis
        self._journal = journal
        self._ledger = ledger
        self._subscribers = subscribers
        self._entitling = entitling
        self._putting = putting
        self.plans = plans
        self._clock = clock
        self._needs_epoch = needs_epoch

    async def standing(self, user_id: int) -> PlanStanding:
        """Return what somebody has by the ledger."""
        return await self._entitling.standing(user_id)

    async def grant(self, user_id: int, plan: str, days: int, number: str) -> Subscriber:
        """Give days of a plan that is sold, and tell them. May be repeated with the same number."""
        if not any(one.key == plan for one in self.plans.sold) or not 1 <= days <= MAX_DAYS:
            raise UserFacingError("callback.stale")
        given = Entitlement(key=f"admin:{number}", plan=plan, days=days, at=self._clock())
        await self._ledger.give(user_id, given)
        log.info("plan_granted", user_id=user_id, plan=plan, days=days, number=number)
        return await self._shown(user_id, plan, number)

    async def revoke(self, user_id: int, number: str) -> int:
        """Take back what is left; returns how many days that was, rounded up. `UserFacingError` for nothing."""
        taken = await self._taken(user_id, number)
        await self._ledger.give(user_id, taken)
        log.info("plan_revoked", user_id=user_id, plan=taken.plan, days=-taken.days, number=number)
        await self._shown_taken(user_id, number)
        return -taken.days

    async def move(self, from_id: int, to_id: int, number: str) -> int:
        """Let another person have what is left, at what was paid for it; returns how many days, rounded up.

        `UserFacingError` for nothing, for a trial, and for oneself.
        """
        if from_id == to_id:
            raise UserFacingError("granting.same")
        standing, taken = await self.standing(from_id), await self._taken(from_id, number)
        if taken.plan == TRIAL:
            raise UserFacingError("granting.trial")
        days = -taken.days
        price = round(standing.usd_per_day * days, 2)
        given = Entitlement(key=f"admin:{number}", plan=taken.plan, days=days, price_usd=price, at=taken.at)
        records = [msgspec.json.encode(EntitlementRecord(user_id=from_id, entitlement=taken))]
        records += [msgspec.json.encode(EntitlementRecord(user_id=to_id, entitlement=given))]
        names = [keys.ENTITLEMENTS.of(from_id), keys.ENTITLEMENTS.of(to_id), keys.ENTITLED.of()]
        names += [stores_keys.JOURNAL.of(), stores_keys.EPOCH.of()]
        args = packed(
            taken=outcomes.given(taken, from_id, records[0]),
            given=outcomes.given(given, to_id, records[1]),
            needs_epoch=self._needs_epoch,
        )
        if outcomes.checked(await self._redis.script(_MOVE, names, args)) == 1:
            self._journal.tail.note([entry("entitlement", one) for one in records])
        log.info("plan_moved", user_id=from_id, to=to_id, plan=taken.plan, days=days, number=number)
        await self._shown_taken(from_id, number)
        await self._shown(to_id, taken.plan, number)
        return days

    async def require_left(self, user_id: int, *, moving: bool) -> None:
        """Refuse (`UserFacingError`) where nothing is left to take, or to move, before anything is asked."""
        taken = await self._taken(user_id, "")
        if moving and taken.plan == TRIAL:
            raise UserFacingError("granting.trial")

    async def _taken(self, user_id: int, number: str) -> Entitlement:
        """Return what takes back all that is left."""
        standing, now = await self.standing(user_id), self._clock()
        if standing.plan in (None, FREE) or standing.until is None or standing.until <= now:
            raise UserFacingError("granting.nothing")
        days = math.ceil((standing.until - now).total_seconds() / _DAY_S)
        return Entitlement(key=f"admin:{number}", plan=standing.plan or "", days=-days, at=now)

    async def _shown(self, user_id: int, plan: str, number: str) -> Subscriber:
        """Let the document show it, and tell the person, unless that tells them already."""
        before = await self._subscribers.require(user_id)
        after = await self._entitling.apply(user_id) or before
        now = self._clock()
        if changed_notice(before, after, now) is None:
            others = [one for one in await self._ledger.entitlements(user_id) if one.key != f"admin:{number}"]
            had = standing_of(others)
            is_longer = had.plan == plan and had.is_active(now)
            notice = PlanNotice(plan=plan, until=after.paid_until, how="extended" if is_longer else "now")
            await self._tell(user_id, notice, number, "given")
        return after

    async def _shown_taken(self, user_id: int, number: str) -> None:
        """Let the document show it, and tell the person; of a trial, that it has ended tells them."""
        after = await self._entitling.apply(user_id)
        if after is not None and after.plan != FREE and after.has_plan_at(self._clock()):
            await self._tell(user_id, PlanNotice(plan=after.plan, until=after.paid_until, how="taken"), number, "taken")

    async def _tell(self, user_id: int, notice: PlanNotice, number: str, step: str) -> None:
        subject = f"admin {number}"
        await self._putting.put(
            Envelope.of(KIND, notice, user_id=user_id, subject=subject, step=step, decided_at=self._clock())
        )
