"""A person who subscribes without being asked, so that a demonstration needs no click."""

from __future__ import annotations

import structlog

from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.updates import JsonObject

PRESET_PREFIX = "preset:"
PRESET = "preset:fresh_launches"
"""Some three calls a minute of the sandbox's market: what passes most uses up the alerts of an hour in minutes."""
_ATTEMPTS = 6

log = structlog.get_logger()


async def run_demo(user: SandboxUser, *, answer_timeout_s: float = 10.0) -> bool:
    """Send /start and tap `PRESET`, or else the first that the bot offers; True if one was tapped and answered.

    A bot that answers without offering a preset knows the person already, and is left alone. Without any
    answer (the bot may still be starting) /start is sent again, at most six times in all.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        await user.send("/start")
        offer, has_answered = await _offer(user, answer_timeout_s)
        if offer is not None and await _accept(user, offer, answer_timeout_s):
            return True
        if offer is None and has_answered:
            log.info("demo_found_subscribed", user_id=user.id)
            return False
        log.warning("demo_unanswered", user_id=user.id, attempt=attempt)
    return False


async def _offer(user: SandboxUser, timeout_s: float) -> tuple[JsonObject | None, bool]:
    """Await a message with presets; without one, say whether the bot has said anything at all."""
    has_answered = False

    def is_offer(message: JsonObject) -> bool:
        nonlocal has_answered
        has_answered = True
        return bool(_presets(message))

    try:
        return await user.next_message(timeout_s=timeout_s, where=is_offer), True
    except TimeoutError:
        return None, has_answered


async def _accept(user: SandboxUser, offer: JsonObject, timeout_s: float) -> bool:
    offered = _presets(offer)
    preset = PRESET if PRESET in offered else offered[0]
    try:
        await user.tap_data(offer, preset, timeout_s=timeout_s)
    except TimeoutError:
        return False
    log.info("demo_subscribed", user_id=user.id, preset=preset.removeprefix(PRESET_PREFIX))
    return True


def _presets(message: JsonObject) -> list[str]:
    data: list[str] = [button["callback_data"] for button in callback_buttons(message)]
    return [each for each in data if each.startswith(PRESET_PREFIX)]
