"""The bot that people talk to: every mixin, and the core under them."""

from __future__ import annotations

from bot.core import TokenFilterBot
from handlers.account.help import HelpMixin
from handlers.account.start import StartMixin
from handlers.admin.admins import AdminAdminsMixin
from handlers.admin.audit import AdminAuditMixin
from handlers.admin.broadcasts.sending import AdminBroadcastSendingMixin
from handlers.admin.broadcasts.writing import AdminBroadcastsMixin
from handlers.admin.corrections import AdminCorrectionsMixin
from handlers.admin.dead_letters import AdminDeadLettersMixin
from handlers.admin.health import AdminHealthMixin
from handlers.admin.menu import AdminMenuMixin
from handlers.admin.payments import AdminPaymentsMixin
from handlers.admin.people.person import AdminPersonMixin
from handlers.admin.people.seeing import AdminSeeingMixin
from handlers.admin.people.subscriptions import AdminSubscriptionsMixin
from handlers.admin.people.users import AdminUsersMixin
from handlers.admin.plans import AdminPlansMixin
from handlers.admin.presets import AdminPresetsMixin
from handlers.admin.running.caches import AdminCachesMixin
from handlers.admin.running.channels import AdminChannelsMixin
from handlers.admin.running.maintenance import AdminMaintenanceMixin
from handlers.admin.running.merging import AdminMergingMixin
from handlers.admin.running.operating import AdminOperatingMixin
from handlers.admin.running.preset_history import AdminPresetHistoryMixin
from handlers.admin.running.reading import AdminReadingMixin
from handlers.admin.running.reports import AdminReportsMixin
from handlers.admin.running.sources import AdminSourcesMixin
from handlers.admin.settling import AdminSettlingMixin
from handlers.admin.statistics.statistics import AdminStatisticsMixin
from handlers.backtest.backtest import BacktestMixin
from handlers.channels.linked import LinkedChannelMixin
from handlers.channels.suggesting import SuggestMixin
from handlers.delivery.digests import DigestsMixin
from handlers.delivery.milestones import MilestonesMixin
from handlers.delivery.muting import MutingMixin
from handlers.delivery.news import NewsMixin
from handlers.delivery.pausing import PausingMixin
from handlers.delivery.settings import DeliveryMixin
from handlers.export.export import ExportMixin
from handlers.export.leaving import LeavingMixin
from handlers.filters.filter_sets import UserSettingsMixin
from handlers.filters.rules import RulesMixin
from handlers.filters.sharing import SharingMixin
from handlers.payments.account import PaymentsMixin
from handlers.payments.buying import BuyingMixin
from handlers.payments.invoices import InvoicesMixin
from handlers.payments.other_coins import OtherCoinsMixin
from handlers.payments.solana import SolanaMixin
from handlers.payments.stars import StarsMixin
from handlers.records.records import RecordsMixin
from handlers.reports.reports import ReportsMixin
from handlers.tokens.tokens import TokensMixin
from handlers.watches.watching import WatchesMixin
from handlers.why.why import WhyMixin


class TelegramBot(
    UserSettingsMixin,
    RulesMixin,
    SharingMixin,
    BacktestMixin,
    DeliveryMixin,
    DigestsMixin,
    MutingMixin,
    PausingMixin,
    MilestonesMixin,
    NewsMixin,
    RecordsMixin,
    WhyMixin,
    WatchesMixin,
    LinkedChannelMixin,
    SuggestMixin,
    TokensMixin,
    ReportsMixin,
    PaymentsMixin,
    BuyingMixin,
    StarsMixin,
    SolanaMixin,
    OtherCoinsMixin,
    InvoicesMixin,
    ExportMixin,
    LeavingMixin,
    StartMixin,
    HelpMixin,
    AdminMenuMixin,
    AdminHealthMixin,
    AdminStatisticsMixin,
    AdminUsersMixin,
    AdminPersonMixin,
    AdminSeeingMixin,
    AdminSubscriptionsMixin,
    AdminPlansMixin,
    AdminBroadcastsMixin,
    AdminBroadcastSendingMixin,
    AdminAdminsMixin,
    AdminAuditMixin,
    AdminPresetsMixin,
    AdminPresetHistoryMixin,
    AdminChannelsMixin,
    AdminMergingMixin,
    AdminReadingMixin,
    AdminCorrectionsMixin,
    AdminReportsMixin,
    AdminPaymentsMixin,
    AdminSettlingMixin,
    AdminDeadLettersMixin,
    AdminMaintenanceMixin,
    AdminOperatingMixin,
    AdminSourcesMixin,
    AdminCachesMixin,
    TokenFilterBot,
):
    """What subscribers do, what admins do, and what carries the calls, left to right. Holds nothing itself."""
