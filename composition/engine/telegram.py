"""Telegram's side of the conversation: the connection, updates by polling or webhook, the menu of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import structlog
from fastapi import APIRouter

from bot.command_menus import CommandMenus
from bot.health import telegram_health, updates_health
from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import SENDING, Role
from bot.telegram_bot import TelegramBot
from bot.updates import Updates, Webhook
from composition.feature import Alarm, Base, Feature
from domain.admins.roles import AdminRole
from handlers.conversation.base import ConversationServices
from handlers.conversation.routing import collect
from managers.storage.cache import SmartCache
from managers.telegram.conversation import TelegramConversation
from runtime.clock import now
from runtime.errors import TransientError
from services.administration.activity import ActivityService
from services.administration.admins import AdminsService
from services.administration.audit import AuditService
from services.administration.confirmations import Confirmations
from services.cluster.leases import Leases
from services.monitoring import conditions, gauges
from services.monitoring.alarms import AlarmsService
from services.monitoring.health import Check
from services.running.controls import Controls
from services.stores.sealing import Sealer
from services.subscribers.group import SubscriberServices
from services.subscribers.inputs import InputsService
from services.subscribers.permissions import PermissionsService
from web.telegram_webhook import PATH, TelegramWebhook

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WhyUnanswered = tuple[Callable[[], str | None], ...]
"""Each says why people who write to the bot get no answer, if it knows so."""

CONVERSING: frozenset[Role] = frozenset({"all", "gateway"})

TELEGRAM = JobSpec(name="telegram", does="connects to Telegram, and stays so", roles=SENDING)
UPDATES = JobSpec(
    name="updates",
    does="lets updates come, by polling (under the lease `gateway`) or by webhook",
    roles=CONVERSING,
    phase="intake",
)
MENUS = JobSpec(name="menus", does="shows the menu of commands", roles=CONVERSING)
JOBS = (TELEGRAM, UPDATES, MENUS)


def build(base: Base) -> Feature:
    telegram, role = base.connections.telegram, base.place.role
    conversation = TelegramConversation(telegram)
    permissions = SmartCache[tuple[int, int], bool].of("permissions")
    webhook = _webhook(base)
    menus = _menus(base)
    updates = Updates(
        telegram,
        webhook=webhook,
        show_menus=menus.publish,
        menus_wanted=menus.wanted,
        say=base.terminal.say,
        lead=base.of(Leases).lead if role == "gateway" else None,
    )
    _show(base)
    gauges.show_cache(base.metrics, permissions)
    why_unanswered: WhyUnanswered = (lambda: updates.webhook_problem, lambda: conversation.problem)
    services = ConversationServices(
        telegram=conversation,
        texts=base.texts,
        inputs=InputsService(base.connections.redis, base.of(Sealer)),
        permissions=PermissionsService(telegram, permissions),
        bot_username=lambda: telegram.username,
        admins=base.of(AdminsService),
        audit=base.of(AuditService),
        activity=base.of(ActivityService),
        confirmations=base.of(Confirmations),
        is_banned=partial(_is_banned, base),
        clock=now,
        standing=base.of(Controls),
        admin_wrote=partial(_admin_wrote, base, menus),
    )
    return Feature(
        parts=[updates],
        caches=[permissions],
        services=[services],
        jobs=[TELEGRAM.run_by(updates.keep_connected), UPDATES.run_by(updates.take), MENUS.run_by(updates.show_menus)],
        steps=Steps(drain=updates.drained),
        routes=[_router(webhook, updates, base)] if webhook and role in CONVERSING else [],
        health=_health(base, why_unanswered),
        alarms=_alarms(base, why_unanswered),
    )


def _admin_wrote(base: Base, menus: CommandMenus, chat_id: int) -> None:
    """Their chat takes messages as of now: what could not be brought there before is."""
    menus.admin_wrote(chat_id)
    base.of(AlarmsService).admin_wrote(chat_id)


def _menus(base: Base) -> CommandMenus:
    admins = base.of(AdminsService)

    async def known() -> Mapping[int, AdminRole]:
        try:
            await admins.load()
        except TransientError as error:
            log.warning("admins_not_read", reason=str(error))
        return admins.roles()

    menus = CommandMenus(base.connections.telegram, lambda: collect(TelegramBot).where(base.find), base.texts, known)
    admins.changed = menus.show_to
    return menus


async def _is_banned(base: Base, user_id: int) -> bool:
    subscriber = await base.of(SubscriberServices).subscribers.find(user_id)
    return subscriber is not None and subscriber.banned_at is not None


def _webhook(base: Base) -> Webhook | None:
    url, secret = base.settings.public_url, base.settings.telegram_webhook_secret
    if not url or not secret:
        return None
    return Webhook(url=url.rstrip("/") + PATH, secret=secret.get_secret_value())


def _router(webhook: Webhook, updates: Updates, base: Base) -> APIRouter:
    feed = base.connections.telegram.feed_update
    return TelegramWebhook(secret=webhook.secret, feed=feed, is_open=lambda: updates.is_open).router


def _health(base: Base, why_unanswered: WhyUnanswered) -> dict[str, Check]:
    telegram, health = base.connections.telegram, dict[str, Check]()
    if base.place.role in SENDING:
        health["telegram"] = partial(telegram_health, telegram, base.lifecycle)
    if base.place.role in CONVERSING:
        health["updates"] = partial(updates_health, telegram, why_unanswered, base.lifecycle)
    return health


def _alarms(base: Base, why_unanswered: WhyUnanswered) -> list[Alarm]:
    if base.place.role not in CONVERSING:
        return []
    queue, health = base.connections.telegram.queue, base.connections.telegram.health
    return [
        Alarm("updates", conditions.nobody_answered(lambda: health().problem, *why_unanswered)),
        Alarm("waiting updates", conditions.updates_waiting(lambda: queue.oldest_age_s, lambda: len(queue))),
    ]


def _show(base: Base) -> None:
    telegram = base.connections.telegram
    gauges.show_limiter(base.metrics, base.connections.limiter)
    gauges.show_telegram(base.metrics, lambda: telegram.foreign_answers)
    gauges.show_updates(base.metrics, telegram.queue, lambda: telegram.inbox.unreadable)
