"""The incident pages in a real browser: from the list to a report, growing while somebody looks."""

from __future__ import annotations

import pytest

from exporter.catalog.shipped import ShippedCatalog
from exporter.config.model import Incidents as Settings
from exporter.incidents.register import Incidents
from exporter.incidents.tactics import tactics_by_rule
from exporter.reporter import Reporter
from tests.e2e.browser import CONTRAST, Browser
from tests.site import running_site
from tests.waiting import wait_until
from tools.incidents import stories

pytestmark = pytest.mark.e2e


def test_an_incident_opens_and_grows_before_its_reader(browser: Browser) -> None:
    """The list shows an incident by itself; its page gains what comes later, keeps copy buttons, and reads well."""
    reporter = Reporter(ShippedCatalog())
    catalog = reporter.catalog
    alerts = [step.alert for step in next(stories()).steps if step.part]
    moment = alerts[-1].time_ns / 1e9
    incidents = Incidents(
        Settings(), judge=catalog.judge.judge, tactics_of=tactics_by_rule(catalog), clock=lambda: moment
    )
    with running_site(report_for=reporter.report_for, incidents=incidents, advice_for=reporter.advice_for) as site:
        browser.open(site, "/incidents")
        assert not browser.all(".row")
        site.write(*alerts)
        incidents.take(alerts[:2])
        wait_until(lambda: len(browser.all(".row")) == 1, "the incident in the list", seconds=15)
        browser.one(".row .what a").click()
        assert "2 alerts" in browser.one("h1").text
        steps = len(browser.all(".step"))
        assert len(browser.all("pre[data-copy]")) == len(browser.all("button.copy"))
        incidents.take(alerts[2:])
        wait_until(
            lambda: "6 alerts" in browser.script("return document.querySelector('h1').textContent"),
            "growth",
            seconds=30,
        )
        assert len(browser.all(".step")) > steps
        assert len(browser.all("pre[data-copy]")) == len(browser.all("button.copy"))
        for scheme in ("light", "dark"):
            browser.media(scheme=scheme)
            assert browser.script(CONTRAST) == []
        browser.command("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
        assert browser.script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.command("Emulation.clearDeviceMetricsOverride")
        browser.all("nav[aria-label='Reports of its alerts'] li a")[0].click()
        assert browser.one("article.report")
        assert not [line for line in browser.complaints() if "favicon" not in line]
