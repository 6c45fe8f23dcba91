"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.why.explanations import ExplanationsService


@dataclass(frozen=True, kw_only=True, slots=True)
class WhyServices:
    explanations: ExplanationsService
