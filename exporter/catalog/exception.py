"""Tuning that the program writes: the exception for one alert.

Owns which of the alert's fields an exception compares, and where it goes.
Refuses to quote anything itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.catalog.advice import Change
from exporter.catalog.condition import Condition
from exporter.escaping import Unembeddable
from exporter.event_sources import event_source
from exporter.falco.exceptions import Comparison, exception_name, write_exception
from exporter.prose import Lookup, Prose, ProseTemplate, Span

_INTERPRETER = re.compile(
    r"(.*/)?(python|pypy|perl|ruby|php|node|nodejs|bun|deno|lua|tclsh|(ba|da|z|k|a|c|tc|fi)?sh|busybox|env)"
    r"[-0-9.]*"
)
"""Programs that do whatever their arguments say: their path alone says nothing."""
_COMMAND_LINE = frozenset({"proc.cmdline", "proc.args", "proc.exeline"})
SIDES = {"fd.cip": "alert.client", "fd.sip": "alert.server"}
"""Addresses that a rule's output may lack, but the connection's name has."""
_NOT_IN_FILE_NAMES = re.compile(r"[^a-z0-9]")
_HOST_FILE = "/etc/falco/rules.d/{}.yaml"
OPERATORS = ("=", "startswith", "endswith", "contains")


@dataclass(frozen=True, slots=True)
class Compared:
    """A field that the exception compares."""

    field: str
    operator: str = "="
    value: str = ""
    """The author's own value; empty for the alert's."""
    optional: bool = False
    """Left out where the alert does not have the field; else no exception is offered then."""


@dataclass(frozen=True, slots=True)
class ExceptionStep:
    """An exception that an entry offers, for exactly the values of the alert."""

    title: ProseTemplate
    rule: str
    source: str
    compared: tuple[Compared, ...]
    never_if: tuple[str, ...]
    """Verdicts with which it is not offered."""
    note: ProseTemplate
    condition: Condition
    place: str = ""
    """``FILE:LINE``, for messages."""

    def fields_used(self) -> frozenset[str]:
        """Return every field that the exception depends on."""
        fields = {compared.field for compared in self.compared} | {"k8s.pod.name"}
        fields |= {SIDES[field] for field in fields & SIDES.keys()}
        if fields & {"proc.exepath", "proc.name"}:
            fields.add("proc.cmdline")
        return self.title.fields | self.note.fields | self.condition.fields_used() | fields

    def render(self, lookup: Lookup) -> Change | None:
        """Return the change with the alert's values; None where it does not fit this alert."""
        comparisons = self.comparisons(lookup)
        try:
            content = write_exception(self.rule, self.source, comparisons) if comparisons else ""
        except Unembeddable:
            content = ""
        return self._change(content, exception_name(self.rule, comparisons), lookup) if content else None

    def comparisons(self, lookup: Lookup) -> list[Comparison]:
        """Return what the exception compares for this alert; empty where it is not offered for it."""
        if not self.condition.holds(lookup):
            return []
        values = []
        for compared in self.compared:
            value = compared.value or lookup(compared.field)
            if value is None and compared.field in SIDES:
                value = lookup(SIDES[compared.field])
            if value is None and compared.field == "container.id":
                # The host's own alert, in Falco's word for it: containers with the same program stay out.
                value = "host"
            if value is not None:
                values.append(Comparison(compared.field, value, compared.operator))
            elif not compared.optional:
                return []
        return self._narrowed(values, lookup)

    def _narrowed(self, values: list[Comparison], lookup: Lookup) -> list[Comparison]:
        """Add the command line where the program is an interpreter; without one, no exception is offered."""
        program = next((found.value for found in values if found.field in {"proc.exepath", "proc.name"}), "")
        if not _INTERPRETER.fullmatch(program) or any(found.field in _COMMAND_LINE for found in values):
            return values
        command = lookup("proc.cmdline")
        return [*values, Comparison("proc.cmdline", command)] if command else []

    def _change(self, content: str, exception: str, lookup: Lookup) -> Change:
        title, note = self.title.render(lookup), self.note.render(lookup)
        # A file for each exception: a second one for the rule does not replace the first, the same one replaces itself.
        name = _NOT_IN_FILE_NAMES.sub("-", f"{self.rule} {exception}".lower()).strip("-")
        if lookup("k8s.pod.name") is not None or self.source == "k8s_audit":
            indented = "".join(f"    {line}\n" if line else "\n" for line in content.splitlines())
            content = f"customRules:\n  {name}.yaml: |-\n{indented}"
            load = "helm upgrade falco falcosecurity/falco -n falco --reuse-values -f exception.yaml"
            check = load + " --dry-run=server"
            return Change(title, "Falco's Helm chart", "exception.yaml", "yaml", content, check, load, note + _MERGE)
        file = _HOST_FILE.format(name)
        # Not by `-r`, which loads no other file: the rule that the exception is for would be missing.
        check = "falco --dry-run -c /etc/falco/falco.yaml"
        return Change(title, "falco", file, "falco", content, check, "systemctl reload falco", note)


_MERGE: Prose = (
    Span("text", " Values of "),
    Span("code", "customRules"),
    Span("text", " that you have already stay: Helm merges the keys."),
)


_COMPOSED_TITLE = ProseTemplate("Except exactly this case from the rule.")
_COMPOSED_NOTE = ProseTemplate(
    "It compares every value of the alert that tells this case from others; whether fewer would do is your decision."
)


def composed_exception(rule: str, source: str, traits: tuple[str, ...]) -> ExceptionStep:
    """Return the exception for a rule that nobody wrote an entry for: as narrow as the alert's own fields allow."""
    trait = next((trait for trait in traits if event_source(trait).case), "syscall")
    compared = [Compared(field, optional=True) for field in event_source(trait).case]
    if trait == "syscall" and "container" not in traits:
        compared.append(Compared("container.id", value="host"))
    return ExceptionStep(
        title=_COMPOSED_TITLE,
        rule=rule,
        source=trait,
        compared=tuple(compared),
        never_if=("attack",),
        note=_COMPOSED_NOTE,
        condition=Condition(),
    )
