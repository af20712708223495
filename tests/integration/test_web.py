"""The HTTP side over real connections: routes, negotiation, pages."""

from __future__ import annotations

import gzip
import html
import http.client
import json
import re
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.alert import Alert, Priority
from exporter.errors import ConfigError
from exporter.render.formats import FORMATS
from exporter.report import Report
from exporter.verdict.judgement import UNDECIDED
from tests.hostile import hostile_alerts
from tests.site import Site, make_alert, make_report, running_site


class Answer:
    """One answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


def get(site: Site, path: str, *, port: int = 0, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port or site.server.port, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=named)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def test_the_landing_page_shows_links_and_state() -> None:
    """From ``/`` an operator finds everything, and sees how it is."""
    with running_site(grafana_url="https://grafana.example/") as site:
        page = get(site, "/").text
        for link in ('href="reports"', 'href="metrics"', 'href="readyz"', 'href="https://grafana.example/"'):
            assert link in page
        assert "connected, Falco 0.43.1" in page
        assert "Ready to take alerts" in page
        site.not_ready["Falco"] = "no such <socket>"
        assert "Falco: no such &lt;socket&gt;" in get(site, "/").text


def test_probes_answer_under_our_paths_and_falco_exporters() -> None:
    """Ready means 200; not ready 503 with the reasons, as text and as JSON."""
    with running_site(probe_address="127.0.0.1:0") as site:
        for port in (site.server.port, site.server.probe_port):
            for path in ("/healthz", "/readyz", "/liveness", "/readiness"):
                assert get(site, path, port=port).status == 200
        site.not_ready["Falco"] = "the socket is missing"
        for port in (site.server.port, site.server.probe_port):
            assert get(site, "/liveness", port=port).status == 200
            answer = get(site, "/readiness", port=port)
            assert (answer.status, answer.text) == (503, "not ready\nFalco: the socket is missing\n")
        answer = get(site, "/readyz", Accept="application/json")
        assert json.loads(answer.body) == {
            "ready": False,
            "reasons": {"Falco": "the socket is missing"},
            "warnings": {},
        }
        assert get(site, "/metrics", port=site.server.probe_port).status == 404


def test_metrics_come_in_the_format_that_is_accepted() -> None:
    """Text for whoever asks for nothing, OpenMetrics with exemplars for Prometheus, gzip where it is taken."""
    with running_site() as site:
        alert = make_alert()
        site.write(alert)
        plain = get(site, "/metrics")
        assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert (
            'falco_rule_events_total{priority="Warning",rule="Clear Log Activities",source="syscall"} 1.0' in plain.text
        )
        assert "_created" not in plain.text
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        rich = get(site, "/metrics", Accept=accept, Accept_Encoding="gzip")
        assert rich.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        text = gzip.decompress(rich.body).decode()
        assert f'{{uid="{alert.uid}"}}' in text
        names = [family.name for family in text_string_to_metric_families(text)]
        assert len(names) == len(set(names))
        assert "falco_exporter_scrape_duration_seconds" in names


def test_every_answer_has_the_security_headers() -> None:
    """Pages, errors and streams alike: no foreign content, no frames, no guessing of types."""
    with running_site() as site:
        for path in ("/", "/metrics", "/reports", "/nothing", "/reports?priority=x", "/static/app.css"):
            headers = get(site, path).headers
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "aiohttp" not in headers["Server"].lower()


def test_pages_load_only_what_is_served_here() -> None:
    """No external asset, no inline script or style; a changed asset has a changed address."""
    with running_site() as site:
        site.write(make_alert())
        (row,) = json.loads(get(site, "/api/reports").body)["reports"]
        for path in ("/", "/reports", row["url"]):
            page = get(site, path).text
            assert not re.search(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=", page)
            assets = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]*)"', page)
            assert assets
            for asset in assets:
                answer = get(site, f"/{asset.removeprefix('./').removeprefix('../')}")
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]


def test_the_list_shows_the_newest_first_and_filters() -> None:
    """The page and the JSON take the same filter."""
    with running_site() as site:
        site.write(
            make_alert(1, rule="First", priority=Priority.CRITICAL, k8s__ns__name="web"),
            make_alert(2, rule="Second", host="node-2"),
            make_alert(3, rule="Third", priority=Priority.NOTICE, fd__name="/etc/shadow"),
        )

        def listed(query: str) -> list[str]:
            page = get(site, f"/reports?{query}").text
            from_page = re.findall(r'data-of="rule" href="reports/[0-9a-f]{32}">([^<]*)<', page)
            reports = json.loads(get(site, f"/api/reports?{query}").body)["reports"]
            assert from_page == [row["rule"] for row in reports]
            return from_page

        assert listed("") == ["Third", "Second", "First"]
        assert listed("priority=warning") == ["Second", "First"]
        assert listed("rule=Second") == ["Second"]
        assert listed("host=node-1&namespace=web") == ["First"]
        assert listed("text=SHADOW") == ["Third"]
        assert listed("text=nowhere") == []
        assert "No stored report matches: 3 are kept" in get(site, "/reports?text=nowhere").text
        assert get(site, "/reports?priority=x").status == 400
        assert get(site, "/api/reports?limit=0").status == 400
        assert len(json.loads(get(site, "/api/reports?limit=2").body)["reports"]) == 2


def test_a_report_has_an_address_of_its_own_in_every_format() -> None:
    """A page, and the same in each format of the table; what is not kept is said to be so."""
    with running_site(external_url="https://falco.example/x/") as site:
        alert = make_alert(fd__name="/var/log/my syslog")
        site.write(alert)
        page = get(site, f"/reports/{alert.uid}")
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Cache-Control"] == "no-store"
        assert "Clear Log Activities" in page.text
        assert "ls -l -- &#39;/var/log/my syslog&#39;" in page.text
        assert f"https://falco.example/x/reports/{alert.uid}" in page.text
        markdown = get(site, f"/reports/{alert.uid}.md")
        assert markdown.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert "ls -l -- '/var/log/my syslog'" in markdown.text
        document = get(site, f"/reports/{alert.uid}.json")
        assert document.headers["Content-Type"] == "application/json; charset=utf-8"
        assert "Clear Log Activities" in json.dumps(json.loads(document.body))
        for form in FORMATS.values():
            answer = get(site, f"/reports/{alert.uid}.{form.suffix}")
            assert answer.headers["Content-Type"] == f"{form.media_type}; charset=utf-8"
            assert "Clear Log Activities" in answer.text
            assert f'href="{alert.uid}.{form.suffix}"' in page.text
        assert "attachment" in get(site, f"/reports/{alert.uid}.html").headers["Content-Disposition"]
        assert "Alert Details" not in get(site, f"/reports/{alert.uid}.md?length=brief").text
        assert get(site, f"/reports/{alert.uid}.md?length=x").status == 400
        missing = get(site, f"/reports/{'0' * 32}")
        assert missing.status == 404
        assert "This report is not kept" in missing.text
        assert "Look for it in Grafana" not in missing.text
        assert get(site, "/reports/not-a-uid").status == 404


def test_a_report_that_is_not_kept_can_be_looked_for_in_grafana() -> None:
    """Log records outlive the pages; the link asks for this very alert in the last 30 days."""
    with running_site(grafana_url="https://grafana.example/") as site:
        missing = get(site, f"/reports/{'0' * 32}")
        address = f"https://grafana.example/d/falco-alert-reports?var-alert={'0' * 32}&amp;from=now-30d&amp;to=now"
        assert f'href="{address}"' in missing.text


def test_the_live_stream_brings_what_arrives() -> None:
    """A browser that says what it has seen gets what came since, filtered."""
    with running_site() as site:
        first = make_alert(1, rule="Seen")
        site.write(first)
        cursor = re.findall(r'data-cursor="([^"]+)"', get(site, "/reports").text)[0]
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", f"/reports/live?host=node-1&after={cursor}")
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        site.write(make_alert(2, rule="Wanted"), make_alert(3, rule="Unwanted", host="node-2"))
        lines = []
        while not lines or not lines[-1].startswith("data: "):
            lines.append(response.readline().decode())
        assert json.loads(lines[-1].removeprefix("data: "))["rule"] == "Wanted"
        assert any(line.startswith(f"id: {site.recent.boot}-2") for line in lines)
        connection.close()


def test_a_stream_of_an_earlier_run_begins_afresh() -> None:
    """After a restart the numbers begin again: the browser gets all that is kept."""
    with running_site() as site:
        site.write(make_alert(1, rule="After the restart"))
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", "/reports/live", headers={"Last-Event-ID": "0badcafe-900"})
        response = connection.getresponse()
        seen = b""
        while b"After the restart" not in seen and (line := response.readline()):
            seen += line
        assert b"After the restart" in seen
        connection.close()


def test_closing_ends_open_streams() -> None:
    """A browser with the list open does not keep the exporter from stopping."""
    with running_site() as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", "/reports/live")
        response = connection.getresponse()
        response.readline()
        site.server.close()
        site.server.close()
        while response.readline():
            pass
        assert response.isclosed()
        connection.close()


def test_reports_may_have_a_listener_of_their_own() -> None:
    """The metrics for everybody, the reports on loopback: each listener has its own routes."""
    with running_site(listen_address=":0", reports_address="127.0.0.1:0") as site:
        site.write(make_alert())
        assert site.server.reports_port != site.server.port
        assert get(site, "/metrics").status == 200
        assert get(site, "/reports").status == 404
        assert "listener of their own" in get(site, "/").text
        assert get(site, "/reports", port=site.server.reports_port).status == 200
        assert get(site, "/metrics", port=site.server.reports_port).status == 404


def test_hostile_alerts_do_nothing_on_any_page() -> None:
    """Every page stays well formed and inert whatever the alerts hold, and shows what is hidden."""
    with running_site() as site:
        site.write(*hostile_alerts())
        rows = json.loads(get(site, "/api/reports?limit=1000").body)["reports"]
        pages = [get(site, "/reports").text, get(site, "/").text]
        pages += [get(site, row["url"]).text for row in rows]
        for page in pages:
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert page.count("<script") == 1
            assert page.count("</html>") == 1
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page)
        for row in rows:
            assert get(site, f"{row['url']}.md").status == 200
            json.loads(get(site, f"{row['url']}.json").body)


def test_an_address_in_use_is_a_configuration_error() -> None:
    """The message names the address and says what to do."""
    with (
        running_site() as site,
        pytest.raises(ConfigError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use"),
        running_site(listen_address=f"127.0.0.1:{site.server.port}"),
    ):
        pass


def judged_by_rule(alert: Alert) -> Report:
    """A report whose verdict is the rule's first word."""
    report = make_report(alert)
    return Report(alert, replace(report.advice, judgement=UNDECIDED._replace(verdict=alert.rule.partition(" ")[0])))


