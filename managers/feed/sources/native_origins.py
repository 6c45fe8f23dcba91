"""Where a feed has its figures from, as far as it says so. A bad origin costs itself: the figure is the feed's own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Final, cast

import msgspec

from domain.calls.events import Disagreement, Origin
from domain.calls.figures import FIGURES
from managers.feed.sources.base import is_plausible
from managers.feed.sources.native_frames import DisagreementBody, OriginBody, TokenBody

_SOURCE: Final = re.compile(r"[a-z0-9 ._-]{1,40}", re.ASCII)
_NAMES: Final = frozenset(FIGURES)


def read_origins(body: TokenBody, received_at: datetime) -> dict[str, Origin]:
    """Give the origins of figures that are there; what claims to be from later is from now."""
    origins: object = body.origins
    if not isinstance(origins, dict):
        return {}
    said = cast("dict[str, object]", origins)
    found = ((name, _origin(one, received_at)) for name, one in said.items() if name in _NAMES)
    return {name: origin for name, origin in found if origin is not None and getattr(body, name) is not None}


def read_disputed(body: TokenBody) -> dict[str, Disagreement]:
    """Give what others say of figures that are there."""
    disputed: object = body.disputed
    if not isinstance(disputed, dict):
        return {}
    said = cast("dict[str, object]", disputed)
    found = ((name, _disagreement(one)) for name, one in said.items() if name in _NAMES)
    return {name: other for name, other in found if other is not None and getattr(body, name) is not None}


def _disagreement(said: object) -> Disagreement | None:
    try:
        one = msgspec.convert(said, DisagreementBody)
    except msgspec.ValidationError:
        return None
    return Disagreement(one.source, one.value) if _SOURCE.fullmatch(one.source) and isfinite(one.value) else None


def _origin(said: object, received_at: datetime) -> Origin | None:
    try:
        one = msgspec.convert(said, OriginBody)
    except msgspec.ValidationError:
        return None
    if not _SOURCE.fullmatch(one.source) or not is_plausible(one.at, received_at):
        return None
    return Origin(one.source, min(one.at.astimezone(UTC), received_at))
