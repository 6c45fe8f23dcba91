"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.claims.dead_letters import DeadLetters


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimServices:
    dead_letters: DeadLetters
