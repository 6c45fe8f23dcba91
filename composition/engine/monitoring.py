"""What is watched of every feature: health for people, numbers for /metrics, alarms for admins."""

from __future__ import annotations

from bot.health import ProcessWatch, clock_health
from bot.jobs import JobSpec
from composition.feature import Base, Feature
from runtime.clock import now
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.ownership import Ownership
from services.delivery.delivery import DeliveryService
from services.monitoring.alarm_memory import StoredAlarmMemory
from services.monitoring.alarms import AlarmsService
from services.monitoring.group import MonitoringServices
from services.monitoring.health import MonitoringService
from services.monitoring.readings import ReadingsService

MONITOR = JobSpec(name="monitor", does="the heartbeat in the log")
READINGS = JobSpec(name="readings", does="asks what has to be asked for `/metrics` and alarms")
ALARMS = JobSpec(name="alarms", does="tells admins what is wrong", roles=frozenset({"all", "gateway"}), lease="alarms")
JOBS = (MONITOR, READINGS, ALARMS)


def build(base: Base) -> Feature:
    alarms, readings = _alarms(base), ReadingsService()
    monitor = MonitoringService(
        metrics=base.metrics,
        clock=now,
        alarms=alarms.active,
        process=ProcessWatch(
            role=base.place.role,
            lifecycle=base.lifecycle,
            ownership=base.of(Ownership),
            leases=base.of(Leases),
            members=base.of(Members),
            delivery=base.of(DeliveryService),
        ),
    )
    return Feature(
        parts=[alarms, readings],
        services=[MonitoringServices(monitor=monitor)],
        jobs=[MONITOR.run_by(monitor.run), READINGS.run_by(readings.run), ALARMS.run_by(alarms.run)],
        health={"clock": clock_health},
    )


def _alarms(base: Base) -> AlarmsService:
    directory = base.place.directory
    path = directory / "told_alarms.json" if directory else None
    return AlarmsService(
        messenger=base.connections.telegram,
        texts=base.texts,
        chat_ids=base.settings.admin_chat_ids,
        time_of_day=now,
        memory=StoredAlarmMemory(base.connections.redis, path, now),
        is_ending=base.lifecycle.is_ending,
    )
