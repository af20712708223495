"""What alerts with the same output fields have in common, worked out once for each set of names.

Owns how the names of fields become a part of an alert's uid. Refuses to know any value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter

from exporter.kept import ByLength, Kept

_PARTS_OF_ALERT = 4
"""Of a uid, between the time and the fields: rule, priority, source, host."""


class _UidHead(ByLength[str]):
    """What stands before a field's value in the text that is hashed for a uid, by the value's length."""

    __slots__ = ("_name",)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(_KEPT_LENGTHS)
        self._name = "" if name is None else f"{len(name)}:{name}"

    def make(self, length: int) -> str:
        return f"{self._name}{length}:"


def _uid_head(name: str) -> _UidHead:
    head = _UID_HEADS.get(name)
    return _UID_HEADS.keep(name, _UidHead(name), len(name)) if head is None else head


class Form:
    """The names of an alert's fields, in their order: one object for all alerts with the same, as long as it is kept.

    What depends on the names only is worked out once for each; it is found by the form itself, not by its value.
    """

    __slots__ = ("characters", "counted", "is_kept", "names", "uid_heads", "uid_values")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.characters = sum(map(len, names))
        self.is_kept = len(names) <= FORM_NAMES and self.characters <= FORM_CHARACTERS
        """Whether anything may be kept for it beyond its alert; not for what only a forged alert has."""
        self.counted = tuple(sorted(name for name in names if name != "evt.time"))
        """Those that count in a uid, sorted."""
        self.uid_heads = [*_UID_BEGINS, *(list(map(_uid_head, self.counted)) or [_UidHead()])]
        """What stands before each part of what is hashed for a uid, behind the time."""
        self.uid_values: Callable[[Mapping[str, str]], tuple[str, ...]] = _values_of(self.counted)
        """Reader of the values of the fields that count in a uid, in their order."""


def _values_of(names: tuple[str, ...]) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    return itemgetter(*names) if len(names) > 1 else lambda fields: tuple([fields[name] for name in names])


FORM_NAMES, FORM_CHARACTERS = 512, 16_384
"""Of a set of fields, and of their names, for which something is kept; Falco's largest has some hundred fields."""
_KEPT_LENGTHS = 128
_UID_HEADS: Kept[str, _UidHead] = Kept(512, 32_768)
_UID_BEGINS = [_UidHead() for _ in range(_PARTS_OF_ALERT)]
_FORMS: Kept[tuple[str, ...], Form] = Kept(256, 256 * 1024)


def form_of(names: tuple[str, ...]) -> Form:
    """Return the form of alerts whose fields have these names, in this order."""
    form = _FORMS.get(names)
    if form is None:
        form = Form(names)
        if form.is_kept:
            _FORMS.keep(names, form, 2 * form.characters)
    return form
