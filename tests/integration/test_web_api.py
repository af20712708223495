"""Read-only access for tools: what the description promises is what comes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from exporter.catalog.shipped import ShippedCatalog
from exporter.listener.address import Address
from exporter.reporter import Reporter
from exporter.sources.decode import from_json
from tests.hostile import hostile_alerts
from tests.site import Site, running_site

ROOT = Path(__file__).parents[2]
DESCRIPTION = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reporter() -> Reporter:
    return Reporter(ShippedCatalog())


@pytest.fixture(scope="module")
def site(reporter: Reporter) -> Iterator[Site]:
    with running_site(report_for=reporter.report_for, catalog=reporter.catalog) as running:
        lines = (ROOT / "tests/captures/alerts.jsonl").read_bytes().splitlines()
        running.write(*[from_json(line) for line in lines], *hostile_alerts())
        yield running


def get(site: Site, path: str, **headers: str) -> tuple[int, Any, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = response.read()
        return response.status, response.headers, json.loads(body) if body else None
    finally:
        connection.close()


def schema_of(path: str) -> Any:
    answers = DESCRIPTION["paths"][path]["get"]["responses"]
    return answers["200"]["content"]["application/json"]["schema"] | {"components": DESCRIPTION["components"]}


def every(site: Site, path: str, name: str) -> list[Any]:
    members = []
    while path:
        status, headers, document = get(site, path)
        assert status == 200
        members += document[name]
        path = document["next"]
        assert headers.get("Link") == (f'<{path}>; rel="next"' if path else None)
    return members


def test_the_description_that_is_served_is_the_one_in_the_documentation(site: Site) -> None:
    assert get(site, "/api/v1/openapi.json")[2] == DESCRIPTION
    jsonschema.Draft202012Validator.check_schema({"$defs": DESCRIPTION["components"]["schemas"]})


def test_every_address_is_described_and_every_described_one_is_served(site: Site) -> None:
    """Whatever a module adds below /api/v1 has to be in the description."""
    app = site.server._app("listen", Address.from_text("127.0.0.1:0", "web.listen_address"), lambda _: None)
    served = {each.canonical for each in app.router.resources() if each.canonical.startswith("/api/v1/")}
    assert served == {*DESCRIPTION["paths"], "/api/v1/openapi.json"}


@pytest.mark.parametrize("path", ["/api/v1/reports", "/api/v1/catalog"])
def test_answers_have_the_form_that_is_described(site: Site, path: str) -> None:
    jsonschema.validate(get(site, path)[2], schema_of(path))


def test_every_page_follows_the_one_before_and_the_filter_stays(site: Site) -> None:
    whole = every(site, "/api/v1/reports?limit=1000", "reports")
    assert every(site, "/api/v1/reports?limit=7", "reports") == whole
    assert len(whole) == len(site.recent)
    shells = every(site, "/api/v1/reports?limit=1&rule=clear%20log%20activities", "reports")
    assert {row["rule"] for row in shells} == {"Clear Log Activities"}
    assert [row for row in whole if row["rule"] == "Clear Log Activities"] == shells
    rules = every(site, "/api/v1/catalog", "rules")
    assert every(site, "/api/v1/catalog?limit=30", "rules") == rules
    assert len(rules) == len(ShippedCatalog().entries)
    assert get(site, "/api/v1/catalog?rule=clear%20log%20activities")[2]["rules"][0]["source"] == "syscall"


def test_commands_are_those_of_the_catalog_byte_for_byte(site: Site, reporter: Reporter) -> None:
    rows = every(site, "/api/v1/reports", "reports")
    compared = 0
    for row in rows:
        _, _, document = get(site, row["url"])
        jsonschema.validate(document, schema_of("/api/v1/reports/{uid}"))
        alert = site.recent.find(row["uid"])
        assert alert is not None
        commands = reporter.report_for(alert).advice.commands
        assert [(each["run"], each["undo"]) for each in document["mitigation"]["commands"]] == [
            (command.run, command.undo) for command in commands
        ]
        compared += len(commands)
    assert compared > 200


def test_what_has_not_changed_is_not_sent_again(site: Site) -> None:
    for path in ("/api/v1/reports?limit=3", "/api/v1/catalog", "/api/v1/openapi.json"):
        _, headers, _ = get(site, path)
        status, again, document = get(site, path, If_None_Match=headers["ETag"])
        assert (status, document, again["ETag"]) == (304, None, headers["ETag"])
        assert get(site, path, If_None_Match='"another"')[0] == 200


def test_what_is_wrong_is_said_in_json(site: Site) -> None:
    for path, status in (
        ("/api/v1/reports?limit=0", 400), ("/api/v1/reports?verdict=x", 400), ("/api/v1/reports?before=x", 400),
        ("/api/v1/catalog?after=-1", 400), (f"/api/v1/reports/{'0' * 32}", 404), ("/api/v1/nothing", 404),
    ):  # fmt: skip
        found, _, document = get(site, path)
        assert found == status
        assert document["error"]


def test_who_may_not_see_report_pages_sees_nothing_here() -> None:
    """A listener that other machines reach and that asks for no password has no API."""
    with running_site(listen_address="0.0.0.0:0") as site:
        for path in DESCRIPTION["paths"]:
            connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
            connection.request("GET", path.replace("{uid}", "0" * 32).replace("{id}", "0" * 16))
            assert connection.getresponse().status == 403
            connection.close()
