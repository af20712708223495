r"""The one writer of what is pasted into Falco's rules: exceptions, list items and condition values.

Owns the quoting. Falco pastes an exception's ``values`` and a list's ``items``
into the condition as they are (``rules.py`` does the same), so a value that is
not itself a quoted text of Falco's grammar ends where the attacker wants:
``x" or evt.num >= 0 or proc.name = "y`` would silence the rule for everybody.
So the YAML scalar holds a quoted text: ``"\"O'Brien\""``.

What has no safe form raises ``Unembeddable``:

- NUL, a lone surrogate, U+FFFD (Falco or a decoder wrote it for bytes that
  nobody knows any more);
- more than 255 bytes, which Falco does not load (libs,
  ``s_max_filter_value_buf_size``);
- an interior word that looks like a list's name (``x shell_binaries y``: Falco
  replaces it, within quotes too). For ``=`` on a text it is written as a
  ``glob`` that matches nothing else. A list of your own whose name has no
  underscore is not recognised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.escaping import Unembeddable, falco_literal, yaml_scalar
from exporter.falco.fields import fits_kind, kind_of_field
from exporter.falco.patterns import glob_literal
from exporter.falco.tokens import ARGUMENT, FIELD
from exporter.kept import Made

VALUE_LIMIT_BYTES = 255
_KEPT_CHARACTERS = 256
"""Of a text that is kept as YAML: rules' names are the senders' choice."""
_DELIMITERS = " \t\n\r(),="
_LIST_NAME = re.compile(rf"(?<=[{_DELIMITERS}])([A-Za-z0-9.-]*_[\w.-]*)(?=[{_DELIMITERS}])")
"""What may be a list's name: those of Falco's projects all have an underscore."""
_FIELD = re.compile(rf"{FIELD.pattern}(?:\[(?:{ARGUMENT.pattern})\])?\Z")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./()-]*(?: [A-Za-z0-9_./()-]+)*\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_OPERATORS = ("=", "startswith", "endswith", "contains")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition of an exception."""

    field: str
    """Falco's name, an argument in brackets, e.g. ``proc.aname[2]``."""
    value: str
    """As the alert has it; a list as ``(a,b)``."""
    operator: str = "="
    """``=``, or ``startswith``, ``endswith``, ``contains`` for a part that the author wrote."""


def write_exception(rule: str, source: str, comparisons: Sequence[Comparison]) -> str:
    """Return YAML for a rules file that excepts exactly the events that all the comparisons fit.

    The exception is appended to the rule and has a name of its own, made of
    rule and values, so that several for one rule load together, beside
    upstream's. ``source`` is the rule's event source; it decides which fields
    there are and of what kind. Raises Unembeddable without comparisons, for a
    value that has no safe form (see above), a field that the source does not
    have, and a value that does not fit the field's kind.
    """
    written = [_written(comparison, source) for comparison in comparisons]
    if not written:
        raise Unembeddable("no field to compare: the exception would silence the whole rule")
    fields = ", ".join(_plain(comparison.field) for comparison in comparisons)
    lines = [
        f"- rule: {_plain(rule)}",
        "  exceptions:",
        f"    - name: {exception_name(rule, comparisons)}",
        f"      fields: [{fields}]",
        f"      comps: [{', '.join(_plain(operator) for operator, _ in written)}]",
        "      values:",
    ]
    lines += [f"        {'- ' if index == 0 else '  '}- {value}" for index, (_, value) in enumerate(written)]
    return "\n".join([*lines, "  override:", "    exceptions: append", ""])


def exception_name(rule: str, comparisons: Sequence[Comparison]) -> str:
    """Return the name that ``write_exception`` gives: the same for the same rule and comparisons only."""
    parts = [rule, *(part for found in comparisons for part in (found.field, found.operator, found.value))]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return f"accepted_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def _written(comparison: Comparison, source: str) -> tuple[str, str]:
    """Return operator and YAML value."""
    kind = kind_of_field(comparison.field, source) if _FIELD.match(comparison.field) else None
    if kind is None:
        raise Unembeddable(f"{comparison.field} is not a field of Falco's event source {source}")
    if comparison.operator not in _OPERATORS:
        raise ValueError(f"{comparison.operator!r}: expected one of {', '.join(_OPERATORS)}")
    if kind == "list":
        return "in", f"[{', '.join(list_item(item) for item in _elements(comparison.value))}]"
    if not fits_kind(comparison.value, kind) or (kind != "string" and comparison.operator != "="):
        raise Unembeddable(f"{comparison.field} {comparison.operator} {comparison.value[:60]!r}: expected a {kind}")
    operator, value = comparison.operator, comparison.value
    if kind == "string" and operator == "=" and _LIST_NAME.search(value):
        # Brackets around the blank before it: then no delimiter stands beside the name.
        names = {match.start() - 1 for match in _LIST_NAME.finditer(value)}
        operator, value = "glob", glob_literal(value, bracketed=names)
    return operator, list_item(value)


def _elements(value: str) -> list[str]:
    """Return a list's elements. One that holds a comma looks like two: the exception then fits nothing."""
    elements = value[1:-1].split(",") if value[:1] == "(" and value[-1:] == ")" else [value]
    if not all(elements):
        raise Unembeddable("the list is empty or has an empty element")
    return elements


def list_item(value: str) -> str:
    """Return the value for a list's ``items`` or an exception's ``values``: a YAML scalar that holds a quoted text.

    Raises Unembeddable.
    """
    return yaml_scalar(condition_value(value))


def condition_value(value: str) -> str:
    """Return the value as a quoted text for a condition. In YAML the condition must stand in a block scalar.

    Hidden characters but those with an escape of Falco's stay as they are:
    within YAML use ``yaml_scalar`` around the condition, or refuse them.
    Raises Unembeddable.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        raise Unembeddable("the value holds bytes that are not valid UTF-8") from exc
    if size > VALUE_LIMIT_BYTES:
        raise Unembeddable(f"the value has {size} bytes; Falco compares with at most {VALUE_LIMIT_BYTES}")
    if "\ufffd" in value:
        raise Unembeddable("the value holds U+FFFD, which stands for bytes that are not known")
    if found := _LIST_NAME.search(value):
        raise Unembeddable(f"Falco would take the word {found[0]} for a list")
    return falco_literal(value)


def _plain(text: str) -> str:
    """Return the text as YAML: bare where YAML reads it as the same text."""
    return _PLAIN_TEXTS[text]


def _make_plain(text: str) -> str:
    return text if _PLAIN.match(text) and text.lower() not in _WORDS else yaml_scalar(text)


_PLAIN_TEXTS = Made(_make_plain, 256, _KEPT_CHARACTERS)
