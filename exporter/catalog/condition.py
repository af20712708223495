"""When a step fits an alert.

Owns ``only``, ``needs`` and ``when``. Refuses to know what a step is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.falco.condition import And, Comparison, fields_of, parse
from exporter.prose import Lookup
from exporter.verdict.facts import Facts
from exporter.verdict.language import Language

_WORKLOAD = "alert.workload"


class When:
    """A condition in the language of signs: Falco's grammar, derived facts, lists and macros.

    Where absent fields leave it open it does not hold, negated or not.
    """

    __slots__ = ("_holds", "_lists", "_macro", "_node", "fields", "text")

    def __init__(self, text: str, language: Language) -> None:
        """Compile the condition. Raises CatalogError."""
        compiled = language.compile(text)
        self.text = text
        self.fields = compiled.fields
        """Every field that the answer depends on."""
        self._holds = compiled.holds
        self._lists = {name: frozenset(items) for name, items in language.lists.items()}
        self._macro = language.evaluate_macro
        self._node = parse(text)

    @property
    def given(self) -> frozenset[str]:
        """Fields that are there wherever the condition holds."""
        parts = self._node.children if isinstance(self._node, And) else (self._node,)
        return frozenset(field.key for part in parts if isinstance(part, Comparison) for field in fields_of(part.left))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, When) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def holds(self, lookup: Lookup) -> bool:
        """Whether the alert's fields meet the condition."""
        return self._holds(Facts(lookup, self._lists, self._macro)) is True


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


_NO_TWO_OF = (
    frozenset({"host", "container"}),
    frozenset({"host", "no-pod"}),
    *(frozenset({"no-pod", kind}) for kind in ("pod", "deployment", "statefulset", "daemonset")),
    frozenset({"deployment", "statefulset", "daemonset"}),
)
"""Of these words no alert meets two."""
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

    @property
    def can_hold(self) -> bool:
        """Whether there may be an alert that meets it, as far as ``only`` says."""
        only = set(self.only)
        return not any(len(only & group) > 1 for group in _NO_TWO_OF)

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
