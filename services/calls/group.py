"""What the conversation needs of this room."""

from __future__ import annotations

from dataclasses import dataclass

from services.calls.channels import ChannelsService


@dataclass(frozen=True, kw_only=True, slots=True)
class CallServices:
    channels: ChannelsService
