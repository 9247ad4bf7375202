"""Logs as one JSON object a line, with the course and the event that they are about.

Personal data stays out by construction: of an exception only its type and its frames are written, never its text,
which may quote a value.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

import orjson

CORRELATION = ("service", "course", "event_id", "text_id", "trace_id")
"""Extra fields of a log record that are written when they are given."""

NOISY = ("aiokafka.consumer.group_coordinator", "apscheduler", "shared.kafka.library_insides")
"""Loggers of libraries that warn of what passes by itself, kept at ERROR; the last is FastStream's."""


class JsonFormatter(logging.Formatter):
    """A log record as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: str(value) for name in CORRELATION if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            entry["exception"] = record.exc_info[0].__name__
            entry["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
        return orjson.dumps(entry).decode()


def configure(level: str, file: str | None = None) -> None:
    """Send all logs as JSON to stderr, or to a file.

    Args:
        level: DEBUG, INFO, WARNING or ERROR; libraries are kept at WARNING.
    """
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    for ours in ("shared", "services", "deploy"):
        logging.getLogger(ours).setLevel(level)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel("ERROR")
