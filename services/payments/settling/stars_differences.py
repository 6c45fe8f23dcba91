"""What Telegram and the ledger do not agree on, as admins see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from domain.payments.amounts import show
from domain.payments.differences import Difference
from domain.payments.stars import arrival_key
from services.payments.stars import StarsService
from services.payments.stars_reconciliation import LOOKS_BACK, StarsReconciliation


class StarsDifferences:
    """`services.payments.settling.search.KnownDifferences` of the Stars alone."""

    def __init__(
        self, *, stars: StarsService, reconciliation: StarsReconciliation, clock: Callable[[], datetime]
    ) -> None:
        self._stars = stars
        self._reconciliation = reconciliation
        self._clock = clock

    async def differences(self) -> Sequence[Difference]:
        """Return where both stand now, if anything was found when they were last compared."""
        if not await self._reconciliation.left():
            return []
        found = await self._stars.differences(self._clock() - LOOKS_BACK)
        return [
            Difference(
                source="stars",
                what=one.what,
                key=arrival_key(one.charge_id),
                detail=" / ".join(
                    (
                        f"Telegram: {one.telegram.amount if one.telegram else '-'}",
                        f"ledger: {show(one.recorded.amount) if one.recorded else '-'}",
                    )
                ),
            )
            for one in found
        ]
