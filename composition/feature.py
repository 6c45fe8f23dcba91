"""What a builder is given, and what it gives. A builder is a module with `JOBS` and `build`, listed in `bot.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from fastapi import APIRouter

from bot.console import Terminal
from bot.jobs import JobRow, JobSpec
from bot.lifecycle import Lifecycle, Steps
from composition.connections import Connections, ProcessConfig
from config.settings import Settings
from managers.storage.cache import SmartCache
from runtime.errors import FatalError
from runtime.supervision import Pulse
from services.delivery.kinds import Kind
from services.monitoring.alarms import LASTS_S
from services.monitoring.conditions import Condition
from services.monitoring.health import Check
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading
from services.schedule.schedule import Job
from texts import Texts
from web.address import EdgeAddress

T = TypeVar("T")

CONFIG = Path(__file__).parents[1] / "config"


class Alarm(NamedTuple):
    name: str
    """Shown to admins as it is."""
    condition: Condition
    after_s: float = LASTS_S
    is_shared: bool = False
    """Whoever tells admins sees it, too; else a process says it to them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """What a builder gives. Numbers for /metrics it shows on `base.metrics` itself."""

    parts: Sequence[object] = ()
    """What later builders may ask for, each by its class."""
    services: Sequence[object] = ()
    """The groups that handlers see, each by its class."""
    jobs: Sequence[JobRow] = ()
    """Of every role; only those of the process's own are run."""
    steps: Steps = field(default_factory=Steps)
    kinds: Sequence[Kind] = ()
    """Of messages that the outbox carries."""
    scheduled: Sequence[Job] = ()
    """What is done when its time has come."""
    routes: Sequence[APIRouter] = ()
    """Of the HTTP edge."""
    health: Mapping[str, Check] = field(default_factory=dict[str, Check])
    alarms: Sequence[Alarm] = ()
    caches: Sequence[SmartCache[Any, Any]] = ()
    """What is kept in memory for a while, for admins to look at and forget."""
    readings: Sequence[Reading[object]] = ()
    """What has to be asked over a connection, for numbers and alarms."""


class Builder(Protocol):
    """A module of this package."""

    @property
    def JOBS(self) -> tuple[JobSpec, ...]:  # noqa: N802 - a constant of the module
        """Every row that `build` may give a job, in any role."""
        ...

    @property
    def __name__(self) -> str: ...

    def build(self, base: Base, /) -> Feature: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What every builder stands on: the outside, the settings, and what the builders before it gave."""

    settings: Settings
    connections: Connections
    place: ProcessConfig
    terminal: Terminal
    texts: Texts
    metrics: Metrics
    lifecycle: Lifecycle
    edge: EdgeAddress
    pulse: Pulse
    """Which job has made progress when."""
    _given: dict[type, object] = field(default_factory=dict[type, object])

    def of(self, kind: type[T]) -> T:
        """What an earlier builder gave of this class. `FatalError` when none did."""
        found = self.find(kind)
        if found is None:
            raise FatalError(f"No builder gives a {kind.__name__} before it is asked for.")
        return found

    def find(self, kind: type[T]) -> T | None:
        """`of`, where a role may have none."""
        found = self._given.get(kind)
        return found if isinstance(found, kind) else None

    def give(self, part: object) -> None:
        """`FatalError` when there is one of this class."""
        if type(part) in self._given:
            raise FatalError(f"Two builders give a {type(part).__name__}.")
        self._given[type(part)] = part
