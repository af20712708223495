"""The first of some output fields that an alert has."""

from __future__ import annotations

import pytest

from exporter.alert import Alert, Priority
from exporter.first_of import FirstOf

TIME_NS = 1_728_152_979_273_467_556


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"a": "1", "b": "2"}, ("b", "2")),
        ({"b": "<NA>", "a": "1"}, ("a", "1")),
        ({"a": "", "b": ""}, None),
        ({"c": "3"}, None),
        ({}, None),
    ],
)
def test_the_first_of_some_fields_is_the_first_that_is_there(
    fields: dict[str, str], expected: tuple[str, str] | None
) -> None:
    """Asked twice: which fields to ask is remembered for their names, not what was found."""
    first = FirstOf(["b", "a"])
    for _ in range(2):
        assert first.find(Alert(TIME_NS, "A rule", Priority.WARNING, "syscall", "node-1", "x", fields, ())) == expected
    other = dict.fromkeys(fields, "other")
    found = first.find(Alert(TIME_NS, "A rule", Priority.WARNING, "syscall", "node-1", "x", other, ()))
    assert found == next(((name, "other") for name in ("b", "a") if name in fields), None)
