"""What is known of tokens that people name."""

from __future__ import annotations

from functools import partial

from bot.jobs import JobSpec
from composition.feature import Base, Feature
from runtime.clock import now
from services.calls.tokens import TokensService
from services.providers.figures import FiguresService
from services.running.controls import Controls
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
        main_of=partial(_main_of, base),
    )
    return Feature(services=[knowledge])


def _main_of(base: Base, channel_id: str) -> str:
    return base.of(Controls).merges.main_of(channel_id)
