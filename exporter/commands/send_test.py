"""``test-alert``: post a test alert to the exporter that runs with these settings, and say what came of it.

Owns the three questions: was it taken, was it counted, where is its report.
It is posted as Falco posts alerts, to the address, path and with the password
of the settings. Refuses to write into a followed file: that is Falco's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

from exporter.alert import Alert
from exporter.commands.findings import Finding, say
from exporter.commands.local_http import Answer, Credentials, NoAnswerError, Receiver, address_url, get_local
from exporter.commands.terminal import Style
from exporter.config.model import Config
from exporter.errors import ConfigError
from exporter.listener.address import Address
from exporter.sources.testing import RULE, make_posted_alert
from exporter.web.web_config import read_web_config

WAIT_SECONDS = 10.0
"""How long the alert may take to be counted."""
_LOOK_SECONDS = 0.1
_LIKE_OURS = (
    "the exporter there was started with other settings than these: give this command the same, or restart the exporter"
)


class Counted(NamedTuple):
    """Test alerts that the exporter has counted; None where it does not tell."""

    alerts: int | None
    why: str
    """Why it does not tell."""


def send_test_alert(config: Config, credentials: Credentials) -> int:
    """Send one; 0 where it was taken and counted, 1 where not. Raises ConfigError where there is no receiver."""
    if not config.http.address:
        raise ConfigError(
            "http.address is not set: a test alert is posted as Falco posts alerts, and these settings have no "
            "receiver. Give the settings of the running exporter (--http.address, --config). Where Falco writes a file "
            "or serves alerts over gRPC, cause a real alert: sudo cat /etc/shadow > /dev/null"
        )
    style = Style(sys.stdout)
    good = True
    for finding in _findings(config, Receiver.of(config.http, credentials)):
        good = good and finding.level != "error"
        say(style, finding)
    return 0 if good else 1


def _findings(config: Config, receiver: Receiver) -> Iterator[Finding]:
    document, alert = make_posted_alert()
    before = _counted(config)
    what = f"receiver {receiver.url}"
    try:
        answer = receiver.post(document)
    except NoAnswerError as exc:
        yield Finding("error", what, str(exc))
        return
    problem = _refused(answer)
    if problem:
        yield Finding("error", what, problem)
        return
    yield Finding("ok", what, f"took the test alert (answer {answer.status})")
    yield _count(config, before)
    yield _report(config, alert)


def _refused(answer: Answer) -> str:
    """Say what a refusal means; empty where the alert was taken."""
    if answer.status in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
        return ""
    said = f"answered {answer.status}: {answer.line}" if answer.line else f"answered {answer.status}"
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return f"{said}; it expects another password or token. {_LIKE_OURS}"
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
        return f"{said}; it takes alerts on another path (http.path), or another program listens there. {_LIKE_OURS}"
    return f"{said}; the exporter's log says more"


def _count(config: Config, before: Counted) -> Finding:
    what = f"metrics {config.web.listen_address}"
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        now = _counted(config)
        if now.alerts is None:
            return Finding("note", what, f"{now.why}; so whether it was counted cannot be seen here")
        if now.alerts > (before.alerts or 0):
            return Finding("ok", what, f'counted: falco_rule_events_total{{rule="{RULE}"}} is {now.alerts}')
        if time.monotonic() > deadline:
            return Finding(
                "error",
                what,
                f"not counted within {WAIT_SECONDS:.0f} s: what took the alert is not the exporter that answers here. "
                "Compare http.address and web.listen_address with those of the running exporter",
            )
        time.sleep(_LOOK_SECONDS)


def _counted(config: Config) -> Counted:
    address = Address.from_text(config.web.listen_address, "web.listen_address")
    try:
        answer = get_local(address, "/metrics", secure=_pages_use_tls(config))
    except NoAnswerError as exc:
        return Counted(None, str(exc))
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Counted(None, "it asks for a password")
    if answer.status != HTTPStatus.OK or b"falco_exporter_build_info" not in answer.body:
        return Counted(None, f"answered {answer.status}, and nothing of this exporter")
    for line in answer.body.decode("utf-8", "replace").splitlines():
        if line.startswith("falco_rule_events_total{") and f'rule="{RULE}"' in line:
            return Counted(int(float(line.rsplit(" ", 1)[1])), "")
    return Counted(0, "")


def _pages_use_tls(config: Config) -> bool:
    return config.web.config_file is not None and read_web_config(config.web.config_file).tls is not None


def _report(config: Config, alert: Alert) -> Finding:
    """Say where the report is, and its verdict where pages can be asked."""
    text = config.web.reports_address or config.web.listen_address
    address = Address.from_text(text, "web.listen_address")
    secure = _pages_use_tls(config)
    link = f"{config.web.external_url.rstrip('/') or address_url(address, secure=secure)}/reports/{alert.uid}"
    try:
        answer = get_local(address, f"/api/v1/reports/{alert.uid}", secure=secure)
    except NoAnswerError as exc:
        return Finding("note", "report", f"{link} ({exc})")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return Finding("note", "report", f"{link} (asks for a password)")
    if answer.status == HTTPStatus.FORBIDDEN:
        return Finding(
            "off",
            "report",
            "report pages are off there: set web.listen_address or web.reports_address to an address of this machine "
            "only (127.0.0.1:9376), or web.config_file with a password or client certificates",
        )
    if answer.status != HTTPStatus.OK:
        return Finding("note", "report", f"{link} (answered {answer.status}: {answer.line})")
    return Finding("ok", "report", f"{link} (verdict: {_verdict(answer.body)})")


def _verdict(body: bytes) -> str:
    try:
        return str(json.loads(body)["verdict"])
    except (ValueError, KeyError, TypeError):
        return "none, another version answers"
