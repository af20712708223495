"""The alert: one event that a Falco rule matched, whatever way it reached us.

Owns the one core type of the program and what "absent" means in Falco's
fields. Refuses to know any wire format (see ``sources/decode.py``) and
anything about what an alert means (see ``catalog/``).
"""

from __future__ import annotations

import enum
import hashlib
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import getitem
from typing import Any, cast

from exporter.form import FORM_NAMES, Form, form_of
from exporter.kept import Kept
from exporter.likeness import LIKENESS_BYTES, LIKENESSES, LIKENESSES_BYTES, UNLIKE, Likeness, likeness_of

_NO_LOGIN = frozenset({"-1", "4294967295"})
ABSENT = frozenset({"", "<NA>"})
"""What means "absent" in every output field."""
_ABSENT_BY_FIELD: Mapping[str, frozenset[str]] = {
    "container.id": frozenset({"", "<NA>", "host"}),
    "container.name": frozenset({"", "<NA>", "host"}),
    "user.loginuid": ABSENT | _NO_LOGIN,
    "user.loginname": ABSENT,
    "user.uid": ABSENT | _NO_LOGIN,
    "group.gid": ABSENT | _NO_LOGIN,
}


def absent_values(field: str) -> frozenset[str]:
    """Return every value that means "absent" in this output field, as ``Alert.get`` understands it."""
    return _ABSENT_BY_FIELD.get(field, ABSENT)


class Priority(enum.IntEnum):
    """Falco's priorities in Falco's order (``falco.schema.priority``): 0 is the most severe."""

    EMERGENCY = 0
    ALERT = 1
    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFORMATIONAL = 6
    DEBUG = 7
    UNKNOWN = 8
    """A value that this version of the contract does not know."""

    __hash__ = int.__hash__
    """Not an enumeration's own, which is Python and asked several times an alert."""

    @property
    def label(self) -> str:
        """Falco's own word in JSON and text, e.g. ``Warning``."""
        return _LABELS[self]

    @classmethod
    def from_label(cls, word: str) -> Priority:
        """Read a priority's word in any case, ``info`` included; UNKNOWN when it is none."""
        return _BY_WORD.get(word.strip().lower(), cls.UNKNOWN)


_LABELS = tuple(priority.name.capitalize() for priority in Priority)
_NAMES = tuple(priority.name for priority in Priority)
_BY_WORD = {priority.name.lower(): priority for priority in Priority} | {"info": Priority.INFORMATIONAL}
_PREFIX = re.compile(
    r"(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{1,9}(?:[+-]\d{4})?: (?:(?:" + "|".join(_LABELS) + r")\b ?)?", re.ASCII
)
"""``HH:MM:SS.nnnnnnnnn: Priority ``, and the same with Falco's time_format_iso_8601."""
ALERT_BYTES, FIELD_BYTES, TAG_BYTES = 700, 220, 80
"""What an alert with its uid, a field and a tag take besides their texts (CPython, 64 bit)."""
_OWN_FORM_FIELD_BYTES = 400
"""What a field takes besides where the alert's form is not shared with others."""
_UID_RESTS: Kept[Likeness, bytes] = Kept(LIKENESSES, LIKENESSES_BYTES)
"""What is hashed for a uid behind the time."""
_set = object.__setattr__
TIME_LIMIT_NS = 2**63
"""No alert is of this time (in the year 2262) or later, so that ``time_ns`` fits every signed 64-bit field."""


class Fields(Mapping[str, str]):
    """Output fields of which ``get`` is cheap, and the rest once they are taken out of what they came in."""

    __slots__ = ()

    @abstractmethod
    def to_dict(self) -> dict[str, str]:
        """Return every field in a dictionary, made with the first call; not to be changed."""

    def __getitem__(self, name: str) -> str:
        return self.to_dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    """Return a time as RFC 3339 without its fraction; kept, because alerts of one second come together."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def time_text(time_ns: int) -> str:
    """Return a time, nanoseconds since 1970, as RFC 3339 with nanoseconds, UTC."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{_second_text(seconds)}.{nanoseconds:09d}Z"


