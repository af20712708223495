"""The incident pages, the tools' access to them, and the metrics, over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from exporter.alert import Alert
from exporter.catalog.shipped import ShippedCatalog
from exporter.config.model import Incidents as Settings
from exporter.incidents.register import Incidents
from exporter.incidents.tactics import tactics_by_rule
from exporter.reporter import Reporter
from exporter.sinks.incidents import IncidentSink
from exporter.verdict.judgement import Judgement
from tests.hostile import hostile_alerts
from tests.site import Site, running_site
from tests.unit.incidents.made import alert, register
from tools.incidents import stories


class Served:
    """A site whose alerts are joined."""

    def __init__(self, site: Site, incidents: Incidents) -> None:
        self.site = site
        self.incidents = incidents

    def get(self, path: str) -> tuple[int, str, str]:
        """Return status, media type and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.site.server.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.headers.get_content_type(), response.read().decode()
        finally:
            connection.close()

    def sample(self, name: str, **labels: str) -> float | None:
        """Return a metric's value."""
        return self.site.metrics.registry.get_sample_value(name, labels)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    reporter = Reporter(ShippedCatalog())
    catalog = reporter.catalog
    told = [step.alert for story in list(stories())[:3] for step in story.steps]
    moment = max(alert.time_ns for alert in told) / 1e9
    incidents = Incidents(
        Settings(), judge=catalog.judge.judge, tactics_of=tactics_by_rule(catalog), clock=lambda: moment
    )
    with running_site(report_for=reporter.report_for, incidents=incidents, advice_for=reporter.advice_for) as site:
        sink = IncidentSink(incidents, registry=site.metrics.registry, tell=None)
        for alert in told:
            site.write(alert)
            sink.write([alert])
        yield Served(site, incidents)


def test_the_list_leads_to_each_incident_and_on_to_reports(served: Served) -> None:
    """From the list to an incident, to its other formats, and to the report of an alert."""
    status, kind, page = served.get("/incidents")
    assert (status, kind) == (200, "text/html")
    for incident in served.incidents.all():
        assert f'href="incidents/{incident.id}"' in page
        status, _, one = served.get(f"/incidents/{incident.id}")
        assert status == 200
        assert "data-version" in one
        uid = incident.members[0].alert.uid
        assert f'href="../reports/{uid}"' in one
        assert served.get(f"/reports/{uid}")[0] == 200
        for suffix, media in (("md", "text/markdown"), ("txt", "text/plain"), ("json", "application/json")):
            status, kind, text = served.get(f"/incidents/{incident.id}.{suffix}")
            assert (status, kind) == (200, media)
            assert incident.id in text


def test_the_list_is_filtered(served: Served) -> None:
    """A verdict and a state choose; what does not exist is refused with what was expected."""
    attacks = {each.id for each in served.incidents.all() if each.verdict == "attack"}
    assert attacks
    _, _, page = served.get("/incidents?verdict=attack&state=open")
    assert all(name in page for name in attacks)
    assert 'class="row' not in served.get("/incidents?verdict=test")[2]
    assert served.get("/incidents?verdict=bad")[0] == 400
    assert served.get("/incidents?state=bad")[0] == 400


def test_an_unknown_incident_says_why(served: Served) -> None:
    """A stale link explains what is kept and where to look."""
    status, _, page = served.get("/incidents/0123456789abcdef")
    assert status == 404
    assert "falco.incident.id" in page


def test_tools_read_the_same_incidents(served: Served) -> None:
    """The list in pages, and each incident whole, as the command line prints it."""
    first = json.loads(served.get("/api/v1/incidents?limit=2")[2])
    rest = json.loads(served.get(first["next"])[2])
    ids = [each["id"] for each in first["incidents"] + rest["incidents"]]
    assert ids == [each.id for each in served.incidents.all()]
    whole = json.loads(served.get(first["incidents"][0]["url"])[2])
    assert whole["id"] == ids[0]
    assert whole["steps"]


def test_metrics_count_incidents_and_give_each_likely_attack_a_series(served: Served) -> None:
    """What an alert rule pages by: one series per open incident that is a likely attack."""
    attacks = [each for each in served.incidents.all() if each.verdict == "attack"]
    text = served.get("/metrics")[2]
    assert served.sample("falco_incidents_open", verdict="attack") == len(attacks)
    for incident in attacks:
        assert f'falco_incident_start_timestamp_seconds{{incident="{incident.id}"' in text
    assert served.sample("falco_incidents_opened_total", verdict="attack") == len(attacks)


def attack(_: Alert) -> Judgement:
    return Judgement("attack", "succeeded", ())


class Scripts(HTMLParser):
    """Finds what runs or loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note scripts, foreign images and handlers."""
        handlers = [name for name, _ in attrs if name.startswith("on")]
        if tag in {"iframe", "object", "embed"} or handlers or (tag in {"script", "img"} and not _own(attrs)):
            self.found.append((tag, str(attrs)))


def _own(attrs: list[tuple[str, str | None]]) -> bool:
    return any(name == "src" and (value or "").lstrip("./").startswith("static/") for name, value in attrs)


def test_hostile_values_stay_text() -> None:
    """Whatever attackers write, no page of incidents gains an element that runs or loads."""
    reporter = Reporter(ShippedCatalog())
    catalog = reporter.catalog
    incidents = Incidents(Settings(), judge=attack, tactics_of=tactics_by_rule(catalog))
    with running_site(report_for=reporter.report_for, incidents=incidents, advice_for=reporter.advice_for) as site:
        sink = IncidentSink(incidents, registry=site.metrics.registry, tell=None)
        sink.write(hostile_alerts())
        served = Served(site, incidents)
        assert incidents.all()
        for path in ("/incidents", *[f"/incidents/{each.id}" for each in incidents.all()[:20]]):
            status, _, page = served.get(path)
            assert status == 200
            parser = Scripts()
            parser.feed(page)
            assert parser.found == []
        assert served.get("/metrics")[0] == 200


def test_a_merged_incident_leads_to_the_one_that_it_is_part_of() -> None:
    """The page of the old identifier redirects; a file and the API give the new incident, which names the old one."""
    incidents = register()
    pod = {"k8s__ns__name": "shop", "k8s__pod__name": "web-0"}
    incidents.take([alert(0, "attack a", container__id="a" * 12, container__name="a", **pod)])
    incidents.take([alert(1, "attack b", container__id="b" * 12)])
    before = {each.id for each in incidents.all()}
    incidents.take([alert(2, "c", container__id="b" * 12, container__name="b", **pod)])
    (merged,) = incidents.all()
    (old,) = before - {merged.id}
    reporter = Reporter(ShippedCatalog())
    with running_site(report_for=reporter.report_for, incidents=incidents, advice_for=reporter.advice_for) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=20)
        try:
            connection.request("GET", f"/incidents/{old}")
            response = connection.getresponse()
            assert (response.status, response.headers["Location"]) == (302, merged.id)
            response.read()
            connection.request("GET", f"/api/v1/incidents/{old}")
            document = json.loads(connection.getresponse().read())
        finally:
            connection.close()
    assert (document["id"], document["other_ids"]) == (merged.id, [old])
