"""Names that rules, hosts and users can have, chosen in the dashboards: the queries stay queries and find those names.

Only a backquote cannot stand in a backquoted string, and Go drops a carriage
return there: such a value gives an error or nothing, never another's data.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.dashboard_queries import Query, filled, queries
from tests.e2e.loki_standin import Line, run
from tests.e2e.programs import program
from tests.hostile import hostile_values

pytestmark = pytest.mark.e2e

NAMES = (
    "Container Drift Detected (open+create)",
    "Container Drift Detected (chmod)",
    "Detect an Attempt (CVE-2019-14287)",
    'a"b',
    "DOM\\bob",
    "/etc/(shadow",
    "it's",
    "a|b",
)
VALUES = {name: name for name in NAMES} | {
    name: value
    for name, value in hostile_values().items()
    if not re.search(r"[`\r\ud800-\udfff]", value) and len(value) < 500
}
CHOICES = {
    "rule": "security_rule_name",
    "host": "host_name",
    "namespace": "k8s_namespace_name",
    "source": "falco_source",
    "same_host": "host_name",
    "same_container": "container_id",
    "same_user": "user_name",
    "alert": "log_record_uid",
}
"""What a variable of the dashboards chooses by."""
OTHER = "other"


def line(value: str) -> Line:
    """An alert that has the value wherever a variable looks, and everything that panels ask for."""
    described = dict.fromkeys(CHOICES.values(), value)
    shown = {"process_executable_name": "x", "container_name": "x", "file_path": "x", "falco_report_tuning": "[]"}
    return Line(1, value, {"service_name": "falco"}, {**shown, "falco_verdict": "attack", **described})


def variables_of(query: Query) -> set[str]:
    """The variables that a query names, of those that choose alerts."""
    return set(re.findall(r"\$\{?(\w+)", query.expr)) & CHOICES.keys()


def found_by(query: Query, chosen: dict[str, str], value: str) -> list[str]:
    """Return which of two alerts a query finds: the value's, another's."""
    log = re.sub(r"^.*count_over_time\((.*) \[[^\]]*\]\)+$", r"\1", filled(query.expr, **chosen), flags=re.DOTALL)
    return [
        name for name, one in (("its", line(value)), (OTHER, line(OTHER))) if list(run(log.split(" | keep")[0], [one]))
    ]


@pytest.mark.parametrize("name", VALUES)
def test_a_chosen_name_is_found_and_nothing_else(name: str) -> None:
    """Each LogQL query finds the alert with that name, by each variable, and not another's."""
    for query in queries("logql"):
        if "line_format" in query.expr:
            continue  # what follows is the template's matter: the selection before it is another panel's too
        for variable in variables_of(query):
            assert found_by(query, {variable: VALUES[name]}, VALUES[name]) == ["its"], f"{query}, {variable}"


@pytest.mark.parametrize("name", NAMES)
def test_text_is_searched_for_literally(name: str) -> None:
    """The text filter is no regular expression, and does not look at upper and lower case."""
    (query,) = [query for query in queries("logql") if query.panel == "Alerts"]
    assert found_by(query, {"search": name.upper()}, name) == ["its"]


def test_a_chosen_alert_is_shown_whatever_the_filters_are() -> None:
    """The report asks by uid; without one, by the filters."""
    (query,) = [query for query in queries("logql") if query.panel == "Report"]
    strange = {"verdict": "test", "host": "elsewhere", "search": "nothing like it", "rule": "no rule"}
    assert found_by(query, {**strange, "alert": "0193-a"}, "0193-a") == ["its"]
    assert found_by(query, strange, "0193-a") == []


def test_no_query_reads_a_name_as_a_regular_expression() -> None:
    """Every variable in a query names its format; `=~` goes with the one for regular expressions."""
    own = {"__range", "__interval", "__rate_interval", "__from"}
    for query in queries():
        for operator, name in re.findall(r"(=~|=)\s*[\"`][^\"`$]*\$(\w+)", query.expr):
            raise AssertionError(f"{query}: {operator}${name} names no format")
        for raw in re.findall(r"=~\s*`[^`]*\$\{(\w+):raw\}", query.expr):
            raise AssertionError(f"{query}: {raw} is not escaped")
        assert set(re.findall(r"\$(\w+)", query.expr)) <= own | {"1", "2"}, str(query)


def test_queries_with_hostile_names_are_of_the_grammar(parser: Path) -> None:
    """By Grafana's own grammar of LogQL and PromQL."""
    asked = [
        (query, value, {"language": query.language, "expr": filled(query.expr, **dict.fromkeys(CHOICES, value))})
        for query in queries()
        if query.language != "logsql"
        for value in VALUES.values()
    ]
    done = subprocess.run(
        [program("node"), "check.mjs"],
        input=json.dumps([document for *_, document in asked]), check=True, capture_output=True, text=True, cwd=parser,
    )  # fmt: skip
    wrong = {
        f"{query}: {value!r}": error
        for (query, value, _), error in zip(asked, json.loads(done.stdout), strict=True)
        if error
    }
    assert asked
    assert not wrong
