"""Structured logs that carry ids and codes, never names, tokens, SDP, addresses or free text."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from huizhen.settings import Settings

REDACTED = "[redacted]"
# What a log line may carry: everything else is redacted, so a careless call cannot leak.
SAFE_KEYS = frozenset(
    {
        *(
            "event",
            "level",
            "timestamp",
            "logger",
            "code",
            "status",
            "method",
            "route",
            "ms",
            "count",
            "reason",
            "error",
        ),
        *(
            "consult",
            "seat",
            "recording",
            "institution",
            "staff",
            "room",
            "job",
            "part",
            "port",
            "node",
            "where",
            "version",
        ),
        *("outcome", "bytes", "free_mb", "seconds", "url", "trace"),
        *("recording_id", "segment_id", "consult_id", "seat_id", "room_id", "participant_id"),
    }
)
_EVENT = re.compile(r"[A-Za-z0-9_.:() -]{1,240}\Z")
_VALUE = re.compile(r"[A-Za-z0-9_.:/{}<>() +-]{0,160}\Z")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-fA-F]{1,4}:){3,}[0-9a-fA-F:]*")
_TOKEN = re.compile(r"\b[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\b")


def redact(_logger: object, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """structlog processor: unknown keys and values that look like text, addresses or tokens are replaced."""
    return {key: _clean(key, value) for key, value in line.items()}


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if key not in SAFE_KEYS:
        return REDACTED
    text = str(value)
    if key == "url":  # our own address, printed at start for the person who started us
        return text
    pattern = _EVENT if key == "event" else _VALUE
    if key != "timestamp" and (not pattern.match(text) or _ADDRESS.search(text) or _TOKEN.search(text)):
        return REDACTED
    return text


_OURS = frozenset({"audit", "clinic", "consent", "recording", "archive", "rtc", "signaling", "huizhen"})


def trace(error: BaseException) -> str:
    """Where it happened, innermost last, without the message: messages of libraries quote values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " ".join(f"{Path(frame.filename).stem}:{frame.lineno}" for frame in frames)


class _Foreign(logging.Filter):
    """Lines of libraries may quote anything (URLs, SDP, SQL parameters): only who spoke and how loud is kept.

    Our own packages write codes and ids; their text stays, their arguments pass the same redaction as structured lines.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if record.name.partition(".")[0] in _OURS:
            record.msg = record.msg if not record.args else str(record.msg).partition("%")[0].strip()
        else:
            record.msg = "library message"
        if error is not None:
            record.msg = f"{record.msg} ({type(error).__name__} at {trace(error)})".lower()
        record.args = ()
        record.exc_info = None
        record.exc_text = None
        record.stack_info = None
        return True


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging, once per process."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    chain: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_Foreign())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *chain],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def get(part: str) -> Any:
    """A logger whose lines say which part speaks."""
    return structlog.get_logger().bind(part=part)
