"""structlog: one JSON line per event in LOG_DIR/bot.log and in the file of its subject, readable lines in the terminal.

Secrets never reach a log: events carry ids and reasons, and a processor blanks what looks like a bot token.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TextIO

import stamina
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from runtime.redaction import without_bot_tokens

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


def _blank_tokens(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: without_bot_tokens(v) if isinstance(v, str) else v for key, v in event.items()}


class _WrittenOnce(structlog.stdlib.ProcessorFormatter):
    """A record goes into several files, and each of them looks how long it is before it takes it."""

    def format(self, record: logging.LogRecord) -> str:
        line = getattr(record, "line", None)
        if line is None:
            line = record.line = super().format(record)
        return line


def _processors(renderer: Processor) -> list[Processor]:
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _blank_tokens,
        renderer,
    ]


class _File(logging.handlers.RotatingFileHandler):
    """A full disk costs its lines, which are in the terminal if they matter, not a traceback for each of them."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


def _file_handler(path: Path, formatter: logging.Formatter) -> logging.Handler:
    file = _File(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)
    file.setFormatter(formatter)
    return file


def configure_logging(*, level: str, directory: Path | None, stream: TextIO = sys.stderr) -> None:
    """Set up logging for this process. `directory=None` logs to the terminal only."""
    threshold = logging.getLevelNamesMapping()[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        cache_logger_on_first_use=False,
    )
    terminal = logging.StreamHandler(stream)
    terminal.setLevel(max(logging.WARNING, threshold) if directory else threshold)
    readable = _processors(structlog.dev.ConsoleRenderer(colors=stream.isatty()))
    terminal.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=readable))
    handlers: list[logging.Handler] = [terminal]
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
        json = _WrittenOnce(foreign_pre_chain=shared, processors=_processors(structlog.processors.JSONRenderer()))
        handlers.append(_file_handler(directory / "bot.log", json))
        for name, loggers in FILES.items():
            handler = _file_handler(directory / name, json)
            for logger in loggers:
                logging.getLogger(logger).addHandler(handler)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    # Every attempt of every waiting operation would be a line; who went away and came back is logged where it is known.
    stamina.instrumentation.set_on_retry_hooks([])
    # Its pool tries in the background as well; that PostgreSQL is unavailable says who needs it.
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)
    for chatty in ("httpx", "httpcore", "telegram", "aiohttp.access", "alembic", "websockets"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
