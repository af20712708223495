"""The dashboards' files: complete, importable, in step with their code, and their queries are of the grammar."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.generator.style import PRIORITIES, VERDICTS
from exporter.render import palette
from tests.e2e.dashboard_queries import DASHBOARDS, EXPORTERS, VICTORIALOGS, Query, documents, filled, panels, queries
from tests.e2e.loki_standin import loki_name
from tests.e2e.programs import program

pytestmark = pytest.mark.e2e

ROOT = DASHBOARDS.parent
CORE = {"timeseries", "stat", "table", "logs", "text", "row", "bargauge"}
LOKI_OWN = {"detected_level", "severity_text", "service_name", "from_ms", "to_ms"}
"""Labels that Loki makes itself, and those that our queries make."""


def attributes() -> set[str]:
    """Every attribute that a record may have, by docs/log-records.md; fields' names are open."""
    text = (ROOT / "docs" / "log-records.md").read_text("utf-8")
    return set(re.findall(r"`([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)`", text))


def test_the_files_are_what_the_code_makes() -> None:
    """JSON and code do not differ."""
    done = subprocess.run(
        [sys.executable, "-m", "dashboards.generator", "--check"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", documents())
def test_a_dashboard_explains_itself(name: str) -> None:
    """It has a purpose; each panel has a title, a description, and words for when it is empty."""
    document = documents()[name]
    assert document["description"]
    for panel in panels(document):
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 25, panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


@pytest.mark.parametrize("name", documents())
def test_a_dashboard_imports_as_it_is(name: str) -> None:
    """Data sources are variables, panels are of Grafana's core, ids are unique, the model is Grafana 10.4's."""
    document = documents()[name]
    assert document["schemaVersion"] == 39
    assert "__inputs" not in document
    assert {panel["type"] for panel in document["panels"]} <= CORE
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    for panel in panels(document):
        variable = variables[panel["datasource"]["uid"].strip("${}")]
        assert variable["type"] == "datasource"
        assert variable["query"] == panel["datasource"]["type"]
        if panel["datasource"]["type"] == VICTORIALOGS:
            assert "victorialogs" in name
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))


def test_dashboards_link_to_each_other() -> None:
    """Each links to every other, keeping variables and time range; only the VictoriaLogs variant is not linked to.

    Where there is no room for buttons, one opens the list of all with the tag.
    """
    uids = {document["uid"] for document in documents().values()}
    assert len(uids) == len(documents())
    for document in documents().values():
        links = {link["url"].removeprefix("/d/"): link for link in document["links"]}
        if document["links"][0]["type"] == "dashboards":
            assert all(document["links"][0]["tags"] == other["tags"] for other in documents().values())
        else:
            assert set(links) >= uids - {document["uid"], "falco-alert-reports-vlogs"}
        assert all(link["keepTime"] and link["includeVars"] for link in links.values())
        for uid in re.findall(r"/d/([\w-]+)", json.dumps(document)):
            assert uid in uids


def test_words_look_the_same_everywhere() -> None:
    """Wherever a series or a cell is a priority or a verdict, it has the palette's colour; by name, never by number."""
    colors = dict(PRIORITIES) | dict(VERDICTS)
    grounds = {name: tone.light for name, tone in {**palette.PRIORITIES, **palette.VERDICTS}.items()}
    for document in documents().values():
        for panel in panels(document):
            for override in panel["fieldConfig"]["overrides"]:
                found = [p["value"] for p in override["properties"] if p["id"] == "color"]
                if override["matcher"]["options"] in colors and found:
                    assert found == [{"mode": "fixed", "fixedColor": colors[override["matcher"]["options"]]}]
                for mapping in (p["value"] for p in override["properties"] if p["id"] == "mappings"):
                    words = mapping[0]["options"]
                    if words.keys() & grounds.keys():
                        assert words.keys() in (palette.PRIORITIES.keys(), palette.VERDICTS.keys())
                        assert all(how["color"] == grounds[word] for word, how in words.items())


