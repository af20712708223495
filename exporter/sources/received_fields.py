"""An alert's output fields, taken out of Falco's gRPC message when somebody wants more than one or two.

Owns the way from the message's map to a dictionary. A sink that counts looks
at one or two of some twenty fields; to take all of them out costs as much as
to decode the message (docs/performance.md). Refuses the rest of the message
(see ``decode.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter._proto import falco_lenient_pb2
from exporter.alert import Fields
from exporter.kept import Kept, Made

_KEPT_PAIRS = 8_192
_KEPT_ENTRY_BYTES = 256
_KEY, _VALUE = 0x0A, 0x12
"""Protobuf's tags of the two members of a map's entry."""


_NAMES: Kept[str, str] = Kept(1_024, 65_536)
"""One object for each name, so that comparing and hashing it costs nothing: alerts are found by their fields' names."""


def _to_pair(entry: bytes) -> tuple[str, str]:
    """Return name and value of an entry that the message's own parser has accepted."""
    size = len(entry)
    if size > 3 and entry[0] == _KEY and entry[1] < 0x80:
        start = entry[1] + 4
        # As Falco writes it: name, value, each with a length of one byte, and nothing else.
        if (
            start <= size
            and entry[start - 2] == _VALUE
            and entry[start - 1] < 0x80
            and start + entry[start - 1] == size
        ):
            name = entry[2 : start - 2].decode()
            return _NAMES.get(name) or _NAMES.keep(name, name, len(name)), entry[start:].decode()
    # Protobuf's map leaves an entry out that has a member of a later contract; here it keeps its name and value.
    field = falco_lenient_pb2.field.FromString(entry)
    return field.key.decode("utf-8", "replace"), field.value.decode("utf-8", "replace")


_PAIRS: Made[bytes, tuple[str, str]] = Made(_to_pair, _KEPT_PAIRS, _KEPT_ENTRY_BYTES)
"""Name and value by the entry's bytes: most entries of an alert are those of one before."""


class ReceivedFields(Fields):
    """Name to value. ``in_message`` is protobuf's map of ``message``, whose ``get`` is all that is used of it."""

    __slots__ = ("_fields", "_in_message", "_message")

    def __init__(self, in_message: Mapping[str, str], message: bytes) -> None:
        self._in_message = in_message
        self._message = message
        self._fields: dict[str, str] | None = None

    def to_dict(self) -> dict[str, str]:
        """Every field, in the message's order."""
        fields = self._fields
        if fields is None:
            entries = falco_lenient_pb2.entries.FromString(self._message).output_fields
            # Of a name that comes twice the last value counts, in protobuf as in a dictionary.
            fields = self._fields = dict(map(_PAIRS.__getitem__, entries))
        return fields

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return one field's value; takes none of the others out."""
        return (self._fields or self._in_message).get(name, default)

    def __len__(self) -> int:
        return len(self._in_message if self._fields is None else self._fields)
