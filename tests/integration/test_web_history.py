"""The report pages over a history on disk: the same pages, as far back as it goes."""

from __future__ import annotations

import html
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.history.sink import HistorySink
from exporter.history.store import Fallback
from exporter.sinks.recent import RecentSink
from tests.history_site import alert_of, filled, make_sink
from tests.site import Site, running_site

ALERTS = 3_300


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistorySink]:
    made = make_sink(tmp_path_factory.mktemp("history"))
    made.start()
    filled(made, [alert_of(number, rule=f"Rule {number % 70}") for number in range(ALERTS)])
    yield made
    made.close(5)


@pytest.fixture
def site(sink: HistorySink) -> Iterator[Site]:
    with running_site(reports=Fallback(sink.history, RecentSink(10), lambda: not sink.trouble)) as running:
        yield running


def get(site: Site, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept": "text/html"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def follow(site: Site, path: str, word: str) -> list[str]:
    """Return the pages from a path on, by their link of this kind."""
    pages = []
    while path:
        pages.append(get(site, path)[1])
        found = re.search(rf'rel="{word}" href="([^"]*)"', pages[-1])
        path = f"/{html.unescape(found[1])}" if found else ""
    return pages


def uids(page: str) -> list[str]:
    return re.findall(r'href="reports/([0-9a-f]{32})"', page)


def test_older_leads_to_every_alert_and_newer_back_to_the_live_page(site: Site) -> None:
    """Four stretches of a thousand, each with 140 groups on three pages; no group is shown twice in a stretch."""
    pages = follow(site, "/reports", "next")
    heads = [uid for page in pages for uid in re.findall(r'<li id="r-([0-9a-f]{32})"', page)]
    assert len(heads) == len(set(heads))
    assert (
        sum(int(times) for page in pages for times in re.findall(r">×(\d+)<", page.partition("<template")[0])) == ALERTS
    )
    assert uids(pages[0])[0] == alert_of(ALERTS - 1, rule=f"Rule {(ALERTS - 1) % 70}").uid
    assert "1000 reports from" in pages[0]
    found = re.findall(r'rel="prev" href="([^"]*)"', pages[-1])
    back = follow(site, f"/{html.unescape(found[0])}", "prev")
    assert uids(back[-1]) == uids(pages[0])
    assert 'data-page="1"' in back[-1]
    assert 'data-page="0"' in pages[-1]


def test_a_search_goes_through_all_of_it(site: Site) -> None:
    """Words, principal and times filter on the page and in the API."""
    path = "/api/reports?text=/etc/shadow.17"
    assert [row["rule"] for row in json.loads(get(site, path)[1])["reports"]] == ["Rule 17"]
    rows = json.loads(get(site, "/api/reports?principal=alice&since=2023-11-14T22:13:00&until=2023-11-14T22:20")[1])
    assert [row["time"][11:16] for row in rows["reports"]] == ["22:18", "22:16", "22:14"]
    status, text = get(site, "/reports?since=yesterday")
    assert status == 400
    assert "7d" in text
    assert "No stored report matches: 3300 are kept" in get(site, "/reports?text=nowhere")[1]


def test_the_live_page_brings_what_is_written_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The cursor is one of the file, so that a browser misses nothing while the exporter restarts."""
    first = make_sink(tmp_path)
    first.start()
    with running_site(reports=filled(first, [alert_of(1)])) as site:
        cursor = re.findall(r'data-cursor="([^"]+)"', get(site, "/reports")[1])[0]
    first.write([alert_of(2, rule="Fresh")])
    first.close(5)
    second = make_sink(tmp_path)
    second.start()
    with running_site(reports=second.history) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=60)
        connection.request("GET", "/reports/live", headers={"Last-Event-ID": cursor})
        response = connection.getresponse()
        lines = []
        while not lines or not lines[-1].startswith("data: "):
            lines.append(response.readline().decode())
        assert json.loads(lines[-1].removeprefix("data: "))["rule"] == "Fresh"
        connection.close()
    second.close(5)


def test_while_the_disk_fails_the_pages_show_what_memory_has(tmp_path: Path) -> None:
    """A directory that cannot be had leaves metrics and pages as they are without one."""
    (tmp_path / "file").touch()
    sink, recent = make_sink(tmp_path / "file" / "history"), RecentSink(10)
    sink.start()
    try:
        with running_site(reports=Fallback(sink.history, recent, lambda: not sink.trouble)) as site:
            recent.write([alert_of(1, rule="In memory")])
            sink.write([alert_of(1)])
            assert "In memory" in get(site, "/reports")[1]
            assert "Not a directory" in sink.warnings()["History"]
    finally:
        sink.close(1)
