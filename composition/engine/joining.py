"""How the process becomes one of those that work: it is told the time, joins the others, and takes its leases."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.leadership import Leadership
from bot.lifecycle import Steps
from bot.time_of_day import join
from bot.updates import Updates
from composition.feature import Base, Feature
from runtime.retry import retry_until_done
from services.cluster.changes import Changes
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.sent_lately import SentBefore

LEADERSHIP = JobSpec(
    name="leadership", does="ends the process when another one has taken over", roles=frozenset({"all"})
)
JOBS = (LEADERSHIP,)


def build(base: Base) -> Feature:
    members, updates, changes = base.of(Members), base.of(Updates), base.of(Changes)
    sent_before, role = base.find(SentBefore), base.place.role
    leadership = Leadership(base.of(Leases), base.lifecycle, base.terminal.say)

    async def prepare() -> None:
        await join(members, updates, role)
        if role == "all":
            await leadership.take()
        else:
            await retry_until_done(changes.open)  # before anything is read that may change
        if sent_before:
            await retry_until_done(sent_before.take_up)

    return Feature(
        jobs=[LEADERSHIP.run_by(leadership.keep)],
        steps=Steps(prepare=prepare),
    )
