"""The report pages in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.report import Report
from exporter.reporter import Reporter
from exporter.verdict.judgement import UNDECIDED, VERDICTS
from tests.e2e.browser import CONTRAST, Browser, phone
from tests.hostile import hostile_alerts
from tests.reference import reference_alert
from tests.site import Site, make_alert, make_report, running_site
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as running:
        running.write(
            make_alert(1, rule="Terminal shell in container", priority=Priority.NOTICE, k8s__ns__name="web"),
            make_alert(2, rule="Read sensitive file untrusted", host="node-2", fd__name="/etc/shadow"),
            make_alert(3, rule="Detect release_agent File Container Escapes", priority=Priority.CRITICAL),
        )
        yield running


def test_filter_and_open(page: Browser, site: Site) -> None:
    """Choose a priority, get the list, open a report, go back."""
    page.open(site, "/")
    page.one(".tiles a[href=reports]").click()
    assert len(page.rules()) == 3
    page.one("select[name=priority]").send_keys("Warning")
    page.one("form.filter button[type=submit]").click()
    wait_until(lambda: len(page.rules()) == 2, "the filtered list")
    assert page.script("return new URLSearchParams(location.search).get('priority')") == "Warning"
    page.one("input[name=text]").send_keys("SHADOW", Keys.ENTER)
    wait_until(lambda: page.rules() == ["Read sensitive file untrusted"], "the list filtered by text")
    page.one("#reports a").click()
    wait_until(lambda: bool(page.all("article.report")), "the report")
    assert "/etc/shadow" in page.one("article.report").text
    page.one("nav[aria-label=Breadcrumb] a").click()
    wait_until(lambda: len(page.rules()) == 3, "the whole list")


def test_new_reports_arrive_without_reloading_and_can_be_paused(page: Browser, site: Site) -> None:
    """The list grows at its head; paused it stays; resumed it catches up."""
    page.open(site, "/reports")
    wait_until(lambda: page.one("#live-state").text == "Live", "the stream")
    page.script("window.sameDocument = true")
    site.write(make_alert(4, rule="Arrives"))
    wait_until(lambda: page.rules()[0] == "Arrives", "the new report")
    page.one("#live-toggle").click()
    assert page.one("#live-state").text == "Paused"
    site.write(make_alert(5, rule="Waits"))
    page.one("#live-toggle").click()
    wait_until(lambda: page.rules()[0] == "Waits", "what came in the pause")
    assert len(page.rules()) == 5
    assert page.script("return window.sameDocument")
    page.one("#reports li:first-child a").click()
    wait_until(lambda: bool(page.all("article.report")), "the new report's page")


def test_the_live_list_is_filtered(page: Browser, site: Site) -> None:
    """Only what the filter admits arrives, and the first one replaces the empty notice."""
    page.open(site, "/reports?host=node-9")
    assert page.one("#empty").is_displayed()
    wait_until(lambda: page.one("#live-state").text == "Live", "the stream")
    site.write(make_alert(6, rule="Elsewhere"), make_alert(7, rule="Here", host="node-9"))
    wait_until(lambda: page.rules() == ["Here"], "the admitted report")
    assert not page.one("#empty").is_displayed()


def test_a_command_is_copied_by_its_button(page: Browser, site: Site) -> None:
    """What is in the clipboard is the command, exactly."""
    alert = make_alert(8, fd__name="/var/log/it's $(here)")
    site.write(alert)
    page.open(site, f"/reports/{alert.uid}")
    page.command("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    button = page.one(".copyable:has(pre.command) button.copy")
    button.click()
    wait_until(lambda: button.text == "Copied", "the button's answer")
    copied = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == "ls -l -- '/var/log/it'\"'\"'s $(here)'"


def test_every_copy_button_copies_a_command_and_says_which(page: Browser) -> None:
    """Buttons stand at commands only, and each has a name of its own."""
    reporter = Reporter(load_catalog())
    with running_site(report_for=reporter.report_for) as site:
        alert = reference_alert()
        site.write(alert)
        page.open(site, f"/reports/{alert.uid}")
        page.script("for (const part of document.querySelectorAll('details')) part.open = true")
        names = [button.get_attribute("aria-label") for button in page.all("button.copy")]
        assert len(names) == len(set(names)) > 3
        assert all(re.match(r"Copy (step|undo of step|check of|load of) ", name) for name in names)
        blocks = page.script("return [...document.querySelectorAll('.copyable pre')].map((e) => e.textContent)")
        advice = reporter.report_for(alert).advice
        commands = {text for step in advice.commands for text in (step.run, step.undo)}
        commands |= {text for change in (*advice.changes, *advice.tuning) for text in (change.check, change.load)}
        assert set(blocks) <= commands


def test_the_brief_report_is_on_top_and_the_rest_is_folded(page: Browser) -> None:
    """The verdict is the heading, in words and in colour; what is folded opens by its link, when found and in print."""
    reporter = Reporter(load_catalog())
    with running_site(report_for=reporter.report_for) as site:
        alert = reference_alert()
        site.write(alert)
        page.open(site, f"/reports/{alert.uid}")
        (heading,) = page.all("h1")
        words = page.one("h1 .verdict").text
        assert heading.text.startswith(words)
        assert words.isupper() or words.partition(",")[0].isupper()
        assert page.script("return getComputedStyle(document.querySelector('h1 .verdict')).color !== "
                           "getComputedStyle(document.querySelector('h1')).color")  # fmt: skip
        assert page.one("#report-" + alert.uid + "-commands").is_displayed()
        folded = page.all("article.report details")
        assert folded
        assert not any(part.get_attribute("open") for part in folded)
        details = page.one(".report-details section")
        assert not page.script("return arguments[0].checkVisibility({contentVisibilityAuto: true})", details)
        page.one(".contents a[href$='-details']").click()
        wait_until(lambda: page.one(".report-details").get_attribute("open") is not None, "the details unfolded")
        page.open(site, f"/reports/{alert.uid}")
        page.media("print")
        assert all(part.size["height"] > 40 for part in page.all("article.report details"))


def test_the_filter_and_the_list_agree_after_going_back(page: Browser, site: Site) -> None:
    """Back brings the earlier list and the fields that gave it."""
    page.open(site, "/reports")
    page.one("select[name=priority]").send_keys("Critical")
    page.one("form.filter button[type=submit]").click()
    wait_until(lambda: len(page.rules()) == 1, "the filtered list")
    page.driver.back()
    wait_until(lambda: len(page.rules()) == 3, "the whole list")
    wait_until(lambda: page.script("return document.querySelector('select[name=priority]').value") == "", "no filter")
    page.driver.forward()
    wait_until(lambda: len(page.rules()) == 1, "the filtered list again")
    assert page.script("return document.querySelector('select[name=priority]').value") == "Critical"


def test_a_repeat_that_arrives_counts_in_its_row(page: Browser, site: Site) -> None:
    """A live report like one that is listed takes its place at the head, and the earlier one stays reachable."""
    page.open(site, "/reports")
    wait_until(lambda: page.one("#live-state").text == "Live", "the stream")
    first = make_alert(20, rule="Repeats")
    site.write(first)
    wait_until(lambda: page.rules()[0] == "Repeats", "the report")
    site.write(make_alert(21, rule="Repeats"), make_alert(22, rule="Repeats"))
    times = "return document.querySelector('#reports li .times').textContent"
    wait_until(lambda: page.script(times) == "×3", "the count")
    assert page.rules().count("Repeats") == 1
    page.one("#reports li:first-child .earlier summary").click()
    links = [link.get_attribute("href") for link in page.all("#reports li:first-child .earlier a")]
    assert len(links) == 2
    assert links[-1].endswith(first.uid)


def test_everything_but_live_and_copy_works_without_scripts(page: Browser, site: Site) -> None:
    """List, filter and report need no script; what needs one is not shown."""
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.open(site, "/reports?host=node-2")
    assert page.rules() == ["Read sensitive file untrusted"]
    assert not page.one("#live").is_displayed()
    page.one("#reports a").click()
    wait_until(lambda: bool(page.all("article.report")), "the report")
    assert not page.all("button.copy")
    assert not page.one("#print").is_displayed()


def test_pages_fit_a_phone(page: Browser, site: Site) -> None:
    """At 390 pixels nothing sticks out, and what is to be pressed is large enough (WCAG 2.5.8)."""
    phone(page)
    alert = make_alert(9, rule="Long", fd__name="/very/long/" + "x" * 300, proc__cmdline="word " * 100)
    site.write(alert)
    for path in ("/", "/reports", f"/reports/{alert.uid}"):
        page.open(site, path)
        assert page.script("return document.documentElement.scrollWidth") <= 390
        for button in page.all("button"):
            assert not button.is_displayed() or button.rect["height"] >= 24


def judged(alert: Alert) -> Report:
    """A report whose verdict depends on the priority, so that there is each of them."""
    report = make_report(alert)
    verdict = VERDICTS[alert.priority % len(VERDICTS)]
    return Report(alert, replace(report.advice, judgement=UNDECIDED._replace(verdict=verdict)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(page: Browser, scheme: str) -> None:
    """Every text has at least 4.5 : 1 (WCAG 1.4.3) whatever the verdict, and the scheme is the reader's."""
    page.media(scheme=scheme)
    with running_site(report_for=judged) as site:
        alerts = [make_alert(10, rule=f"Rule {priority.label}", priority=priority) for priority in Priority]
        site.write(*alerts, *alerts)
        site.not_ready["Falco"] = "away"
        for path in ("/", "/reports", *[f"/reports/{alert.uid}" for alert in alerts]):
            page.open(site, path)
            page.script("for (const part of document.querySelectorAll('details')) part.open = true")
            assert page.script(CONTRAST) == []
            background = page.script(
                "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
            )
            assert (sum(background) < 300) is (scheme == "dark")


