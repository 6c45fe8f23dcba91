"""What is known of tokens that people name."""

from __future__ import annotations

from bot.jobs import JobSpec
from composition.feature import Base, Feature
from runtime.clock import now
from services.calls.tokens import TokensService
from services.providers.figures import FiguresService
from services.tokens.identifying import Identifying
from services.tokens.outcomes import Outcomes
from services.tokens.tokens import TokenKnowledge
from services.why.group import WhyServices

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    knowledge = TokenKnowledge(
        identifying=Identifying(base.connections.lookups),
        outcomes=Outcomes(base.connections.postgres),
        explanations=base.of(WhyServices).explanations,
        tokens=base.of(TokensService),
        figures=base.of(FiguresService),
        clock=now,
    )
    return Feature(services=[knowledge])
