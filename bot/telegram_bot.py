"""The bot that people talk to: every mixin, and the core under them."""

from __future__ import annotations

from bot.core import TokenFilterBot
from handlers.admin.health import AdminHealthMixin
from handlers.admin.letters import AdminLettersMixin
from handlers.admin.presets import AdminPresetsMixin
from handlers.admin.users import AdminUsersMixin
from handlers.delivery import DeliveryMixin
from handlers.help import HelpMixin
from handlers.payments import PaymentsMixin
from handlers.rules import RulesMixin
from handlers.settings import UserSettingsMixin
from handlers.sharing import SharingMixin
from handlers.start import StartMixin
from handlers.why import WhyMixin


class TelegramBot(
    UserSettingsMixin,
    RulesMixin,
    SharingMixin,
    DeliveryMixin,
    WhyMixin,
    PaymentsMixin,
    StartMixin,
    HelpMixin,
    AdminHealthMixin,
    AdminUsersMixin,
    AdminPresetsMixin,
    AdminLettersMixin,
    TokenFilterBot,
):
    """What subscribers do, what admins do, and what carries the calls, left to right. Holds nothing itself."""
