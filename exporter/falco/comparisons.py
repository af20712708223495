"""What each operator and transformer does with a value's text.

Owns functions made once per comparison, so that evaluating is cheap. The
rules of notation are told in ``evaluation.py``.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence

from exporter.falco import patterns
from exporter.falco.nodes import Call, Comparison, Field, Operand, Operands, Value
from exporter.falco.tokens import ConditionError

Lookup = Callable[[str], str | None]
Test = Callable[[str], bool]
_NETWORK = re.compile(r"fd\.([cslr]?)net\Z")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+\Z")


def is_network(field: Field) -> bool:
    """Whether a field's values are compared with networks: ``fd.net`` and its kin."""
    return _NETWORK.match(field.name) is not None


def address_of(field: Field) -> str | None:
    """Return the field that stands in for ``fd.net`` and its kin where an event has no such field; else None."""
    network = _NETWORK.match(field.name)
    return None if network is None else f"fd.{network[1]}ip"


def is_hexadecimal(text: str) -> bool:
    """Whether a text is a number in hexadecimal notation, which equals others."""
    return _HEXADECIMAL.match(text) is not None


def test(node: Comparison, values: tuple[Value, ...]) -> Test:
    """Return the function that says of a present value whether it fits. Raises ConditionError."""
    network = isinstance(node.left, Field) and is_network(node.left)
    if node.modifier:
        return _several([_single(node.operator, value, network=network) for value in values], node.modifier)
    if node.operator == "pmatch":
        return patterns.path_prefix([value.text for value in values])
    if node.operator in {"in", "intersects"}:
        return _membership(values, network=network, every=node.operator == "in")
    return _single(node.operator, values[0], network=network)


def _several(tests: Sequence[Test], modifier: str) -> Test:
    def fits(value: str) -> bool:
        found = sum(test_one(value) for test_one in tests)
        return {"oneof": found == 1, "anyof": found > 0, "allof": 0 < found == len(tests)}[modifier]

    return fits


def _membership(values: tuple[Value, ...], *, network: bool, every: bool) -> Test:
    texts = frozenset(value.text for value in values)
    others = [_equal(value, network=network) for value in values if network or _HEXADECIMAL.match(value.text)]
    combine = all if every else any

    def fits_one(value: str) -> bool:
        return value in texts or any(fits(value) for fits in others)

    def fits(value: str) -> bool:
        if fits_one(value):
            return True
        return value[:1] == "(" and value[-1:] == ")" and combine(map(fits_one, value[1:-1].split(",")))

    return fits


def _single(operator: str, value: Value, *, network: bool) -> Test:
    text = value.text
    if operator in {"=", "==", "!="}:
        equal = _equal(value, network=network)
        return (lambda found: not equal(found)) if operator == "!=" else equal
    if operator in {"<", "<=", ">", ">="}:
        return _order(operator, text)
    if operator in {"glob", "iglob"}:
        return patterns.glob(text, ignore_case=operator == "iglob")
    if operator == "regex":
        return patterns.regex(text)
    if operator in {"bcontains", "bstartswith"}:
        return _bytes(operator, text)
    return {
        "contains": lambda found: text in found,
        "icontains": lambda found: text.lower() in found.lower(),
        "startswith": lambda found: found.startswith(text),
        "endswith": lambda found: found.endswith(text),
    }[operator]


def _equal(value: Value, *, network: bool) -> Test:
    text = value.text
    if network:
        try:
            addresses = ipaddress.ip_network(text, strict=False)
        except ValueError as exc:
            raise ConditionError(f"found {text!r}, expected an address or a network") from exc
        return lambda found: _in_network(found, addresses)
    if not value.quoted and _HEXADECIMAL.match(text):
        number = float(int(text, 16))
        return lambda found: found == text or _number(found) == number
    return lambda found: found == text


def _in_network(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return text == str(network)


def _number(text: str) -> float | None:
    try:
        return float(int(text, 16)) if _HEXADECIMAL.match(text) else float(text)
    except ValueError:
        return None


def _order(operator: str, text: str) -> Test:
    limit = _number(text)
    compare: Callable[[float, float], bool] = {
        "<": float.__lt__, "<=": float.__le__, ">": float.__gt__, ">=": float.__ge__,
    }[operator]  # fmt: skip

    def fits(found: str) -> bool:
        number = _number(found)
        return number is not None and limit is not None and compare(number, limit)

    return fits


def _bytes(operator: str, text: str) -> Test:
    """Falco's operators for buffers take bytes in hexadecimal."""
    try:
        wanted = bytes.fromhex(text)
    except ValueError as exc:
        raise ConditionError(f"found {text!r}, expected bytes in hexadecimal after {operator}") from exc

    def raw(found: str) -> bytes:
        return found.encode("utf-8", "surrogateescape")

    return (
        (lambda found: wanted in raw(found))
        if operator == "bcontains"
        else lambda found: raw(found)[: len(wanted)] == wanted
    )


def operands(operand: Operand) -> Callable[[Lookup], str | None]:
    """Return the function that finds one side's value, None where a field that it needs is absent."""
    if isinstance(operand, Value):
        text = operand.text
        return lambda lookup: text
    if isinstance(operand, Field):
        return _field(operand)
    if isinstance(operand, Operands):
        raise ConditionError("a list stands where one value is expected")
    return _call(operand)


def _field(field: Field) -> Callable[[Lookup], str | None]:
    key = field.key
    address = address_of(field)
    if address is None:
        return lambda lookup: lookup(key)

    def find(lookup: Lookup) -> str | None:
        value = lookup(key)
        return lookup(address) if value is None else value

    return find


def _call(call: Call) -> Callable[[Lookup], str | None]:
    if call.transformer in {"join", "concat"}:
        return _together(call)
    transform = _TRANSFORMS.get(call.transformer)
    if transform is None or len(call.arguments) != 1:
        raise ConditionError(f"{call.transformer}() cannot be evaluated with {len(call.arguments)} arguments")
    inner = operands(call.arguments[0])

    def find(lookup: Lookup) -> str | None:
        value = inner(lookup)
        return None if value is None else transform(value)

    return find


def _together(call: Call) -> Callable[[Lookup], str | None]:
    """``join(SEPARATOR, (A, B))`` and ``concat(A, B)``."""
    separator, items = "", call.arguments
    if call.transformer == "join":
        first, last = call.arguments if len(call.arguments) == 2 else (None, None)
        if not isinstance(first, Value) or not isinstance(last, Operands):
            raise ConditionError("found join() with other arguments, expected join(SEPARATOR, (VALUE, …))")
        separator, items = first.text, last.items
    parts = [operands(item) for item in items]

    def find(lookup: Lookup) -> str | None:
        found = [part(lookup) for part in parts]
        return None if None in found else separator.join(value for value in found if value is not None)

    return find


def _from_base64(value: str) -> str | None:
    try:
        return base64.b64decode(value).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return None


_TRANSFORMS: dict[str, Callable[[str], str | None]] = {
    "val": lambda value: value,
    "tolower": str.lower,
    "toupper": str.upper,
    "basename": lambda value: value.rsplit("/", 1)[-1],
    "len": lambda value: str(len(value.encode("utf-8", "surrogatepass"))),
    "b64": _from_base64,
}
