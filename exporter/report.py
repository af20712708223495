"""The report: one alert, and what is to be said of it.

Owns the report's title and facts. Everything in it is plain data: prose as
spans whose values still wait for their escaping, commands and file contents
already rendered with values quoted for shell or format. Refuses to know any
output format (see ``render/``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exporter.alert import Alert
from exporter.catalog.advice import Advice, Change, Command, Reference, Technique
from exporter.catalog.model import Entry
from exporter.catalog.uid import UID_SENTINEL, with_uid
from exporter.derived import fd_label, lookup_of
from exporter.prose import Lookup, Prose, Span, to_plain
from exporter.verdict.judgement import UNDECIDED, Judgement, Matched

__all__ = [
    "Advice", "Change", "Command", "Judgement", "Matched", "Prose", "Reference", "Report", "Span",
    "Technique", "make_advice", "make_report", "to_plain",
]  # fmt: skip

Renderer = Callable[[Lookup, Judgement, str], Advice]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a reader needs of one alert. The advice names this alert's uid, whoever's it was when it was made."""

    alert: Alert
    advice: Advice

    def __post_init__(self) -> None:
        object.__setattr__(self, "advice", with_uid(self.advice, self.alert.uid))

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """The alert's own facts: label and value, in order of reading."""
        return _details(self.alert)


_DETAILS: tuple[tuple[str, str], ...] = (
    ("Process", "proc.name"),
    ("Executable", "proc.exepath"),
    ("Command line", "proc.cmdline"),
    ("Parent process", "proc.pname"),
    ("User", "user.name"),
    ("User id", "user.uid"),
    ("Login id", "user.loginuid"),
    ("Terminal", "proc.tty"),
    ("File", "fd.name"),
    ("Container", "container.name"),
    ("Container id", "container.id"),
    ("Image", "container.image.repository"),
    ("Image tag", "container.image.tag"),
    ("Namespace", "k8s.ns.name"),
    ("Pod", "k8s.pod.name"),
    ("User", "ka.user.name"),
    ("Target", "ka.target.name"),
    ("Target resource", "ka.target.resource"),
    ("Target namespace", "ka.target.namespace"),
    ("User", "ct.user"),
    ("Source address", "ct.srcip"),
    ("Region", "ct.region"),
)


_LABELS = {rank: label for rank, (label, _) in enumerate(_DETAILS)} | {-1: "Host"}
_RANKS = {field: rank for rank, (_, field) in enumerate(_DETAILS)}


def _details(alert: Alert) -> tuple[tuple[str, str], ...]:
    """Named facts first, in order of reading, then every other field under its own name."""
    named = [(-1, alert.hostname)] if alert.hostname else []
    others = []
    for name in alert.all_fields():
        value = alert.get(name)
        if value is None or name == "evt.time":
            continue
        rank = _RANKS.get(name)
        if rank is None:
            others.append((name, value))
        else:
            named.append((rank, value))
    if alert.has_no_login:
        named.append((_RANKS["user.loginuid"], "none: no login session is attached"))
    named.sort()
    others.sort()
    return (*[(_label(rank, alert), value) for rank, value in named], *others)


def _label(rank: int, alert: Alert) -> str:
    return fd_label(alert) if rank == _RANKS["fd.name"] else _LABELS[rank]


def make_report(alert: Alert, entry: Entry, maturity: str, judgement: Judgement = UNDECIDED) -> Report:
    """Return the report of one alert: the entry's advice with the alert's values in place."""
    return Report(alert, make_advice(alert, entry.render, maturity, judgement))


def make_advice(alert: Alert, render: Renderer, maturity: str, judgement: Judgement) -> Advice:
    """Return the advice of an entry with the alert's values in place, its uid excepted.

    ``render`` is the entry's own, or the quicker one of ``catalog.remembered``;
    ``maturity`` is upstream's word for the rule.
    """
    return render(lookup_of(alert, uid=UID_SENTINEL), judgement, maturity)
