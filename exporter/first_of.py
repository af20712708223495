"""The first of some output fields that an alert has.

Owns that it is worked out once for alerts with the same field names which of
them to ask. Refuses to know what any field means.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.alert import Alert
from exporter.form import Form
from exporter.kept import Kept

_FORMS_KEPT = 256


class FirstOf:
    """The first of some output fields that an alert has; of its names it is worked out once which of them to ask."""

    def __init__(self, fields: Iterable[str]) -> None:
        self._fields = tuple(fields)
        self._of_form: Kept[Form, tuple[str, ...]] = Kept(_FORMS_KEPT)

    def find(self, alert: Alert) -> tuple[str, str] | None:
        """Return the field and its value, or None."""
        form = alert.form
        fields = self._of_form.get(form)
        if fields is None:
            fields = tuple([field for field in self._fields if field in form.names])
            if form.is_kept:
                self._of_form.keep(form, fields)
        for field in fields:
            if value := alert.get(field):
                return field, value
        return None
