"""The dashboard for VictoriaLogs, asked of a real one: each report says what the exporter's record says."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dashboards.generator.reports import HEADER, LISTS, TEXTS
from exporter.alert import Alert
from tests.e2e.dashboard_queries import filled, queries
from tests.e2e.log_store import insert, records_of, victorialogs
from tests.hostile import hostile_values
from tests.otel_records import ALERT, attributes_of
from tests.reference import reference_alert
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

COMMANDS = ("printf '%P\\n'", "a\\", '",', "docker ps --format '{{json .}}\\n'")
"""What looks like JSON's escapes, and like the end of an entry."""

RANGE = {"start": "2024-10-05T18:00:00Z", "end": "2024-10-05T19:00:00Z"}
"""As Grafana asks: the records lie within it."""


@dataclass(frozen=True)
class Store:
    """A running VictoriaLogs, and the attributes of the records in it by uid."""

    url: str
    records: dict[str, dict[str, Any]]

    def ask(self, expr: str) -> list[dict[str, str]]:
        """Rows of a query; fails with the store's own words."""
        asked = urllib.parse.urlencode({"query": expr, **RANGE}).encode()
        with urllib.request.urlopen(f"{self.url}/select/logsql/query", asked, 30) as answer:
            return [json.loads(row) for row in answer.read().decode().split("\n") if row]

    def rows(self, expr: str) -> list[dict[str, str]]:
        """Rows of a query that has some; new data can be out of sight for a moment while the store rearranges it."""
        found: list[dict[str, str]] = []

        def ask() -> bool:
            found[:] = self.ask(expr)
            return bool(found)

        wait_until(ask, f"rows of {expr}", seconds=10)
        return found


def alerts() -> list[Alert]:
    """Alerts of real rules with hostile values in them, each at its own time."""
    values = [*COMMANDS, *(value for value in hostile_values().values() if len(value) < 500 and "\ud800" not in value)]
    found = [
        replace(one, fields={**one.fields, "fd.name": value, "user.name": value, "proc.cmdline": value})
        for one in (ALERT, reference_alert(), replace(reference_alert(), rule="Terminal shell in container"))
        for value in values
    ]
    return [replace(alert, time_ns=alert.time_ns + index * 10**9) for index, alert in enumerate(found)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """VictoriaLogs with a record for every alert."""
    with victorialogs(tmp_path_factory.mktemp("vl")) as url:
        records = records_of(alerts())
        insert(url, records)
        by_uid = {found["log.record.uid"]: found for found in map(attributes_of, records)}
        assert len(by_uid) == len(records)
        running = Store(url, by_uid)
        wait_until(
            lambda: len(running.ask("{service.name=`falco`} | fields log.record.uid")) == len(records),
            "every record is found",
        )
        yield running


def report_query(**values: str) -> str:
    """The query of the report as text."""
    (query,) = [query for query in queries("logsql") if query.panel == "Report as text"]
    return filled(query.expr, **values)


def parts_of(record: dict[str, Any]) -> Iterator[str]:
    """The parts of the report that the record's attributes are, in order."""
    for label, name in HEADER:
        if value := record.get(name):
            yield f"\n{label:<16}{' '.join(value) if isinstance(value, list) else value}\n"
    for title, name in TEXTS:
        if value := record.get(name):
            yield f"{title.upper()}\n{'─' * len(title)}\n{value}\n"
    for title, name in LISTS:
        if value := record.get(name):
            entries = "\n\n".join(f"• {entry}" for entry in value)
            yield f"{title.upper()}\n{'─' * len(title)}\n{entries}\n"


def test_each_report_says_what_its_record_says(store: Store) -> None:
    """Every command, sentence and value as it is, whatever the filters are; absent ones leave no line."""
    for uid, record in store.records.items():
        (row,) = store.rows(report_query(alert=uid, verdict="no such", rule="no rule"))
        text = row["_msg"]
        for part in parts_of(record):
            assert part in text, uid
        assert re.search(r"^Time            2024-10-05T18:\d\d:\d\d\.27", text, re.MULTILINE)
        assert row["severity_text"] == record["falco.priority"]
        for label, name in HEADER:
            assert record.get(name) or f"\n{label:<16}" not in text.split("ALERT DETAILS")[0], (uid, label)


@pytest.mark.parametrize("query", queries("logsql"), ids=str)
def test_every_query_finds_records(store: Store, query: Any) -> None:
    """Each panel's query is of the store's grammar and finds something."""
    expr = filled(query.expr, same_host="mini-debian-lab", same_container="3ad7b26ded6d", same_user='",')
    assert store.rows(expr)


def test_names_with_special_characters_are_found(store: Store) -> None:
    """Quotes, backslashes and what regular expressions read are themselves."""
    for query in queries("logsql"):
        if query.panel.startswith("Same user"):
            for user in COMMANDS:
                assert len(store.rows(filled(query.expr, same_user=user))) == 3, user
