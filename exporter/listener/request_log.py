"""What aiohttp has to say of requests, fit for a log that strangers can write to.

Owns the difference between a peer's fault, which is counted, and ours, which
is logged with its traceback.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

from exporter.listener.connection import Reject


class RequestLog(logging.Logger):
    """aiohttp's logger for one listener; what peers do wrong goes to ``reject`` as ``bad_request``."""

    def __init__(self, parent: logging.Logger, reject: Reject) -> None:
        super().__init__(parent.name)
        self.parent = parent
        self._reject = reject

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        """Count a peer's fault; log ours."""
        if isinstance(exc_info, HttpProcessingError):
            self._reject("bad_request")
        else:
            self.error(msg, *args, exc_info=exc_info, **kwargs)
