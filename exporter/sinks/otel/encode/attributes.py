"""Falco's output fields as OpenTelemetry attributes.

Owns what is worked out from a field's value, and the types; which field has
which attribute stands in ``event_sources.py``. Refuses the rest of the record (see ``encode.py``). A field that the
table does not name, or whose value does not have the attribute's type, goes
under ``falco.output_fields.`` as it came. docs/log-records.md lists it all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import getitem

from exporter.alert import ABSENT, Alert, absent_values
from exporter.event_sources import fields
from exporter.form import Form
from exporter.identity import ATTRIBUTES
from exporter.kept import NAMES_CHARACTERS, Kept, Made
from exporter.sinks.otel.encode.wire import AttributeKey

OUTPUT_FIELDS_PREFIX = "falco.output_fields."

ValueWriter = Callable[[str], bytes | None]
"""Makes an attribute of one field's value; None where the value has not the attribute's type or meaning."""
AlertWriter = Callable[[Alert, str], bytes | None]
"""The same for an attribute that depends on more of the alert."""

STRINGS: Mapping[str, str] = {
    **{field.name: field.attribute for field in fields() if field.attribute and field.kind is str},
    **{f"static.{word}": name for word, name in ATTRIBUTES.items()},
}
"""Field to attribute, text to text."""

INTEGERS: Mapping[str, str] = {field.name: field.attribute for field in fields() if field.kind is int}
"""Field to attribute, decimal number to int."""

TARGET_NAMES: Mapping[str, str] = {
    "namespaces": "k8s.namespace.name",
    "pods": "k8s.pod.name",
    "deployments": "k8s.deployment.name",
    "replicasets": "k8s.replicaset.name",
    "statefulsets": "k8s.statefulset.name",
    "daemonsets": "k8s.daemonset.name",
    "jobs": "k8s.job.name",
    "cronjobs": "k8s.cronjob.name",
    "services": "k8s.service.name",
    "nodes": "k8s.node.name",
    "persistentvolumes": "k8s.persistentvolume.name",
    "persistentvolumeclaims": "k8s.persistentvolumeclaim.name",
}
"""Kubernetes resource (``ka.target.resource``) to the attribute that ``ka.target.name`` gives besides."""

WORKED_OUT: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("file.path",), "string", "`fd.name` where it is a file's path (`fd.type` is file or directory, or not given)"),
    (("network.transport",), "string", "`fd.l4proto`, in lower case"),
    (
        ("process.interactive",),
        "bool",
        "`proc.tty` above 0; the number stays under `falco.output_fields.proc.tty`",
    ),
    (("container.image.tags",), "array of strings", "`container.image.tag`"),
    (("container.image.repo_digests",), "array of strings", "`container.image.digest`, as `repository@digest`"),
    (
        tuple(TARGET_NAMES.values()),
        "string",
        "`ka.target.name`, by `ka.target.resource`; the name stays under `falco.output_fields.ka.target.name`",
    ),
    (
        ("k8s.pod.name",),
        "string",
        "`ka.resp.name` of a pod whose request named none; it stays under `falco.output_fields.ka.resp.name`",
    ),
)
"""Attributes that need more than one field or a conversion: names, type, and what they are made of (Markdown)."""

_SKIPPED = frozenset({"evt.time"})
"""The record's own timestamp has it, and one transport adds it to every alert."""


def _integer(name: str) -> ValueWriter:
    key = AttributeKey(name)
    return lambda value: key.integer(int(value)) if _is_integer(value) else None


def _is_integer(value: str) -> bool:
    """Whether it is a decimal number of at most 18 digits, with a sign or without."""
    digits = value.removeprefix("-")
    return digits.isdigit() and digits.isascii() and len(digits) < 19


def _file_path() -> AlertWriter:
    """``fd.name`` is a path only where the descriptor is a file's: a connection's is ``ip:port->ip:port``."""
    path = AttributeKey("file.path")

    def write(alert: Alert, value: str) -> bytes | None:
        kind = alert.get("fd.type")
        if value.startswith("/") and kind in {None, "file", "directory"}:
            return path.string(value)
        return None

    return write


def _interactive() -> ValueWriter:
    """``proc.tty`` is the controlling terminal's number, 0 without one; the number itself stays beside."""
    interactive, tty = AttributeKey("process.interactive"), AttributeKey(OUTPUT_FIELDS_PREFIX + "proc.tty")
    truths = {True: interactive.boolean(True), False: interactive.boolean(False)}
    return lambda value: truths[int(value) > 0] + tty.string(value) if _is_integer(value) else None


def _image_tags() -> ValueWriter:
    tags = AttributeKey("container.image.tags")
    return lambda value: tags.strings((value,))


def _image_digests() -> AlertWriter:
    """Semantic conventions want ``repository@digest``; Falco's field has the digest alone."""
    digests = AttributeKey("container.image.repo_digests")

    def write(alert: Alert, value: str) -> bytes:
        repository = alert.get("container.image.repository")
        return digests.strings((f"{repository}@{value}" if repository and "@" not in value else value,))

    return write


def _transport() -> ValueWriter:
    transport = AttributeKey("network.transport")
    return lambda value: transport.string(value.lower())


def _target_name() -> AlertWriter:
    """A Kubernetes object's name also under its kind's own attribute, unless another field gives that one."""
    keys = {resource: AttributeKey(name) for resource, name in TARGET_NAMES.items()}
    own = AttributeKey(OUTPUT_FIELDS_PREFIX + "ka.target.name")

    def write(alert: Alert, value: str) -> bytes:
        resource = alert.get("ka.target.resource") or ""
        key = keys.get(resource)
        said = (resource == "namespaces" and alert.get("ka.target.namespace")) or (
            resource == "pods" and alert.get("ka.target.pod.name")
        )
        return own.string(value) if key is None or said else key.string(value) + own.string(value)

    return write