def test_the_print_shows_the_report_alone(page: Browser, site: Site) -> None:
    """No navigation, no buttons, black on white even for readers of dark pages."""
    alert = make_alert(12)
    site.write(alert)
    page.media("print", "dark")
    page.open(site, f"/reports/{alert.uid}")
    for selector in (".top", ".tools", "body > footer", "button.copy"):
        assert not any(found.is_displayed() for found in page.all(selector)), selector
    assert page.one("article.report").is_displayed()
    assert page.script("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.command("Page.printToPDF")["data"]) > 1_000


def test_the_keyboard_reaches_everything(page: Browser, site: Site) -> None:
    """The first stop leads past the navigation; landmarks and labels name the rest."""
    page.open(site, "/reports")
    page.one("body").send_keys(Keys.TAB)
    assert page.script("return document.activeElement.className") == "skip"
    assert page.script("return document.activeElement.getBoundingClientRect().left >= 0")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.script("return document.activeElement.id") == "content"
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.script("return document.activeElement.closest('main') !== null")
    for landmark in ("header", "nav", "main", "footer", "[role=search]"):
        assert page.all(landmark), landmark
    assert page.script("return [...document.querySelectorAll('input, select')].every((e) => e.labels.length)")
    assert page.script("return document.documentElement.lang") == "en"


def test_hostile_alerts_do_nothing(page: Browser) -> None:
    """No script runs, no element is made, nothing is loaded from elsewhere, whatever the alerts hold."""
    with running_site() as site:
        page.open(site, "/reports")
        wait_until(lambda: page.one("#live-state").text == "Live", "the stream")
        site.write(*hostile_alerts()[:40])
        wait_until(lambda: len(page.rules()) == 40, "the hostile rows", seconds=20)
        _is_inert(page)
        site.write(*hostile_alerts())
        page.open(site, "/reports")
        _is_inert(page)
        links = [link.get_attribute("href") for link in page.all("#reports a")]
        assert len(links) >= 50
        for link in links:
            page.driver.get(link)
            _is_inert(page)


def _is_inert(page: Browser) -> None:
    assert page.script("return document.querySelectorAll('script').length") == 1
    assert page.script("return document.querySelectorAll('main img, main iframe, main svg, main object').length") == 0
    assert page.script(
        "return [...document.querySelectorAll('*')].every((e) => "
        "[...e.attributes].every((a) => !a.name.startsWith('on') && !/^\\s*javascript:/i.test(a.value)))"
    )
    assert page.script(
        "return performance.getEntriesByType('resource').every((e) => new URL(e.name).host === location.host)"
    )
