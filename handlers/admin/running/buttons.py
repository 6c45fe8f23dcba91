"""The buttons of running the bot. A channel is named by a tag, see `services/running/channels.py`."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowMaintenance(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "upkeep"


class AskControl(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant, or why; `domain.admins.controls` has the words, here and below."""

    prefix: ClassVar[str] = "askctl"
    control: str
    subject: str


class PutControl(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "putctl"
    control: str
    subject: str


class LiftControl(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "liftctl"
    control: str
    subject: str


class ShowSources(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "sources"


class AskPauseSource(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "asksource"
    source: str


class PauseSource(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "pausesource"
    source: str


class ResumeSource(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "resumesource"
    source: str


class AskReplay(CallbackData, frozen=True, array_like=True):
    """Ask from where."""

    prefix: ClassVar[str] = "askreplay"


class Replay(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "replay"
    cursor: int


class ShowCaches(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "caches"


class ShowCache(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "onecache"
    cache: str


class AskForget(CallbackData, frozen=True, array_like=True):
    """Ask whether all of it is meant."""

    prefix: ClassVar[str] = "askforget"
    cache: str


class Forget(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "forget"
    cache: str


class AskCacheKey(CallbackData, frozen=True, array_like=True):
    """Ask for the key of the one value."""

    prefix: ClassVar[str] = "askkey"
    cache: str


class ShowOperating(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "operate"


class Reconnect(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "reconnect"
    part: str


class LetIn(CallbackData, frozen=True, array_like=True):
    """Try a host that is shut out; named by its place in the list that was shown, and how it begins."""

    prefix: ClassVar[str] = "letin"
    host: str


class SetLogLevel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "loglevel"
    level: str


class ShowAdminChannels(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adchannels"
    which: str
    page: int


class FindChannel(CallbackData, frozen=True, array_like=True):
    """Ask what it is called."""

    prefix: ClassVar[str] = "findchannel"


class ShowAdminChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adchannel"
    tag: str


class AskBlock(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "askblock"
    tag: str


class BlockChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "blockchannel"
    tag: str


class UnblockChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "unblock"
    tag: str


class FeatureChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "feature"
    tag: str
    featured: bool


class AskMerge(CallbackData, frozen=True, array_like=True):
    """Ask which channel it is as well."""

    prefix: ClassVar[str] = "askmerge"
    tag: str


class ChooseMain(CallbackData, frozen=True, array_like=True):
    """Ask whether the first is to be the second."""

    prefix: ClassVar[str] = "askmain"
    tag: str
    main_tag: str


class MergeChannels(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "merge"
    tag: str
    main_tag: str


class SeparateChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "separate"
    tag: str


class ShowSending(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "sendreports"


class ChooseReport(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "sendreport"
    report: str


class TestReport(CallbackData, frozen=True, array_like=True):
    """Send it to oneself."""

    prefix: ClassVar[str] = "testreport"
    report: str


class AskReportPerson(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "reportwhom"
    report: str


class SendReport(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "reportto"
    report: str
    user_id: int


class AskReportAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "askreportall"
    report: str
    whom: str
    """`services.reports.sending.Segment`."""


class SendReportAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "reportall"
    report: str
    whom: str
    """`services.reports.sending.Segment`."""


class ShowPresetHistory(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "presethistory"
    preset_key: str
    page: int


class AskRestorePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "askoldpreset"
    preset_key: str
    revision: int


class RestorePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "oldpreset"
    preset_key: str
    revision: int
