"""What several end-to-end tests of dashboards and pages need."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.e2e.browser import FLAGS, Browser
from tests.e2e.programs import program


@pytest.fixture(scope="session")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the script that parses with Grafana's own grammar, its packages installed."""
    there = tmp_path_factory.mktemp("logql") / "check"
    shutil.copytree(Path(__file__).with_name("logql"), there)
    done = subprocess.run([program("npm"), "ci"], check=False, capture_output=True, text=True, cwd=there)
    assert done.returncode == 0, done.stderr
    return there


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=program("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    """The browser as if new: wide, light, with scripts; whatever a test does, the console stays silent."""
    browser.media()
    browser.command("Emulation.clearDeviceMetricsOverride")
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    browser.complaints()
    yield browser
    # A site ends before its page does, which goes on asking for what is new.
    assert [said for said in browser.complaints() if "/live?" not in said or "ERR_CONNECTION_REFUSED" not in said] == []
    browser.driver.get("about:blank")
