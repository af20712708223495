"""What aiohttp has to say of requests, fit for a log that strangers can write to.

Owns the difference between a peer's fault, which is counted, and ours, which
is logged with its traceback.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from exporter.listener.connection import Reject
from exporter.log_limit import LogLimit

_ABORTED = (ConnectionError, web.RequestPayloadError)
"""The peer went away in the middle of its request."""


class RequestLog(logging.Logger):
    """aiohttp's logger for one listener; ``reject`` is told of peers' faults and of ours."""

    def __init__(self, parent: logging.Logger, reject: Reject) -> None:
        super().__init__(parent.name)
        self.parent = parent
        self._reject = reject
        self._log_limit = LogLimit()

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        """Count a peer's fault; log ours, once per kind and minute, since strangers can repeat what causes it."""
        if isinstance(exc_info, HttpProcessingError):
            self._reject("bad_request")
        elif isinstance(exc_info, _ABORTED):
            self._reject("aborted")
        else:
            self._reject("internal")
            if self._log_limit.permits(type(exc_info).__name__):
                self.error(msg, *args, exc_info=exc_info, **kwargs)
