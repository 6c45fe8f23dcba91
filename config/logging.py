"""structlog: one JSON line per event in LOG_DIR/bot.log and in the file of its subject, readable lines in the terminal.

Secrets never reach a log: a processor takes out what may not be shown (`config/redaction.py`). A file that was moved
away is begun anew, so logrotate may rotate whenever it likes; where nobody does, a file is rotated here when it is
long. The level may change while the bot runs (`set_level`).
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from collections.abc import Container
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, TextIO, cast

import stamina
import structlog
from structlog.typing import EventDict, Processor

from config.redaction import Redactor
from runtime.private_files import make_usable

Format = Literal["console", "json"]
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
MAX_FILE_BYTES = 20_000_000
KEPT_FILES = 5
FILES = {
    "payments.log": ("services.payments", "services.plans"),
    "rediserror.log": ("managers.redis.circuit", "managers.redis.written"),
    "redisperformance.log": ("managers.redis.latencies",),
    "sent_notifications.log": ("services.delivery.settling",),
    "user_settings.log": ("services.subscribers",),
}
"""Besides bot.log, which has everything: what somebody looks for by subject, by the names of the loggers."""
CHATTY = ("httpx", "httpcore", "httpx2", "httpcore2", "telegram", "aiohttp.access", "alembic", "websockets")

ALARM_EVENTS: Final = frozenset({"alarm_began", "alarm_grew", "alarm_ended"})
"""People see these in the terminal, each as one line of its own kind."""
FOR_FILES: Final = frozenset({"heartbeat"})
"""These are no news to people: the terminal leaves them to the files, where there are any."""


class _WrittenOnce(structlog.stdlib.ProcessorFormatter):
    """A record goes into several files, and each of them looks how long it is before it takes it."""

    def format(self, record: logging.LogRecord) -> str:
        line = getattr(record, "line", None)
        if line is None:
            line = record.line = super().format(record)
        return line


class _Terminal(logging.StreamHandler[TextIO]):
    """Says what matters, where files have the rest."""

    def __init__(self, stream: TextIO, *, has_files: bool, for_people: bool) -> None:
        super().__init__(stream)
        self._least = logging.WARNING if has_files else logging.NOTSET
        self._told: Container[str] = ALARM_EVENTS if for_people else ()
        self._untold: Container[str] = FOR_FILES if has_files and for_people else ()

        self.addFilter(self._shows)

    def _shows(self, record: logging.LogRecord) -> bool:
        said: object = record.msg
        event = str(cast("dict[str, object]", said).get("event")) if isinstance(said, dict) else ""
        return event not in self._untold and (record.levelno >= self._least or event in self._told)


def _for_people(*, colors: bool) -> Processor:
    """A renderer that says an alarm in one tidy line, and anything else in structlog's way."""
    others = structlog.dev.ConsoleRenderer(colors=colors)

    def render(logger: object, method: str, event: EventDict) -> str | bytes:
        if event["event"] not in ALARM_EVENTS:
            return others(logger, method, event)
        if event["event"] == "alarm_ended":
            said = f"✓ {event['alarm']}: over after {timedelta(seconds=round(event['lasted_s']))}"
        else:
            said = f"⚠ {event['alarm']}: {event['reason']}; see /health or docs/alerts.md"
        return f"{event['timestamp'][11:19]} {' '.join(said.split())}"

    return render


class _File(logging.handlers.RotatingFileHandler):
    """A full disk costs its lines, which are in the terminal if they matter, not a traceback for each of them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._follow_the_name()
        except OSError:
            return  # nobody can write there now, and there is nobody to tell
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def _follow_the_name(self) -> None:
        """Begin a new file when somebody has moved ours away, or deleted it."""
        if self.stream is None:  # pyright: ignore[reportUnnecessaryComparison] - until the first line it is
            return
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            there = None
        ours = os.fstat(self.stream.fileno())
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            self.stream.close()
            self.stream = self._open()


def configure_logging(
    *,
    level: str,
    directory: Path | None,
    stream: TextIO | None = sys.stderr,
    form: Format = "console",
    redactor: Redactor | None = None,
) -> None:
    """Set up logging for this process. `directory=None` logs to the terminal only, `stream=None` to files only.

    `form` is the terminal's.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    redacting = redactor or Redactor()
    json = structlog.processors.JSONRenderer()
    handlers: list[logging.Handler] = []
    if stream:
        shown = json if form == "json" else _for_people(colors=stream.isatty())
        terminal = _Terminal(stream, has_files=directory is not None, for_people=form == "console")
        terminal.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_processors(shown, redacting))
        )
        handlers.append(terminal)
    if directory:
        make_usable(directory, "LOG_DIR")
        written = _WrittenOnce(foreign_pre_chain=shared, processors=_processors(json, redacting))
        handlers.append(_file_handler(directory / "bot.log", written))
        _open_subjects(directory, written)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    # Every attempt of every waiting operation would be a line; who went away and came back is logged where it is known.
    stamina.instrumentation.set_on_retry_hooks([])
    # Its pool tries in the background as well; that PostgreSQL is unavailable says who needs it.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
    set_level(level)


def set_level(level: str) -> None:
    """Log from this level on, at once and in every file; one of `LEVELS`."""
    threshold = logging.getLevelNamesMapping()[level]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(threshold))
    root = logging.getLogger()
    root.setLevel(threshold)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, threshold))


def current_level() -> str:
    return logging.getLevelName(logging.getLogger().level)


def _open_subjects(directory: Path, formatter: logging.Formatter) -> None:
    for name, loggers in FILES.items():
        handler = _file_handler(directory / name, formatter)
        for logger in loggers:
            logging.getLogger(logger).addHandler(handler)


def _processors(renderer: Processor, redactor: Redactor) -> list[Processor]:
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redactor,
        renderer,
    ]


def _file_handler(path: Path, formatter: logging.Formatter) -> logging.Handler:
    file = _File(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)
    file.setFormatter(formatter)
    return file
