"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.reports.drawing import Drawing
from services.reports.figures import ReportFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportServices:
    figures: ReportFigures
    drawing: Drawing
