"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.tracking.records.corrections import Corrections
from services.tracking.records.records import RecordsService


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordServices:
    records: RecordsService
    corrections: Corrections
