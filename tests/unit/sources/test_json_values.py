"""JSON values as Falco's text: times that are none, and fields that are not there."""

from __future__ import annotations

import pytest

from exporter.sources.json_values import JsonFields, parse_rfc3339, to_time_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "00:00:00.000000000"),
        ("0", "00:00:00.000000000"),
        (10**19 - 1, "17:46:39.999999999"),
        ("9999999999999999999", "17:46:39.999999999"),
        (10**19, "10000000000000000000"),
        ("10000000000000000000", "10000000000000000000"),
        (-1, "-1"),
        ("noon", "noon"),
        ("\u0663", "\u0663"),
        ("", ""),
        (None, "<NA>"),
    ],
)
def test_only_a_number_of_nanoseconds_becomes_a_time(value: object, text: str) -> None:
    """Whatever else a sender puts in a field of time stays as it is."""
    assert to_time_text("evt.time", value) == text


def test_a_field_that_is_missing_is_not_one_without_a_value() -> None:
    """Falco's <NA> is for null; for what is not there the caller says what it gets."""
    fields = JsonFields({"text": "x", "number": 5, "null": None})
    assert [fields.get(name) for name in ("text", "number", "null", "missing")] == ["x", "5", "<NA>", None]
    assert [fields.get(name, "other") for name in ("text", "number", "null", "missing")] == ["x", "5", "<NA>", "other"]


def test_a_text_in_a_field_of_time_stays_that_text() -> None:
    """Only numbers are nanoseconds, whether one field is asked for or all."""
    fields = JsonFields({"evt.time": "5", "evt.datetime": "0", "x": "7"})
    assert [fields.get(name) for name in ("evt.time", "evt.datetime", "x")] == ["5", "0", "7"]
    assert fields.to_dict() == {"evt.time": "5", "evt.datetime": "0", "x": "7"}


@pytest.mark.parametrize(
    "text", ["2024-10-05T18:29:39x123456789Z", "2024-10-05T18:29:39.123456789X", "2024-10-05T18:29:39.12345678٩Z"]
)
def test_what_has_the_length_of_falcos_time_is_not_therefore_one(text: str) -> None:
    """Separator, zone and digits are looked at in the short way too."""
    assert len(text) == 30
    assert parse_rfc3339(text) is None
