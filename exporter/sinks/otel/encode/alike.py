"""Records of alerts that differ in nothing but their time: what they have in common, made once.

Owns which pieces of a record depend on the time, and that nothing is made in pieces that may have to be cut. Advice
names the alert's second, so that pieces are those of one second. Refuses to make a piece (``record.py``).
"""

from __future__ import annotations

from typing import NamedTuple, Self

from exporter.alert import Alert
from exporter.catalog.uid import with_uid_bytes
from exporter.sinks.otel.encode.advice import LEFT_OUT, fraction_of
from exporter.sinks.otel.encode.advice import Encoded as EncodedAdvice
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.queue.records import Encoded

_OWN_ATTRIBUTES, _OWN_BYTES = 3, 1_024
"""At most, of an alert's own: its uid, its report's address and its incident's name, and its times."""
ADDRESS_CHARACTERS = 512
"""Of the beginning of a report's address, beyond which no record is made in pieces."""
_NS = 1_000_000_000


class Timeless(NamedTuple):
    """What of a record the time and the advice have no part in."""

    begin: bytes
    """What stands before the uid."""
    fields: bytes
    """What stands behind it, up to its report's address and its incident's name."""
    body: bytes
    """What stands behind those."""
    attributes: int
    """How many it has at most."""


class Alike(NamedTuple):
    """Pieces of the records of one second; before, between and behind them stands what is an alert's own."""

    timeless: Timeless
    second: int
    """Seconds since 1970."""
    advice: EncodedAdvice
    before_fraction: bytes
    """The lines for a pager and the report's Markdown, up to the fraction of the second in it."""
    behind_fraction: bytes

    @classmethod
    def of(cls, alert: Alert, timeless: Timeless, advice: EncodedAdvice, budget: Budget) -> Self | None:
        """Return the pieces of such alerts; None where a record may be too long."""
        texts = (b"", b"") if advice.shared is None else advice.shared.around_fraction(alert)
        made = cls(timeless, alert.time_ns // _NS, advice, *texts)
        size, attributes = made.size_bytes + len(advice.encoded), timeless.attributes + advice.attributes
        fits = budget.surely_fits(size + _OWN_BYTES, attributes + _OWN_ATTRIBUTES, plain_bytes=advice.plain_bytes)
        return made if fits else None

    @property
    def size_bytes(self) -> int:
        """How many bytes it has besides the advice, which others share."""
        return sum(map(len, (*self.timeless[:3], *self[3:])))

    @property
    def is_lasting(self) -> bool:
        """Whether the next alert has the same pieces; not where there was no time for advice."""
        return self.advice is not LEFT_OUT

    def is_of(self, alert: Alert) -> bool:
        """Whether the alert is of the second of these pieces."""
        return alert.time_ns // _NS == self.second

    def record(self, alert: Alert, times: bytes, uid: bytes, own: bytes) -> Encoded:
        """Return an alert's record; ``times``, ``uid`` and ``own`` are its attributes before and behind its fields."""
        (begin, fields, body, _), _, advice, before, behind = self
        fraction = fraction_of(alert) if behind else b""
        record = Encoded(b"".join((times, begin, uid, fields, own, body, before, fraction, behind)), advice.encoded)
        return named(record, advice, alert.uid) if any(advice.names_uid) else record


def named(record: Encoded, advice: EncodedAdvice, uid: str) -> Encoded:
    """Return the record with the alert's uid where its advice names it; no length changes."""
    in_own, in_advice = advice.names_uid
    return Encoded(
        with_uid_bytes(record.own, uid) if in_own else record.own,
        with_uid_bytes(record.advice, uid) if in_advice else record.advice,
    )
