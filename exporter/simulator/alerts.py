"""The shape of Falco's alerts, as its gRPC server and its JSON outputs write them.

Owns the writing side of the two notations that ``sources/decode.py`` reads,
without sharing a line with it: a mistake in one must not hide in the other.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from exporter._proto import falco_outputs_pb2, falco_schema_pb2
from exporter.alert import Priority

_NUMBERS = frozenset(
    {
        "container.start_ts",
        "evt.arg.uid",
        "fd.lport",
        "fd.rport",
        "group.gid",
        "proc.exe_ino.ctime",
        "proc.exe_ino.ctime_duration_proc_start",
        "proc.exe_ino.mtime",
        "proc.pid",
        "proc.ppid",
        "proc.tty",
        "user.loginuid",
        "user.uid",
    }
)
_SOURCES = {"syscall": 0, "k8s_audit": 1, "internal": 2}
_PLUGIN = 3
_TIME_0 = b"\x0a\x00"
"""How a message of time 0 begins."""


@dataclass(frozen=True)
class SimulatedAlert:
    """One alert as a rule would make it."""

    time_ns: int
    """When the event happened, nanoseconds since 1970-01-01 UTC."""
    rule: str
    priority: Priority
    source: str
    hostname: str
    message: str
    """The output line without time and priority."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Output fields in Falco's text notation."""
    tags: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """The output line; Falco's own alerts have neither time nor priority in it."""
        if self.source == "internal":
            return self.message
        return f"{self._moment:%H:%M:%S}.{self.time_ns % 10**9:09d}: {self.priority.label} {self.message}"

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.time_ns // 10**9, UTC)

    def to_message(self, *, json_output: bool = False, order: int | None = None) -> bytes:
        """Write a serialised ``falco.outputs.response``; with json_output ``output`` is the JSON document.

        Members stand in the order of their numbers and output fields in another one in each message, as Falco's own
        library writes them: in that of the number ``order``, or of the alert's time.
        """
        before_fields = falco_outputs_pb2.response(
            priority=falco_schema_pb2.priority.ValueType(self.priority),
            source_deprecated=falco_schema_pb2.source.ValueType(_SOURCES.get(self.source, _PLUGIN)),
            rule=self.rule,
            output=self.to_json() if json_output else self.output,
        )
        before_fields.time.seconds, before_fields.time.nanos = divmod(self.time_ns, 10**9)
        behind_fields = falco_outputs_pb2.response(hostname=self.hostname, tags=sorted(self.tags), source=self.source)
        entries = [_entry(name, value) for name, value in self.fields.items()]
        random.Random(self.time_ns if order is None else order).shuffle(entries)  # noqa: S311 - no secret
        return b"".join((before_fields.SerializeToString(), *entries, behind_fields.SerializeToString()))

    def to_json(self) -> str:
        """Write the alert as Falco's JSON outputs do: compact, keys sorted, fields typed, ``evt.time`` added."""
        document = {
            "hostname": self.hostname,
            "output": self.output,
            "output_fields": {name: _to_json_value(name, value) for name, value in self.fields.items()}
            | {"evt.time": self.time_ns},
            "priority": self.priority.label,
            "rule": self.rule,
            "source": self.source,
            "tags": sorted(self.tags),
            "time": f"{self._moment:%Y-%m-%dT%H:%M:%S}.{self.time_ns % 10**9:09d}Z",
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=8_192)
def _entry(name: str, value: str) -> bytes:
    """Return a message that is one output field and nothing else: joined to another it is one more field of that."""
    return falco_outputs_pb2.response(output_fields={name: value}).SerializeToString()


def _to_json_value(name: str, value: str) -> str | int | None:
    if value == "<NA>":
        return None
    return int(value) if name in _NUMBERS else value


def stamp(message: bytes, time_ns: int) -> bytes:
    """Give a message that was serialised with time 0 its time, some twenty times faster than writing it anew."""
    seconds, nanos = divmod(time_ns, 10**9)
    time = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
    return b"".join((b"\x0a", bytes((len(time),)), time, message.removeprefix(_TIME_0)))
