"""The bot that people talk to: every mixin, and the core under them."""

from __future__ import annotations

from bot.core import TokenFilterBot
from handlers.admin.health import AdminHealthMixin
from handlers.admin.users import AdminUsersMixin
from handlers.help import HelpMixin
from handlers.payments import PaymentsMixin
from handlers.settings import UserSettingsMixin
from handlers.start import StartMixin


class TelegramBot(
    UserSettingsMixin, PaymentsMixin, StartMixin, HelpMixin, AdminHealthMixin, AdminUsersMixin, TokenFilterBot
):
    """Left to right: what subscribers do, what admins do, and what carries the calls. Holds nothing itself."""
