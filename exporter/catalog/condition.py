"""When a step fits an alert.

Owns ``only``, ``needs`` and ``when``. Refuses to know what a step is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.errors import CatalogError
from exporter.falco.condition import (
    And,
    Comparison,
    ConditionError,
    Evaluation,
    compile_condition,
    fields_of,
    parse,
    walk,
)
from exporter.prose import Lookup

_WORKLOAD = "alert.workload"


@dataclass(frozen=True, slots=True)
class When:
    """A condition in Falco's grammar. A field that is absent makes its comparison false, as in Falco."""

    text: str
    fields: frozenset[str]
    """Every field that the answer depends on."""
    _holds: Evaluation

    @classmethod
    def from_text(cls, text: str) -> When:
        """Read a condition. Raises CatalogError."""
        try:
            node = parse(text)
            holds = compile_condition(node)
        except ConditionError as exc:
            raise CatalogError(f"not a Falco condition: {exc}") from exc
        fields: set[str] = set()
        for part in walk(node):
            if isinstance(part, Comparison):
                fields |= {field.key for side in (part.left, part.right) for field in fields_of(side)}
        # Falco's network fields are taken from the address where an alert has no such field.
        fields |= {f"fd.{name[3:-3]}ip" for name in fields if name.startswith("fd.") and name.endswith("net")}
        return cls(text, frozenset(fields), holds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, When) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def given(self) -> frozenset[str]:
        """Fields that are there wherever the condition holds."""
        node = parse(self.text)
        parts = node.children if isinstance(node, And) else (node,)
        return frozenset(field.key for part in parts if isinstance(part, Comparison) for field in fields_of(part.left))

    def holds(self, lookup: Lookup) -> bool:
        """Whether the alert's fields meet the condition."""
        return self._holds(lookup) is True


def _workload(kind: str) -> Callable[[Lookup], bool]:
    return lambda lookup: lookup(_WORKLOAD) == kind


ONLY: Mapping[str, tuple[Callable[[Lookup], bool], frozenset[str]]] = {
    "host": (lambda lookup: lookup("container.id") is None, frozenset({"container.id"})),
    "container": (lambda lookup: lookup("container.id") is not None, frozenset({"container.id"})),
    "pod": (lambda lookup: lookup("k8s.pod.name") is not None, frozenset({"k8s.pod.name"})),
    "no-pod": (
        lambda lookup: lookup("container.id") is not None and lookup("k8s.pod.name") is None,
        frozenset({"container.id", "k8s.pod.name"}),
    ),
    "login": (lambda lookup: lookup("user.loginuid") is not None, frozenset({"user.loginuid"})),
    **{
        kind: (_workload(kind), frozenset({_WORKLOAD}))
        for kind in ("deployment", "statefulset", "daemonset")
    },
}  # fmt: skip
"""What a step can be only for: the test, and the fields that it looks at."""


_POD = frozenset({"k8s.pod.name", "k8s.ns.name"})
_OF_POD = frozenset({"pod", "deployment", "statefulset", "daemonset"})


@dataclass(frozen=True, slots=True)
class Condition:
    """When a step fits an alert."""

    needs: tuple[tuple[str, ...], ...] = ()
    """Fields that must be present; one of each group is enough."""
    only: tuple[str, ...] = ()
    """Keys of ``ONLY``, all of which must hold; empty for every alert."""
    when: tuple[When, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """Fields that ``needs`` names."""
        return frozenset(field for group in self.needs for field in group)

    def given(self) -> frozenset[str]:
        """Return fields that an alert which meets the condition has for certain."""
        only = [ONLY[name][1] for name in self.only if name not in {"host", "no-pod"}]
        pod = [_POD] if _OF_POD.intersection(self.only) else []
        alone = [frozenset(group) for group in self.needs if len(group) == 1]
        return frozenset[str]().union(*only, *pod, *alone, *(when.given for when in self.when))

    def fields_used(self) -> frozenset[str]:
        """Return every field that the condition looks at."""
        parts = [ONLY[name][1] for name in self.only] + [when.fields for when in self.when]
        return self.fields.union(*parts)

    def holds(self, lookup: Lookup) -> bool:
        """Whether the alert's fields meet the condition."""
        for name in self.only:
            if not ONLY[name][0](lookup):
                return False
        for group in self.needs:
            if all(lookup(field) is None for field in group):
                return False
        return all(when.holds(lookup) for when in self.when)

    def __and__(self, other: Condition) -> Condition:
        """Return a condition that holds where both do."""
        return Condition(self.needs + other.needs, self.only + other.only, self.when + other.when)
