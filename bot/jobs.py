"""Every background job is one row: what it is called, where it runs, under which lease, and what it does.

The builder that makes what a job runs declares the row beside it. `TokenFilterBot` runs the rows of its role; the table
in docs/architecture.md is made from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bot.roles import ROLES, Role
from runtime.supervision import Job

Phase = Literal["connection", "intake", "working"]
"""`connection` jobs start first and end last. `intake` jobs bring calls and updates in, and end first; `working` jobs
go on until what came in is done."""

EVERY: Final[frozenset[Role]] = frozenset(ROLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobSpec:
    name: str
    does: str
    """For the table: what it does, in a few words."""
    roles: frozenset[Role] = EVERY
    phase: Phase = "working"
    lease: str | None = None
    """Of several processes one runs it, the one that holds this. A process of the role `all` holds every lease."""
    watched: bool = True
    """Whether the watchdog expects progress of it."""
    completes_stores: bool = False
    """The others may have to wait for it, and are excused while they do."""

    def run_by(self, run: Job) -> JobRow:
        return JobRow(self, run)


@dataclass(frozen=True, slots=True)
class JobRow:
    spec: JobSpec
    run: Job


def jobs_table(specs: Iterable[JobSpec]) -> str:
    """Show the rows in Markdown, in the order of their phases."""
    phases: dict[Phase, str] = {"connection": "connection", "intake": "intake", "working": "work"}
    rows = ["| job | does | in the role | phase |", "|---|---|---|---|"]
    for phase, shown in phases.items():
        rows += [_row(spec, shown) for spec in specs if spec.phase == phase]
    return "\n".join(rows)


def _row(spec: JobSpec, phase: str) -> str:
    roles = "every" if spec.roles == EVERY else ", ".join(role for role in ROLES if role in spec.roles)
    lease = f" (under the lease `{spec.lease}`)" if spec.lease else ""
    return f"| `{spec.name}`{lease} | {spec.does} | {roles} | {phase} |"
