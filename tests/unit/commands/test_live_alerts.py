"""Live alerts that ``check`` looks at: of a running exporter, of the followed file."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.commands.live_alerts import END_OF_FILE_BYTES, missing_fields
from exporter.config.model import Config, JsonLines, Web
from tests.site import make_alert, running_site

LINE = json.dumps(
    {
        "time": "2026-11-24T04:15:21.246231000Z",
        "rule": "Terminal shell in container",
        "priority": "Notice",
        "source": "syscall",
        "hostname": "node-1",
        "output": "A shell",
        "output_fields": {"proc.cmdline": "sh", "container.id": "69d22f20d812", "container.name": None},
    }
)


def looks_at(**parts: object) -> list[tuple[str, str]]:
    config = replace(Config(), **parts)  # type: ignore[arg-type]
    return [(where, missing.what) for where, missing in missing_fields(config)]


def test_the_end_of_the_followed_file_is_read(tmp_path: Path) -> None:
    """However long the file is; its first line may be cut."""
    file = tmp_path / "alerts.jsonl"
    file.write_text(f"{LINE}\n" * (END_OF_FILE_BYTES // len(LINE) + 500), "utf-8")
    web = Web(listen_address="127.0.0.1:1")
    found = looks_at(json_lines=JsonLines(file=file), web=web)
    assert found == [(f"alerts at the end of {file}", "Container name, image, pod and namespace")]
    file.write_text("", "utf-8")
    assert looks_at(json_lines=JsonLines(file=file), web=web) == []
    assert looks_at(json_lines=JsonLines(file=tmp_path / "none"), web=web) == []


def test_a_running_exporter_is_asked() -> None:
    """What its pages say, also on the landing page."""
    with running_site() as site:
        site.write(*[make_alert(number, container__id="69d22f20d812") for number in range(6)])
        address = site.server.url.removeprefix("http://")
        found = looks_at(web=Web(listen_address=address))
        with urllib.request.urlopen(f"{site.server.url}/") as answer:
            page = answer.read().decode()
    assert found == [(f"alerts of the exporter on {address}", "Container name, image, pod and namespace")]
    assert "What Falco&#39;s alerts lack" in page or "What is missing from Falco's alerts" in page
    assert "/run/k3s/containerd/containerd.sock" in page


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nowhere.sock", ":0"])
def test_where_nobody_answers_nothing_is_said(address: str) -> None:
    """A check is not worse for an exporter that does not run."""
    assert looks_at(web=Web(listen_address=address)) == []
