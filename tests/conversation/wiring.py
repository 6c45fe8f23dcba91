"""`Services` for a bot that is composed of some mixins only."""

from __future__ import annotations

from typing import Any, cast

from handlers.conversation.base import Services


def services_of(**collaborators: object) -> Services:
    """Take what the bot under test needs; whatever it does not need is not there."""
    absent = dict.fromkeys(set(Services.__dataclass_fields__) - set(collaborators))
    return Services(**cast("Any", {**absent, **collaborators}))