def test_repeats_stand_in_one_row_and_every_alert_kept_can_be_reached() -> None:
    """Alerts of one rule, place and verdict are one row with a count; pages lead to the last one kept."""
    with running_site() as site:
        site.write(*[make_alert(number, rule=f"Rule {number % 120}") for number in range(300)])
        seen, path = [], "/reports"
        while path:
            page = get(site, path).text
            seen += re.findall(r'data-of="rule" href="reports/[0-9a-f]{32}">([^<]*)<', page)
            found = re.search(r'rel="next" href="([^"]*)"', page)
            path = f"/{html.unescape(found[1])}" if found else ""
        assert sorted(seen) == sorted(f"Rule {number}" for number in range(120))
        assert "page 3 of 3" in page
        first = get(site, "/reports").text
        assert first.count(">×3<") == 50
        assert "300 reports" in first
        assert get(site, "/reports?page=99").status == 200
        assert get(site, "/reports?page=0", Accept="text/html").status == 400


def test_verdicts_filter_and_are_counted() -> None:
    """The list takes a verdict, each row says its own, and the first page counts them."""
    with running_site(report_for=judged_by_rule) as site:
        site.write(
            *[make_alert(number, rule=f"{word} {number}") for number, word in enumerate(["attack"] * 3 + ["test"])]
        )
        rows = json.loads(get(site, "/api/reports?verdict=attack").body)["reports"]
        assert [row["rule"] for row in rows] == ["attack 2", "attack 1", "attack 0"]
        assert {row["verdict_words"] for row in rows} == {"LIKELY ATTACK"}
        page = get(site, "/reports?verdict=test").text
        assert page.count('<li id="r-') == 1 + 1  # and the template
        assert "LOOKS LIKE A TEST" in page
        assert re.search(r"<strong>3</strong> Likely attack", get(site, "/").text)
        assert get(site, "/reports?verdict=evil").status == 400


def test_errors_come_in_the_form_that_is_read() -> None:
    """A browser gets a page with a way back, a program JSON or a line; nothing of the address runs."""
    with running_site() as site:
        page = get(site, "/nothing/<b>here", Accept="text/html")
        assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        assert "&lt;b&gt;here" in page.text or "%3Cb%3Ehere" in page.text
        assert "<b>here" not in page.text
        assert 'href="../reports"' in page.text
        wrong = get(site, "/reports?priority=x", Accept="text/html,*/*")
        assert wrong.status == 400
        assert "priority: expected one of Emergency" in wrong.text
        assert "<h1>" in wrong.text
        assert get(site, "/reports?priority=x").text.startswith("priority: expected")
        document = get(site, "/api/reports?limit=x")
        assert json.loads(document.body) == {"error": "limit: expected a number from 1 to 1,000"}
