"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.monitoring.health import MonitoringService


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitoringServices:
    monitor: MonitoringService
