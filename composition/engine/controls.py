"""What admins have turned off: known to every process before it works."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from composition.feature import Alarm, Base, Feature
from runtime.clock import now
from services.monitoring.health import PartHealth
from services.running.caches import Caches
from services.running.conditions import kept_back
from services.running.controls import Controls
from services.running.orders import Orders

CONTROLS = JobSpec(name="controls", does="reads anew what admins have turned off or paused")
ORDERS = JobSpec(name="orders", does="obeys what an admin wants of every process")
JOBS = (CONTROLS, ORDERS)


def build(base: Base) -> Feature:
    controls = Controls(base.connections.postgres, now, feed=base.connections.source.name)
    orders = Orders(base.connections.redis, base.place.owner)

    async def health() -> PartHealth:
        """Always well: it is meant."""
        standing = [f"{one.name} {one.subject}".replace("_", "-").strip() for one in controls.told()]
        return PartHealth(name="controls", ok=True, detail=", ".join(standing) or "nothing is turned off")

    return Feature(
        services=[controls, orders, Caches(base.connections.redis, orders)],
        jobs=[CONTROLS.run_by(controls.run), ORDERS.run_by(orders.run)],
        steps=Steps(prepare=controls.prepare),
        health={"controls": health},
        alarms=[Alarm("turned off", kept_back(controls), after_s=0.0, is_shared=True)],
    )
