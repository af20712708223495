"""The order of the start: every mistake is said before anything runs."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.app import App
from exporter.config.model import Catalog, Config, FalcoHttp, JsonLines, Metrics, Web
from exporter.errors import CatalogError, ConfigError
from tests.integration.app.running import LOOPBACK
from tests.running_app import running_app


def test_a_port_in_use_is_said_and_nothing_is_left_running(tmp_path: Path) -> None:
    """ConfigError names the address; no thread of ours remains."""
    with running_app(Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)) as app:
        port = app.web.port
        before = set(threading.enumerate())
        other = App(Config(json_lines=JsonLines(file=tmp_path / "b"), web=Web(listen_address=f"127.0.0.1:{port}")))
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            other.start()
        # Threads of tests before this one may end meanwhile; none of ours may have come.
        assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (Config(http=FalcoHttp(address="nonsense"), web=LOOPBACK), ConfigError),
        (Config(metrics=Metrics(extra_labels=("rule",)), web=LOOPBACK), ConfigError),
        (Config(catalog=Catalog(directories=(Path("/nowhere"),)), web=LOOPBACK), CatalogError),
    ],
)
def test_what_cannot_be_is_said_before_anything_starts(config: Config, error: type[Exception]) -> None:
    """Building the application opens nothing and finds every mistake."""
    before = set(threading.enumerate())
    with pytest.raises(error):
        App(config)
    assert set(threading.enumerate()) <= before


MINE = "- rule: Mine\n  desc: d\n  condition: evt.type = open\n  output: x\n  priority: ALERT\n"


STABLE = {"rule": "Terminal shell in container", "priority": "Notice", "source": "syscall"}


SANDBOX = {"rule": "Read Shell Configuration File", "priority": "Warning", "source": "syscall"}


def test_without_rules_files_the_stable_rules_start_at_0(tmp_path: Path) -> None:
    """Those that Falco loads by default, and its internal alerts; no others, and nothing is said of coverage."""
    get = App(Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)).registry.get_sample_value
    assert get("falco_rule_events_total", STABLE) == 0
    assert get("falco_rule_events_total", SANDBOX) is None
    assert get("falco_catalog_rule_covered", {"rule": STABLE["rule"], "source": "syscall"}) is None


def test_the_rules_of_your_files_start_at_0_as_falco_reads_them(tmp_path: Path) -> None:
    """A directory of files in Falco's order: an override moves the series, and the catalog's gaps are a metric."""
    (tmp_path / "b.yaml").write_text(
        "- rule: Terminal shell in container\n  priority: CRITICAL\n  override: {priority: replace}\n"
        "- rule: Nothing before\n  priority: CRITICAL\n  override: {priority: replace}\n"
    )
    (tmp_path / "a.yaml").write_text(MINE + MINE.replace("Mine", STABLE["rule"]))
    config = Config(json_lines=JsonLines(file=tmp_path / "a"), metrics=Metrics(rules_files=(tmp_path,)), web=LOOPBACK)
    get = App(replace(config)).registry.get_sample_value
    assert get("falco_rule_events_total", {"rule": "Mine", "priority": "Alert", "source": "syscall"}) == 0
    assert get("falco_rule_events_total", {**STABLE, "priority": "Critical"}) == 0
    assert get("falco_rule_events_total", STABLE) is None
    assert get("falco_catalog_rule_covered", {"rule": "Mine", "source": "syscall"}) == 0
    assert get("falco_catalog_rule_covered", {"rule": STABLE["rule"], "source": "syscall"}) == 1


def test_the_log_says_whether_report_pages_are_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who looks for the pages finds in the log where they are, or why they are off."""
    caplog.set_level("INFO")
    config = Config(json_lines=JsonLines(file=tmp_path / "a"), web=LOOPBACK)
    with running_app(config):
        assert "report pages on, at /reports" in caplog.text
    with running_app(replace(config, web=Web(listen_address=":0"))):
        assert "report pages off: the listener can be reached from other machines" in caplog.text
        assert "/metrics (listening on :0)" in caplog.text


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    """Said before any source runs, and what was started ends again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = App(Config(http=FalcoHttp(address=address), web=LOOPBACK))
        with pytest.raises(ConfigError, match=f"cannot listen on {address}"):
            app.start()
        app.close()