@dataclass(frozen=True, slots=True, eq=False)
class Alert:
    """One Falco alert.

    Two alerts are equal when their ``uid`` is. Values of fields are always
    text in Falco's own notation, as its gRPC server writes them (``5``,
    ``true``, ``<NA>``, ``(a,b)``), whatever the transport, so that the same
    alert by another way is the same alert.
    """

    time_ns: int
    """When the event happened, nanoseconds since 1970-01-01 UTC."""
    rule: str
    """The rule's name as Falco knows it."""
    priority: Priority
    """The rule's priority."""
    source: str
    """The event source: ``syscall``, ``k8s_audit``, ``aws_cloudtrail``, … ``internal`` for Falco's own."""
    hostname: str
    """The host Falco runs on; empty when not given."""
    raw_output: str
    """The output line as Falco wrote it; read ``output`` instead."""
    fields: Mapping[str, str]
    """The output fields as received; read ``get`` instead, which knows what means "absent"."""
    tags: Sequence[str]
    """The rule's tags, sorted by Falco; empty when not given."""
    received: bytes = b""
    """The message that says all this, as it came (``sources.decode.from_received``); empty where it was changed."""
    known_form: Form | None = field(default=None, init=False, repr=False)
    """``form`` where somebody has asked for it; read that instead."""
    known_likeness: Likeness | None = field(default=None, init=False, repr=False)
    """``likeness`` where it was asked for when the alert was read; finding it costs as much as judging anew."""
    noted: tuple[object, ...] | None = field(default=None, init=False, repr=False)
    """The judge that judged it last, what this judge found (``judgement_by``), and what it knows of that."""
    _uid: str | None = field(default=None, init=False, repr=False)
    _size: int | None = field(default=None, init=False, repr=False)

    @property
    def output(self) -> str:
        """The output text without its leading time and priority."""
        prefix = _PREFIX.match(self.raw_output)
        return self.raw_output if prefix is None else self.raw_output[prefix.end() :]

    def all_fields(self) -> dict[str, str]:
        """Return the output fields as received, in a dictionary; not to be changed."""
        fields = self.fields
        if type(fields) is dict:
            return fields
        # Not by isinstance: asking an abstract class costs more than the rest.
        to_dict: Callable[[], dict[str, str]] | None = getattr(fields, "to_dict", None)
        if to_dict is None:
            return dict(fields)
        taken = to_dict()
        _set(self, "fields", taken)
        return taken

    @property
    def form(self) -> Form:
        """The names of the output fields, as one object that alerts share."""
        form = self.known_form
        if form is None:
            fields = self.fields
            names = tuple(fields if type(fields) is dict else self.all_fields())
            form = form_of(names)
            set_form(self, form)
        return form

    @property
    def likeness(self) -> Likeness:
        """What stands for every alert that differs from this one in nothing but its time."""
        likeness = self.known_likeness
        if likeness is None:
            likeness = self._find_likeness()
            set_likeness(self, likeness)
        return likeness

    def _find_likeness(self) -> Likeness:
        fields, form = self.all_fields(), self.form
        # No text of an alert is longer than the message that it came in.
        size = len(self.received) or sum(
            map(len, (*fields.values(), *self.tags, self.raw_output, self.rule, self.source, self.hostname))
        )
        if size > LIKENESS_BYTES or not form.is_kept:
            return UNLIKE
        members = (
            self.rule, self.priority, self.source, self.hostname, self.output, tuple(self.tags), form,
            form.uid_values(fields),
        )  # fmt: skip
        return likeness_of(members, size)

    def judgement_by(self, judge: object) -> object:
        """Return what this judge noted with ``note_judgement``; None where it did not, or another one has since."""
        noted = self.noted
        return noted[1] if noted is not None and noted[0] is judge else None

    def note_judgement(self, judge: object, judgement: object) -> None:
        """Keep what a judge found, for those who ask it again about this very alert."""
        set_noted(self, (judge, judgement))

    def get(self, field: str) -> str | None:
        """Return one field's value, or None where it is absent; ``evt.time`` as RFC 3339, whatever the transport.

        Absent are a missing key, the empty string, ``<NA>``, ``host`` as a
        container, and −1 or 4294967295 as a user id (no login session).
        """
        value = self.fields.get(field)
        if value is None or field == "evt.time":
            return self._derived(field)
        return None if value in _ABSENT_BY_FIELD.get(field, ABSENT) else value

    @property
    def has_no_login(self) -> bool:
        """Whether Falco says that no login session is attached: a daemon or a container started the process."""
        return self.fields.get("user.loginuid") in _NO_LOGIN

    def _derived(self, field: str) -> str | None:
        """Fields that every alert has although Falco does not list them."""
        if field == "evt.time":
            return self.time_text
        if field == "evt.hostname":
            return self.hostname or None
        return None

    @property
    def time_text(self) -> str:
        """The event's time as RFC 3339 with nanoseconds, UTC."""
        return time_text(self.time_ns)

    @property
    def namespace(self) -> str:
        """The Kubernetes namespace that the alert is about; empty where it names none."""
        get = self.fields.get
        value = get("k8s.ns.name")
        if value is None or value in ABSENT:
            value = get("ka.target.namespace")
        return "" if value is None or value in ABSENT else value

    @property
    def size_bytes(self) -> int:
        """About how much memory the alert takes, never much less.

        Every text of a received alert is in its message, and one character beyond ASCII makes each of a
        string's four bytes wide. Besides texts there are objects: a message of tiny fields is little beside them.
        """
        size = self._size
        if size is None:
            size = self._estimate_size()
            set_size(self, size)
        return size

    def _estimate_size(self) -> int:
        size = len(self.received) * 5
        if not size:
            size = 4 * (len(self.raw_output) + sum(map(len, self.all_fields().values())) + sum(map(len, self.tags)))
        count = len(self.fields)
        if count > FORM_NAMES:
            size += count * _OWN_FORM_FIELD_BYTES
        return size + count * FIELD_BYTES + len(self.tags) * TAG_BYTES + ALERT_BYTES

    def changed(self, **members: Any) -> Alert:
        """Return the alert with other members; it no longer holds the message it came in, which says otherwise."""
        return replace(self, **members, received=b"")

    @property
    def uid(self) -> str:
        """A deterministic identifier, 32 hexadecimal digits: the same alert seen twice has the same.

        Made of time, rule, priority, source, host and every output field except
        ``evt.time``, which only Falco's JSON form always has. Both transports
        carry these alike. Where Falco is told to leave the fields out
        (``json_include_output_fields_property: false``) the output text stands
        in for them, and the same alert over gRPC has another identifier.
        Made when first asked for: the history, records and pages all ask.
        """
        uid = self._uid
        if uid is None:
            uid = self._make_uid()
            _set(self, "_uid", uid)
        return uid

    def _make_uid(self) -> str:
        likeness = self.known_likeness
        if likeness is not None and likeness.comes_again:
            rest = _UID_RESTS.get(likeness)
            if rest is None:
                rest = self._timeless_of_uid()
                _UID_RESTS.keep(likeness, rest, len(rest))
        else:
            rest = self._timeless_of_uid()
        time = str(self.time_ns)
        return hashlib.blake2b(f"{len(time)}:{time}".encode() + rest, digest_size=16).hexdigest()

    def _timeless_of_uid(self) -> bytes:
        """Return what is hashed behind the time: each part with its length before it, so that no value can imitate
        the border to the next."""
        form = self.form
        values = form.uid_values(self.all_fields()) if form.counted else (self.output,)
        parts = [self.rule, _NAMES[self.priority], self.source, self.hostname, *values]
        text = [""] * (2 * len(parts))
        text[::2] = map(getitem, form.uid_heads, map(len, parts))
        text[1::2] = parts
        return "".join(text).encode("utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alert) and self.uid == other.uid

    def __hash__(self) -> int:
        return hash((self.time_ns, self.rule))


set_fields: Callable[[Alert, dict[str, str]], None] = Alert.fields.__set__  # type: ignore[attr-defined, misc] # the slot itself
"""Give the alert its fields in a dictionary, which have to be its own: quicker than to take them out."""
set_form: Callable[[Alert, Form], None] = Alert.known_form.__set__  # type: ignore[misc, union-attr] # the slot itself
"""Let the alert know its form, which has to be its own: quicker than to ask for it."""
set_likeness: Callable[[Alert, Likeness], None] = Alert.known_likeness.__set__  # type: ignore[misc, union-attr] # the slot itself
"""Let the alert know its likeness."""
set_size: Callable[[Alert, int], None] = Alert._size.__set__  # type: ignore[misc, union-attr] # the slot itself
"""Let the alert know its ``size_bytes``."""
set_noted: Callable[[Alert, tuple[object, ...]], None] = Alert.noted.__set__  # type: ignore[misc, union-attr] # the slot itself
"""``Alert.note_judgement`` of a judge and its judgement that stand together already."""


class _Draft:
    """An alert that is being made: setting what is frozen costs five times as much."""

    __slots__ = Alert.__slots__

    def __init__(  # noqa: PLR0913, PLR0917 - an alert's members
        self,
        time_ns: int,
        rule: str,
        priority: Priority,
        source: str,
        hostname: str,
        raw_output: str,
        fields: Mapping[str, str],
        tags: Sequence[str],
        received: bytes,
    ) -> None:
        self.time_ns = time_ns
        self.rule = rule
        self.priority = priority
        self.source = source
        self.hostname = hostname
        self.raw_output = raw_output
        self.fields = fields
        self.tags = tags
        self.received = received
        self.known_form = self.known_likeness = self.noted = self._uid = self._size = None
        self.__class__ = Alert  # type: ignore[assignment] # which has the same slots


make_alert: Callable[..., Alert] = cast(Callable[..., Alert], _Draft)
"""Makes an alert of all its members, in their order: the same as ``Alert``, at a third of the cost."""
