"""An alert's traits: found by its source, and given again to alerts like it.

Owns which module is asked, and what is kept of its answers. An alert of a
source that nobody knows ties nothing, and stays by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.form import Form
from exporter.incidents import clouds, kubernetes, processes
from exporter.incidents.fact import GRAVE, Traits
from exporter.kept import NAMES_CHARACTERS, Kept
from exporter.likeness import LIKENESSES, LIKENESSES_BYTES, Likeness
from exporter.verdict.judgement import Judgement

_KEPT, _KEPT_BYTES = 4_096, 8 * 1024 * 1024
_KEY_LIMIT_CHARACTERS = 4_096
_SHAPES_KEPT = 256
_FIELDS = {
    "syscall": processes.FIELDS,
    "k8s_audit": kubernetes.FIELDS,
    **dict.fromkeys(clouds.SOURCES, clouds.FIELDS),
}

_Values = Callable[[Mapping[str, str]], Any]


class TraitsOf:
    """Finds traits. Called by one thread at a time."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        """``allowance`` pays for alerts that are unlike those before; None pays for everything."""
        self._allowance = allowance
        self._kept: Kept[tuple[Any, ...], Traits] = Kept(_KEPT, _KEPT_BYTES)
        self._shapes: Kept[tuple[str, Form], _Values] = Kept(_SHAPES_KEPT)
        self.alike: Kept[Likeness | None, tuple[Judgement, Traits]] = Kept(LIKENESSES, LIKENESSES_BYTES)
        """Traits of alerts that differ in their time only, with the judgement that they depend on."""

    def __call__(self, alert: Alert, judgement: Judgement) -> Traits | None:
        """Return the alert's traits, the very same for alerts that differ in nothing they depend on.

        None for an alert that is unlike those before, while the allowance is used up.
        """
        likeness = alert.known_likeness
        alike = self.alike.get(likeness)
        if alike is not None and alike[0] is judgement:
            return alike[1]
        fields, source, form = alert.all_fields(), alert.source, alert.form
        values_of = self._shapes.get((source, form)) or self._shape(source, form)
        key = (alert.rule, judgement.verdict, alert.hostname, values_of, values_of(fields))
        traits = self._kept.get(key)
        if traits is None:
            allowance = self._allowance
            if allowance is None:
                traits = _find(alert, judgement)
            elif allowance.permits():
                begun = allowance.begin()
                traits = _find(alert, judgement)
                allowance.end(begun)
            else:
                return None
            values = key[4]
            size = len(values) if isinstance(values, str) else sum(map(len, values))
            size += len(alert.rule) + len(alert.hostname)
            if size <= _KEY_LIMIT_CHARACTERS:
                self._kept.keep(key, traits, 4 * size + 2_048)
        elif likeness is not None and likeness.comes_again:
            self.alike.keep(likeness, (judgement, traits), likeness.size_bytes)
        return traits

    def _shape(self, source: str, form: Form) -> _Values:
        wanted = sorted(_FIELDS.get(source, frozenset()).intersection(form.names))
        values_of: _Values = itemgetter(*wanted) if wanted else _Nothing()
        if not form.is_kept or len(source) > NAMES_CHARACTERS:
            return values_of
        return self._shapes.keep((source, form), values_of, len(source) + sum(map(len, form.names)))


class _Nothing:
    """Gives no value; one for each set of fields, so that two sources never share what is kept."""

    def __call__(self, _: Mapping[str, str]) -> tuple[()]:
        return ()


def _find(alert: Alert, judgement: Judgement) -> Traits:
    if alert.source == "syscall":
        ties = processes.process_ties(alert, grave=judgement.verdict in GRAVE)
        return Traits(alert.rule, judgement, tuple(ties))
    if alert.source == "k8s_audit":
        return Traits(alert.rule, judgement, tuple(kubernetes.kubernetes_ties(alert)))
    if alert.source in clouds.SOURCES:
        actor = clouds.actor_of(alert)
        ties = clouds.cloud_ties(alert, actor)
        return Traits(
            alert.rule, judgement, tuple(ties), address=actor.address, principal=actor.key if actor.name else ()
        )
    return Traits(alert.rule, judgement, ())