def test_every_query_is_of_the_grammar(parser: Path) -> None:
    """LogQL by Grafana's own grammar, PromQL by Prometheus' own."""
    asked = [query for query in queries() if query.language in {"logql", "promql"}]
    documents_to_parse = [{"language": query.language, "expr": filled(query.expr)} for query in asked]
    done = subprocess.run(
        [program("node"), "check.mjs"],
        input=json.dumps(documents_to_parse), check=True, capture_output=True, text=True, cwd=parser,
    )  # fmt: skip
    wrong = {str(query): error for query, error in zip(asked, json.loads(done.stdout), strict=True) if error}
    assert asked
    assert not wrong


def test_the_grammar_refuses_what_is_wrong(parser: Path) -> None:
    """The check can fail."""
    done = subprocess.run(
        [program("node"), "check.mjs"],
        input='[{"language": "logql", "expr": "{a=\\"b\\"} | line_format"}]',
        check=True, capture_output=True, text=True, cwd=parser,
    )  # fmt: skip
    assert json.loads(done.stdout)[0]


@pytest.mark.parametrize("query", queries("logql"), ids=str)
def test_logql_names_attributes_that_records_have(query: Query) -> None:
    """Every label is an attribute under Loki's name, or one that Loki or the query makes."""
    expr = filled(query.expr)
    known = {loki_name(attribute) for attribute in attributes()} | LOKI_OWN
    named = set(re.findall(r"\|\s*(\w+)\s*[=!]", expr)) | set(re.findall(r"\{\{[^}]*?\.([a-z]\w*)", expr))
    named |= {name for names in re.findall(r"\| keep ([\w, ]+)", expr) for name in names.split(", ")}
    named |= {name.strip() for names in re.findall(r"by \(([^)]*)\)", expr) for name in names.split(",")}
    assert named - {"label_format", "line_format"} <= known


@pytest.mark.parametrize("query", queries("logsql"), ids=str)
def test_logsql_names_attributes_that_records_have(query: Query) -> None:
    """VictoriaLogs keeps the attributes' own names."""
    expr = query.expr
    named = set(re.findall(r"(?<![\w.])([a-z][a-z0-9_]*(?:\.[a-z_]+)+)(?=[:,)|> ]|$)", expr))
    assert named
    assert named <= attributes() | {"service.name"}


def test_an_event_ahead_of_our_clock_is_now() -> None:
    """Where a panel shows a moment of an event, one from the future is no "in an hour"."""
    moments = [query for query in queries("promql") if "rule_last_event_timestamp_seconds" in query.expr]
    assert len(moments) >= 4
    assert all("clamp_max(" in query.expr and ", time()) * 1000" in query.expr for query in moments)


def test_what_needs_loki_is_closed_where_prometheus_is_enough() -> None:
    """A dashboard of Prometheus asks Loki nothing before a reader opens the row."""
    for name, document in documents().items():
        sources = {panel["datasource"]["type"] for panel in panels(document)}
        if sources == {"prometheus", "loki"}:
            open_ones = [panel for panel in document["panels"] if panel["type"] not in {"row", "text"}]
            assert {panel["datasource"]["type"] for panel in open_ones} == {"prometheus"}, name


def test_graphs_mark_starts_and_incidents() -> None:
    """The value of the query is the moment itself, in milliseconds; its source is the dashboard's choice."""
    marked = {name: document["annotations"]["list"] for name, document in documents().items()}
    assert {mark["name"] for marks in marked.values() for mark in marks} == {"Exporter started", "Incident"}
    assert all(marked[f"falco-{name}.json"] for name in ("overview", "rule-detail", "exporter-health"))
    for marks in marked.values():
        for mark in marks:
            assert mark["useValueForTime"]
            assert mark["expr"].endswith(" * 1000")
            assert mark["datasource"]["uid"] == "${datasource}"


