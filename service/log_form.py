"""The form of log lines: JSON for programs, text at a terminal."""

import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from service.request_id import current_request_id

# What BentoML's filter adds for its own text form.
_OF_BENTOML = ("component", "levelname_bracketed", "request_id", "service_name", "trace_msg")
# Where BentoML hangs its handlers; "" is the root.
_LOGGERS = ("", "bentoml", "circus", "uvicorn.error")


class LogForm(StrEnum):
    """How log lines are written."""

    AUTO = "auto"
    """Text at a terminal, JSON elsewhere."""
    JSON = "json"
    TEXT = "text"


def form_logs(form: LogForm) -> None:
    """Give every handler that BentoML has set up in this process the form."""
    is_json = form is LogForm.JSON or (form is LogForm.AUTO and not sys.stdout.isatty())
    formatter: logging.Formatter = JsonLines() if is_json else TextLines()
    for name in _LOGGERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(formatter)


class JsonLines(OrjsonFormatter):
    """One object a line: time, level, logger, message, request_id, and what the call adds."""

    def __init__(self) -> None:
        super().__init__(reserved_attrs=(*RESERVED_ATTRS, *_OF_BENTOML))

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        """Fill in the object."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(
            timespec="milliseconds"
        )
        log_data |= {"level": record.levelname.lower(), "logger": record.name}
        log_data |= {"process": record.process, "message": record.getMessage()}
        if request_id := current_request_id.get():
            log_data["request_id"] = request_id
        if trace := getattr(record, "trace_msg", ""):
            log_data["trace"] = trace.strip(" ()")
        super().add_fields(log_data, record, message_dict)


class TextLines(logging.Formatter):
    """The same for a reader: time, level, message, and the request it belongs to."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of the base class
        """The line without a trace."""
        line = super().formatMessage(record)
        request_id = current_request_id.get()
        return f"{line} (request {request_id})" if request_id else line
