"""An alert's output fields, taken out of the entries of Falco's gRPC message.

Owns the way from the message's map to a dictionary. Refuses the rest of the
message (see ``decode.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter._proto import falco_lenient_pb2
from exporter.kept import Kept, Made

_KEPT_PAIRS = 8_192
_KEPT_ENTRY_BYTES = 256
_KEY, _VALUE = 0x0A, 0x12
"""Protobuf's tags of the two members of a map's entry."""


_NAMES: Kept[str, str] = Kept(1_024, 65_536)
"""One object for each name, so that comparing and hashing it costs nothing: alerts are found by their fields' names."""


def _to_pair(entry: bytes) -> tuple[str, str]:
    """Return an entry's name and value."""
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
    return field.key.decode(), field.value.decode()


_PAIRS: Made[bytes, tuple[str, str]] = Made(_to_pair, _KEPT_PAIRS, _KEPT_ENTRY_BYTES)
"""Name and value by the entry's bytes: most entries of an alert are those of one before."""


def to_fields(entries: Sequence[bytes]) -> dict[str, str]:
    """Return every field, by name: Falco writes the same fields in another order each time, and in this one in JSON.

    Raises UnicodeDecodeError for text that is not UTF-8, protobuf's DecodeError for what is no entry.
    """
    fields = dict(sorted(map(_PAIRS.__getitem__, entries)))
    if len(fields) < len(entries):
        # Of a name that comes twice the last value counts, in protobuf as in a dictionary.
        fields = dict(sorted(dict(map(_PAIRS.__getitem__, entries)).items()))
    return fields
