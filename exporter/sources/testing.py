"""An alert that is a test, for those who want to see that alerts arrive.

Owns its content: a rule of no rules file, of the lowest priority.
"""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime

from exporter.alert import Alert
from exporter.sources.decode_json import from_json

RULE = "Test alert of falco-report-exporter"


def make_test_alert() -> Alert:
    """Return a test alert of this moment."""
    return make_posted_alert()[1]


def make_posted_alert() -> tuple[bytes, Alert]:
    """Return a test alert of this moment: what Falco would post, and the alert that it is."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}"
    document = {
        "time": f"{moment}Z",
        "rule": RULE,
        "priority": "Debug",
        "source": "internal",
        "hostname": socket.gethostname(),
        "output": f"{moment[11:]}: Debug This is a test alert; nothing has happened",
        "output_fields": {},
        "tags": ["test"],
    }
    posted = json.dumps(document).encode()
    return posted, from_json(posted)
