"""Reports: those that come by themselves, those that are asked for, and the process that draws their pictures."""

from __future__ import annotations

from bot.jobs import JobSpec
from composition.feature import Base, Feature
from managers.pictures.maker import PictureMaker
from runtime.clock import now
from services.cards.names import Names
from services.claims.putting import Putting
from services.delivery.delivery import DeliveryService
from services.delivery.media import MediaFiles
from services.monitoring.metrics import Metrics
from services.reports.composing import ReportComposer
from services.reports.drawing import Drawing
from services.reports.figures import ReportFigures
from services.reports.group import ReportServices
from services.reports.pictures import PictureWords
from services.reports.rows import ReportRows
from services.reports.schedule import ReportSchedule
from services.reports.sending import ReportSending
from services.running.controls import Controls
from services.schedule.due_times import DueTimes
from services.subscribers.group import SubscriberServices

JOBS: tuple[JobSpec, ...] = ()


def build(base: Base) -> Feature:
    subscribers, delivery = base.of(SubscriberServices), base.of(DeliveryService)
    telegram, pictures, postgres = base.connections.telegram, base.connections.pictures, base.connections.postgres
    figures = ReportFigures(
        ReportRows(postgres),
        clock=now,
        presets=lambda: [(preset.key, preset.name or preset.key) for preset in subscribers.presets.all()],
    )
    words = PictureWords(lambda: telegram.username if telegram.health().connected else "")
    drawing = Drawing(pictures, words, base.of(MediaFiles))
    schedule = ReportSchedule(
        figures=figures,
        subscribers=subscribers.subscribers,
        putting=base.of(Putting),
        due_times=base.of(DueTimes),
        postgres=postgres,
        clock=now,
        held=lambda: delivery.held,
    )
    sending = ReportSending(
        figures=figures,
        subscribers=subscribers.subscribers,
        putting=base.of(Putting),
        due_times=base.of(DueTimes),
        postgres=postgres,
        clock=now,
        room=schedule.room,
    )
    subscribers.subscribers.saved = schedule.changed
    schedule.is_off = lambda: base.of(Controls).is_off("reports")
    _show(base.metrics, pictures, schedule)
    return Feature(
        parts=[schedule],
        services=[ReportServices(figures=figures, drawing=drawing), sending],
        kinds=[ReportComposer(base.of(Names), drawing).row()],
        scheduled=[*schedule.jobs(), *sending.jobs()],
    )


def _show(metrics: Metrics, pictures: PictureMaker, schedule: ReportSchedule) -> None:
    metrics.counter_each("pictures", "Pictures, by what came of it.", "outcome", lambda: pictures.counts)
    metrics.counter("pictures_drawn_seconds", "Time that drawing took.", lambda: pictures.drawn_s)
    metrics.gauge("pictures_waiting", "Pictures that are wanted now.", lambda: pictures.waiting)
    metrics.counter_each("reports_put", "Reports that were put into an outbox.", "report", lambda: schedule.put)
    metrics.counter("reports_empty", "Reports that had nothing to tell.", lambda: schedule.empty)
