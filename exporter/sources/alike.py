"""What an alert says besides its time, and the alert that says the same at another time.

Owns what both of Falco's notations keep of a message that came again. Refuses to know how such a message is found
(``alike_json.py``, ``alike_grpc.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from exporter.alert import Alert, Priority, make_alert, set_form, set_likeness, set_size
from exporter.form import Form
from exporter.likeness import Likeness

CLOCK_LENGTH = 18
"""Characters of ``HH:MM:SS.nnnnnnnnn``, with which an output text begins."""


class Said(NamedTuple):
    """What alerts have that are like one."""

    rule: str
    priority: Priority
    source: str
    hostname: str
    rest_of_output: str
    """Behind the clock."""
    fields: dict[str, str]
    tags: Sequence[str]
    form: Form
    likeness: Likeness
    size_bytes: int

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Return what alerts have that are like this one, whose output begins with a clock."""
        return cls(
            alert.rule, alert.priority, alert.source, alert.hostname, alert.raw_output[CLOCK_LENGTH:],
            alert.all_fields(), alert.tags, alert.form, alert.likeness, alert.size_bytes,
        )  # fmt: skip

    def at(self, time_ns: int, clock: bytes, fields: Mapping[str, str], message: bytes) -> Alert:
        """Return the alert of a message of another time: nanoseconds since 1970, and its clock in ASCII.

        ``fields`` are these, with those that depend on the time.
        """
        rule, priority, source, hostname, rest_of_output, _, tags, form, likeness, size_bytes = self
        output = clock.decode() + rest_of_output
        alert = make_alert(time_ns, rule, priority, source, hostname, output, fields, tags, message)
        set_form(alert, form)
        set_likeness(alert, likeness)
        set_size(alert, size_bytes)
        return alert
