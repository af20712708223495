"""The stand-in for Loki does what the facts about Loki say, and refuses what it does not understand."""

from __future__ import annotations

import pytest

from tests.e2e.loki_standin import Line, UnknownQueryError, lines_of, loki_name, loki_value, run
from tests.e2e.loki_template import render

pytestmark = pytest.mark.e2e

LINE = Line(1_728_152_979_273_467_556, "text", {"service_name": "falco"}, {"a": "x", "list": '["1", "2"]'})
REQUEST = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "falco"}}]},
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "5",
                            "severityNumber": 13,
                            "severityText": "Warning",
                            "body": {"stringValue": "b"},
                            "attributes": [{"key": "proc.aname[2]", "value": {"boolValue": False}}],
                        }
                    ]
                }
            ],
        }
    ]
}


def test_a_record_becomes_a_line_with_structured_metadata() -> None:
    """The resource's name is an index label, attributes are metadata, the level is from the number."""
    (line,) = lines_of(REQUEST)
    assert line.stream == {"service_name": "falco"}
    assert line.metadata["proc_aname_2_"] == "false"
    assert line.metadata["detected_level"] == "warn"


def test_names_and_values_are_lokis() -> None:
    """Underscores for what is no letter or digit; arrays as JSON text."""
    assert loki_name("proc.aname[2]") == "proc_aname_2_"
    assert loki_value({"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}) == '["a", "b"]'


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('{service_name="falco"} | a="x"', 1),
        ('{service_name="falco"} | a!="x"', 0),
        ('{service_name="falco"} | absent=~".*"', 1),
        ('{service_name="falco"} | absent!=""', 0),
        ('{service_name="falco"} |~ "(?i)TEX"', 1),
        ('{service_name="other"}', 0),
        ('{service_name="falco"} | (a="y" and list!="") or (a=`x` and list!="")', 1),
        ('{service_name="falco"} | a="x" and (list="" or absent!="")', 0),
    ],
)
def test_filters(query: str, found: int) -> None:
    """An absent label is the empty text, as in LogQL; regular expressions of labels match the whole value."""
    assert len(list(run(query, [LINE]))) == found


def test_templates() -> None:
    """Branches, lists, functions and time are written as Go writes them."""
    template = "{{ if .a }}{{ .a }}{{ else }}none{{ end }} {{ range fromJson .list }}<{{ . }}>{{ end }} {{ __line__ }}"
    assert render(template, LINE.metadata, LINE.text, LINE.time_ns) == "x <1><2> text"
    time = '{{ date "2006-01-02 15:04:05.999999999 MST" __timestamp__ }} {{ sub (__timestamp__ | unixEpochMillis) 1 }}'
    assert render(time, {}, "", LINE.time_ns) == "2024-10-05 18:29:39.273467556 UTC 1728152979272"


@pytest.mark.parametrize(
    "query", ['{service_name="falco"} | json', "sum(rate({a=`b`}[1m]))", '{service_name="falco"} | (a="x"']
)
def test_what_is_not_understood_is_an_error(query: str) -> None:
    """Never an empty answer, which would look like no data."""
    with pytest.raises(UnknownQueryError):
        list(run(query, [LINE]))
