"""The history's pages in a real browser: search, paging, digest, print, phone."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from exporter.catalog.shipped import ShippedCatalog
from exporter.digest.digest import knowledge_of, make_digest
from exporter.digest.formats import DIGEST_FORMATS
from exporter.history.sink import HistorySink
from exporter.sources.decode import from_json
from tests.e2e.browser import CONTRAST, Browser, phone
from tests.history_site import alert_of, filled, make_sink, verdict_of
from tests.hostile import hostile_alerts
from tests.site import Site, running_site
from tools.incidents import labelled

pytestmark = pytest.mark.e2e

HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistorySink]:
    """Two weeks of alerts of thirty rules until now, hostile ones among them."""
    made = make_sink(tmp_path_factory.mktemp("history"))
    made.start()
    now_ns = time.time_ns()
    alerts = [
        alert_of(number, rule=f"Rule {number % 30}", time_ns=now_ns - (2_400 - number) * HOUR_NS // 7)
        for number in range(2_350)
    ]
    hostile = [alert.changed(time_ns=now_ns - HOUR_NS) for alert in hostile_alerts()]
    filled(made, [*hostile, *alerts])
    yield made
    made.close(5)


@pytest.fixture
def site(sink: HistorySink) -> Iterator[Site]:
    known = replace(knowledge_of(ShippedCatalog(), 7_200), judge=verdict_of)
    with running_site(
        reports=sink.history, digest=lambda since, until: make_digest(sink.history, since, until, known)
    ) as running:
        yield running


def test_a_search_is_typed_and_its_words_stay_in_the_field(page: Browser, site: Site) -> None:
    page.open(site, "/reports")
    field = page.one("input[name=text]")
    field.send_keys("/etc/shadow.1234", Keys.ENTER)
    assert page.rules() == [f"Rule {1234 % 30}"]
    assert page.one("input[name=text]").get_attribute("value") == "/etc/shadow.1234"
    page.one("input[name=principal]").send_keys("nobody", Keys.ENTER)
    assert page.rules() == []
    assert page.one("#empty").is_displayed()


def test_older_and_newer_lead_through_all_of_it_and_back(page: Browser, site: Site) -> None:
    page.open(site, "/reports")
    seen = [page.one(".pages").text]
    while links := page.all("a[rel=next]"):
        links[0].click()
        seen.append(page.one(".pages").text)
    assert len(seen) == len(set(seen)) >= 3
    assert not page.one("#live").is_displayed()
    while links := page.all("a[rel=prev]"):
        links[0].click()
    assert page.one(".pages").text == seen[0]
    assert page.one("#live").is_displayed()


def test_the_digest_is_found_and_says_what_there_was(page: Browser, site: Site) -> None:
    page.open(site, "/")
    page.one("a[href=digest]").click()
    assert page.one(".digest h1").text == "Falco digest"
    assert "alerts" in page.one(".headline").text
    assert len(page.all(".chart rect")) > 10
    assert page.all("#digest-rules")
    page.open(site, "/digest?since=24h")
    assert page.one("nav [aria-current=true]").text == "Day"


def test_the_digest_prints_on_one_page_without_the_navigation(page: Browser, site: Site) -> None:
    page.media("print", "dark")
    page.open(site, "/digest")
    for selector in (".top", ".tools", "body > footer"):
        assert not any(found.is_displayed() for found in page.all(selector)), selector
    assert pages_of(page) == 1
    page.open(site, "/reports")
    assert pages_of(page) > 1  # so much for the counting


def test_the_digest_as_a_file_needs_nothing_else_and_prints_on_one_page(page: Browser, sink: HistorySink) -> None:
    now_ns = time.time_ns()
    known = replace(knowledge_of(ShippedCatalog(), 7_200), judge=verdict_of)
    digest = make_digest(sink.history, now_ns - 7 * 24 * HOUR_NS, now_ns, known)
    text = DIGEST_FORMATS["html"][2](digest)
    page.driver.get("data:text/html;base64," + base64.b64encode(text.encode()).decode())
    assert page.one(".digest h1").text == "Falco digest"
    assert pages_of(page) == 1


def pages_of(page: Browser) -> int:
    """Return on how many pages of A4 the page prints."""
    printed = base64.b64decode(
        page.command("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)["data"]
    )
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", printed))


def test_pages_fit_a_phone(page: Browser, site: Site) -> None:
    phone(page)
    for path in ("/", "/reports", "/reports?text=shadow", "/digest"):
        page.open(site, path)
        assert page.script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(page: Browser, site: Site, scheme: str) -> None:
    page.media(scheme=scheme)
    for path in ("/reports", "/digest"):
        page.open(site, path)
        assert page.script(CONTRAST) == []


def test_hostile_alerts_do_nothing(page: Browser, site: Site) -> None:
    """No dialog, no script, no element of theirs, on any page that shows them."""
    for path in ("/reports?until=50m", "/digest?since=2h", "/reports?text=onerror"):
        page.open(site, path)
        assert page.all("main script, main img[src=x], main iframe") == []
        assert page.script("return document.title").endswith("Falco Report Exporter")


def test_a_busy_week_of_real_rules_prints_on_one_page(page: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Rules, places and principals have the names that Falco gives them, and more fired than is shown."""
    catalog = ShippedCatalog()
    made = make_sink(tmp_path_factory.mktemp("week"))
    made._judge = catalog.judge.judge
    made.start()
    begin_ns = 1_790_000_000_000_000_000
    rows = [from_json(json.dumps(row["alert"]).encode()) for row in labelled().values()]
    filled(
        made,
        [
            alert.changed(time_ns=begin_ns + (number * 37 + turn * 911) % 10_000 * 14 * 24 * HOUR_NS // 10_000 + turn)
            for turn in range(4)
            for number, alert in enumerate(rows)
        ],
    )
    week_ns = 7 * 24 * HOUR_NS
    digest = make_digest(made.history, begin_ns + week_ns, begin_ns + 2 * week_ns, knowledge_of(catalog, 14_400))
    made.close(5)
    assert len(digest.rules) > 100
    text = DIGEST_FORMATS["html"][2](digest)
    page.driver.get("data:text/html;base64," + base64.b64encode(text.encode()).decode())
    assert pages_of(page) == 1
