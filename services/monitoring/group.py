"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.monitoring.health import MonitoringService
from services.monitoring.log_level import LogLevelService


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoringServices:
    monitor: MonitoringService
    log_level: LogLevelService