def _response_name() -> AlertWriter:
    """The name that the API server gave a new pod (``generateName``), unless the request named it itself."""
    pod = AttributeKey("k8s.pod.name")
    own = AttributeKey(OUTPUT_FIELDS_PREFIX + "ka.resp.name")

    def write(alert: Alert, value: str) -> bytes:
        of_pod = alert.get("ka.target.resource") == "pods" and alert.get("ka.target.subresource") is None
        said = alert.get("ka.target.pod.name") or alert.get("ka.target.name") or alert.get("k8s.pod.name")
        return pod.string(value) + own.string(value) if of_pod and not said else own.string(value)

    return write


_KEPT_VALUES = 64
_KEPT_VALUE_CHARACTERS = 128
_KEPT_FIELDS = 512
_KEPT_PLANS = 1_024
_KEPT_PLANNED_FIELDS = 4_096
"""Over all sets of fields. All of these bound what is kept although senders over HTTP make up names and values."""
_KEPT_HEADS_CHARACTERS = 32_768
"""Of the beginnings of one field's attribute, each of which holds the field's name."""


def _value_step(absent: frozenset[str], key: AttributeKey, write: ValueWriter | None = None) -> Made[str, bytes]:
    """Return the step of a field whose attribute depends on nothing but its value: recent values stay, encoded."""

    def encode(raw: str) -> bytes:
        return b"" if raw in absent else (write and write(raw)) or key.string(raw)

    return Made(encode, _KEPT_VALUES, _KEPT_VALUE_CHARACTERS)


class _Now:
    """The alert that is being written."""

    __slots__ = ("alert",)
    alert: Alert


class _AlertStep(dict[str, bytes]):
    """A field whose attribute depends on another one too; nothing stays."""

    __slots__ = ("_absent", "_key", "_now", "_write")

    def __init__(self, absent: frozenset[str], key: AttributeKey, write: AlertWriter, now: _Now) -> None:
        super().__init__()
        self._absent = absent
        self._key = key
        self._write = write
        self._now = now

    def __missing__(self, raw: str) -> bytes:
        return b"" if raw in self._absent else self._write(self._now.alert, raw) or self._key.string(raw)


class _SkippedStep(dict[str, bytes]):
    """A field that is left out, whatever its value."""

    def __missing__(self, _raw: str) -> bytes:
        return b""


class FieldWriter:
    """Turn an alert's output fields into attributes; keeps what it has worked out about each set of fields."""

    def __init__(self) -> None:
        self._typed: dict[str, tuple[str, ValueWriter]] = {
            **{field: (name, _integer(name)) for field, name in INTEGERS.items()},
            "fd.l4proto": ("network.transport", _transport()),
            "proc.tty": ("process.interactive", _interactive()),
            "container.image.tag": ("container.image.tags", _image_tags()),
        }
        self._composed: dict[str, tuple[str, AlertWriter]] = {
            "fd.name": ("file.path", _file_path()),
            "container.image.digest": ("container.image.repo_digests", _image_digests()),
            "ka.target.name": ("", _target_name()),
            "ka.resp.name": ("", _response_name()),
        }
        self._steps: Kept[tuple[str, bool], dict[str, bytes]] = Kept(_KEPT_FIELDS, entry_bytes=NAMES_CHARACTERS)
        self._plans: Kept[Form, list[dict[str, bytes]]] = Kept(_KEPT_PLANS, _KEPT_PLANNED_FIELDS)
        self._now = _Now()

    def write(self, alert: Alert, into: list[bytes]) -> None:
        """Append the attributes of every field, in the fields' order; nothing for one that is absent."""
        fields = alert.all_fields()
        plan = self._plans.get(alert.form)
        if plan is None:
            plan = self._plan(alert.form)
        self._now.alert = alert
        into += map(getitem, plan, fields.values())

    def _plan(self, form: Form) -> list[dict[str, bytes]]:
        """Say who writes each field; an attribute that two fields could give is the first one's."""
        taken: set[str] = set()
        plan = []
        for field in form.names:
            name = self._name_of(field)
            plan.append(self._step(field, named=name is not None and name not in taken))
            if name:
                taken.add(name)
        # Bounded in fields over all sets, where others count bytes.
        return self._plans.keep(form, plan, len(plan)) if form.is_kept else plan

    def _step(self, field: str, *, named: bool) -> dict[str, bytes]:
        """The field's step, the same in every set of fields."""
        step = self._steps.get((field, named))
        if step is None:
            # Some of its values stand beside the name.
            step = self._steps.keep((field, named), self._make_step(field, named=named), 4 * len(field))
        return step

    def _make_step(self, field: str, *, named: bool) -> dict[str, bytes]:
        if field in _SKIPPED:
            return _SkippedStep()
        heads = min(1_024, _KEPT_HEADS_CHARACTERS // (len(field) + 1))
        other = AttributeKey(OUTPUT_FIELDS_PREFIX + field, kept_heads=heads)
        if not named:
            return _value_step(ABSENT, other)
        absent = absent_values(field)
        if field in STRINGS:
            return _value_step(absent, AttributeKey(STRINGS[field]))
        if field in self._typed:
            return _value_step(absent, other, self._typed[field][1])
        return _AlertStep(absent, other, self._composed[field][1], self._now)

    def _name_of(self, field: str) -> str | None:
        """The attribute that the table gives a field; empty where the value decides, None where there is none."""
        if field in STRINGS:
            return STRINGS[field]
        named = self._typed.get(field) or self._composed.get(field)
        return named and named[0]