def test_which_metrics_are_asked_is_worked_out_on_each_dashboard() -> None:
    """A hidden variable has it, which no link takes along: another range or choice may need other metrics."""
    for name, document in documents().items():
        named = set(re.findall(r"\$\{(\w+):raw\}", json.dumps(document["panels"]))) & EXPORTERS.keys()
        variables = {variable["name"]: variable for variable in document["templating"]["list"]}
        assert named <= variables.keys(), name
        for each in EXPORTERS.keys() & variables.keys():
            assert variables[each]["skipUrlSync"], name
            assert variables[each]["hide"] == 2, name
            assert variables[each]["refresh"] == 2, name


def test_links_leave_room_for_the_choices() -> None:
    """At 1280 pixels choices and links share one line: some nine of them."""
    for name, document in documents().items():
        shown = [variable for variable in document["templating"]["list"] if variable.get("hide", 0) == 0]
        rules = [variable for variable in shown if variable["name"] == "rule" and variable["type"] == "query"]
        assert len(shown) + 3 * len(rules) + len(document["links"]) <= 10, name  # the chosen rule's name is long


def test_numbers_and_words_on_a_ground_can_be_read() -> None:
    """White on each ground that a threshold or a mapping gives has a contrast of at least 4.5 : 1."""

    def contrast_with_white(color: str) -> float:
        parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)

    for name, document in documents().items():
        text = json.dumps([(panel["fieldConfig"], panel["type"]) for panel in panels(document)])
        assert '"color-text"' not in text, f"{name}: coloured text is unreadable on one of Grafana's two pages"
        for panel in panels(document):
            if panel["type"] == "stat":
                assert panel["options"]["colorMode"] == "background_solid", panel["title"]
            grounds = set(re.findall(r'"color": "(#\w+)", "(?:value|index|text)"', json.dumps(panel["fieldConfig"])))
            grounds |= set(
                re.findall(r'"(?:value|text|index)": [^,{}]+, "color": "(#\w+)"', json.dumps(panel["fieldConfig"]))
            )
            assert all(contrast_with_white(color) >= 4.5 for color in grounds), (panel["title"], grounds)


def test_a_related_alerts_link_leaves_no_filter() -> None:
    """Same host, container or user: its report is shown whatever was chosen before, so every choice is reset."""
    for name, document in documents().items():
        if "alert-reports" not in name:
            continue
        chosen = {variable["name"] for variable in document["templating"]["list"] if variable["type"] != "datasource"}
        related = [panel for panel in panels(document) if panel["title"].startswith("Same ")]
        assert len(related) == 3
        for panel in related:
            links = [
                link["url"]
                for override in panel["fieldConfig"]["overrides"]
                for wanted in override["properties"]
                if wanted["id"] == "links"
                for link in wanted["value"]
            ]
            (url,) = links
            for variable in chosen - {"alert", "service", "same_host", "same_container", "same_user"}:
                assert re.search(rf"[?&]var-{variable}=(\$__all)?(&|$)", url), (panel["title"], variable)


def test_each_alert_says_what_happened_and_is_coloured_by_verdict() -> None:
    """Alerts of clouds too, which have neither host nor namespace: their summary is a column of the table."""
    for name, document in documents().items():
        if "alert-reports" not in name:
            continue
        (table,) = [panel for panel in panels(document) if panel["title"] == "Alerts"]
        order = next(how["options"] for how in table["transformations"] if how["id"] == "organize")
        headings = [
            order["renameByName"][field] for field in sorted(order["indexByName"], key=order["indexByName"].get)
        ]
        assert headings.index("Verdict") < headings.index("Priority") < headings.index("What happened")
        shown = {
            override["matcher"]["options"]: override["properties"] for override in table["fieldConfig"]["overrides"]
        }
        for word in ("Verdict", "Priority"):
            options = {found["id"]: found["value"] for found in shown[word]}
            assert options["custom.cellOptions"]["type"] == "color-background", word


def test_the_rule_of_a_link_is_among_the_choices() -> None:
    """Rules come from the counter that every rule has, so that a link's rule is not changed for another."""
    (variable,) = [v for v in documents()["falco-rule-detail.json"]["templating"]["list"] if v["name"] == "rule"]
    query = variable["query"] if isinstance(variable["query"], str) else variable["query"]["query"]
    assert query == "label_values(falco_rule_events_total, rule)"
