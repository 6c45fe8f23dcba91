"""What is watched of every feature: health for people, numbers for /metrics, alarms for admins."""

from __future__ import annotations

from functools import partial

from bot.health import ProcessWatch, clock_health
from bot.jobs import EVERY, JobSpec
from composition.feature import Alarm, Base, Feature
from config.log_level import wanted_log_level
from domain.admins.roles import allows
from runtime.clock import now
from services.administration.admins import AdminsService
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.cluster.ownership import Ownership
from services.delivery.delivery import DeliveryService
from services.monitoring.alarm_memory import StoredAlarmMemory
from services.monitoring.alarms import AlarmsService
from services.monitoring.conditions import alarms_elsewhere
from services.monitoring.gauges import show_alarms, show_process
from services.monitoring.group import MonitoringServices
from services.monitoring.health import MonitoringService
from services.monitoring.log_level import LogLevelService
from services.monitoring.memory import MemoryReader
from services.monitoring.process_conditions import access_denied, memory_filling
from services.monitoring.readings import Reading, ReadingsService

MONITOR = JobSpec(name="monitor", does="the heartbeat in the log")
READINGS = JobSpec(name="readings", does="asks what has to be asked for `/metrics` and alarms")
ALARMS = JobSpec(name="alarms", does="tells admins what is wrong", roles=frozenset({"all", "gateway"}), lease="alarms")
OBSERVE = JobSpec(
    name="own alarms",
    does="looks whether something is wrong with this process, for whoever tells admins",
    roles=EVERY - ALARMS.roles,
)
JOBS = (MONITOR, READINGS, ALARMS, OBSERVE)


def build(base: Base) -> Feature:
    alarms, readings, memory = _alarms(base), ReadingsService(), MemoryReader(base.settings.memory_limit_mib)
    api, members = base.connections.api, base.of(Members)
    if base.place.role not in ALARMS.roles:
        members.alarms, members.alarm_parts = alarms.own, alarms.own_parts
    show_alarms(base.metrics, lambda: alarms.watched)
    show_process(base.metrics, base.place.role, lambda: memory.use)
    monitor = MonitoringService(
        metrics=base.metrics,
        clock=now,
        alarms=alarms.active,
        process=ProcessWatch(
            role=base.place.role,
            lifecycle=base.lifecycle,
            ownership=base.of(Ownership),
            leases=base.of(Leases),
            members=members,
            delivery=base.of(DeliveryService),
        ),
    )
    return Feature(
        parts=[alarms, readings, memory],
        services=[MonitoringServices(monitor=monitor, log_level=_log_level(base))],
        jobs=[
            MONITOR.run_by(monitor.run),
            READINGS.run_by(readings.run),
            ALARMS.run_by(alarms.run),
            OBSERVE.run_by(alarms.observe),
        ],
        health={"clock": clock_health},
        alarms=[
            Alarm("memory", memory_filling(lambda: memory.use)),
            Alarm("access", access_denied(api.denied, base.connections.variables)),
        ],
        readings=[Reading(memory.read)],
    )


def _log_level(base: Base) -> LogLevelService:
    return LogLevelService(lambda: wanted_log_level(base.settings.log_level), base.place.directory)


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
        elsewhere=partial(alarms_elsewhere, base.of(Members)),
        added=partial(_told, base.of(AdminsService)),
    )


def _told(admins: AdminsService) -> list[int]:
    return [user_id for user_id, role in admins.roles().items() if allows(role, "support")]
