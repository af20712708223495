"""The history in the running program: what is masked is never stored, and addresses outlive the process."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.app import App
from exporter.config.model import Config, FalcoHttp, HistorySettings, Identity, Incidents, Redaction, Shutdown, Web
from tests.running_app import fetch, running_app
from tests.waiting import wait_until


@contextmanager
def running(directory: Path, **settings: object) -> Iterator[App]:
    config = Config(
        http=FalcoHttp(address="127.0.0.1:0"),
        web=Web(listen_address="127.0.0.1:0"),
        history=HistorySettings(directory=directory),
        shutdown=Shutdown(lame_duck_seconds=0),
        **settings,  # type: ignore[arg-type]
    )
    with running_app(config) as app:
        yield app


def post(app: App, **members: object) -> None:
    document = {
        "time": "2026-11-28T12:00:00.123456789Z",
        "rule": "Terminal shell in container",
        "priority": "Notice",
        "source": "syscall",
        "hostname": "falco-abc",
        "output": "A shell was spawned (token=s3cr3t-value)",
        "output_fields": {"proc.cmdline": "bash -c s3cr3t-value", "user.name": "root", "evt.time": 1},
        **members,
    }
    (receiver,) = app._receivers()
    wait_until(lambda: receiver.state == "up")
    request = urllib.request.Request(f"http://127.0.0.1:{receiver.port}/", json.dumps(document).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("masking", [False, True])
def test_an_address_outlives_the_process_and_a_change_of_settings(tmp_path: Path, masking: bool) -> None:
    """With or without masking, the report that was linked to is the one that comes, under the host's name of then."""
    settings = {"redaction": Redaction(patterns=("s3cr3t-value",))} if masking else {}
    with running(tmp_path / "h", identity=Identity(hosts=("falco-*=node-{1}",)), **settings) as app:
        post(app)
        wait_until(lambda: len(app.history.history) == 1)  # type: ignore[union-attr]
        wait_until(lambda: app.history.history.sequence == 1)  # type: ignore[union-attr]
        (row,) = json.loads(fetch(app, "/api/v1/reports")[1])["reports"]
        before = fetch(app, f"/reports/{row['uid']}.md")
        assert before[0] == 200
        assert "node-abc" in before[1]
        assert "History" in fetch(app, "/")[1]
    with running(tmp_path / "h") as app:
        assert fetch(app, f"/reports/{row['uid']}.md") == before
        (again,) = json.loads(fetch(app, "/api/v1/reports")[1])["reports"]
        assert again == row


def test_what_is_masked_is_nowhere_on_the_disk(tmp_path: Path) -> None:
    """Neither in the message nor in the index, nor in SQLite's log."""
    with running(tmp_path / "h", redaction=Redaction(patterns=("s3cr3t[a-z-]*",))) as app:
        post(app)
        wait_until(lambda: app.history.history.sequence == 1)  # type: ignore[union-attr]
        stored = b"".join(path.read_bytes() for path in (tmp_path / "h").iterdir())
    stored += b"".join(path.read_bytes() for path in (tmp_path / "h").iterdir())
    assert b"shell was spawned" in stored
    assert not re.search(b"s3cr3t", stored)


def test_the_digest_and_tuning_have_pages_and_commands_over_the_same_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command reads beside the exporter that writes."""
    from exporter.cli import main

    with running(tmp_path / "h") as app:
        post(app)
        wait_until(lambda: app.history.history.sequence == 1)  # type: ignore[union-attr]
        span = "since=2026-11-28T11:00&until=2026-11-28T13:00"
        page = fetch(app, f"/digest?{span}")
        assert page[0] == 200
        assert "1 alert" in page[1]
        document = fetch(app, f"/digest.json?{span}")[1]
        flags = [
            "--since",
            "2026-11-28T11:00",
            "--until",
            "2026-11-28T13:00",
            "--history.directory",
            str(tmp_path / "h"),
        ]
        assert main(["digest", *flags, "--format", "json"]) == 0
        assert capsys.readouterr().out == document
        assert main(["tune", *flags]) == 0
        assert "0 of 1 alerts" in capsys.readouterr().err
        assert fetch(app, "/digest?since=2026-11-29&until=2026-11-28")[0] == 400
    assert main(["digest", "--history.directory", str(tmp_path / "nowhere")]) == 2
    assert "no such directory" in capsys.readouterr().err


def test_an_incident_that_ended_long_before_a_restart_has_its_page(tmp_path: Path) -> None:
    """The same as before the restart: address, alerts, verdict and every format; alerts of others stay outside."""
    incidents = Incidents(window_seconds=1)
    pod = {"container.id": "3fa1b2c4d5e6", "k8s.ns.name": "shop", "k8s.pod.name": "web-0", "proc.cmdline": "bash"}
    with running(tmp_path / "h", incidents=incidents) as app:
        post(app, time="2026-11-20T11:59:58.5Z", output_fields={"container.id": "0" * 12, "proc.cmdline": "bash"})
        post(app, time="2026-11-20T12:00:00Z", output_fields=pod)
        post(app, time="2026-11-20T12:00:00.5Z", rule="Netcat Remote Code Execution in Container", output_fields=pod)
        post(app, time="2026-11-20T12:00:09Z", output_fields=pod)
        wait_until(lambda: app.history.history.sequence == 4)  # type: ignore[union-attr]
        wait_until(lambda: fetch(app, "/metrics")[0] == 200 and _states(app) == {"ended"})
        (listed,) = [each for each in _incidents(app) if each["alerts"] == 2]
        before = [fetch(app, f"/incidents/{listed['id']}{form}") for form in ("", ".md", ".json", ".txt")]
        assert [status for status, _ in before] == [200] * 4
    with running(tmp_path / "h", incidents=incidents) as app:
        assert _incidents(app) == []
        assert f'<a href="incidents/{listed["id"]}">' in fetch(app, "/incidents")[1]
        assert f'<a href="incidents/{listed["id"]}">' not in fetch(app, "/incidents?state=open")[1]
        after = [fetch(app, f"/incidents/{listed['id']}{form}") for form in ("", ".md", ".json", ".txt")]
        assert after[1:] == before[1:]
        assert after[0][0] == 200
        assert fetch(app, f"/incidents/{'0' * 16}")[0] == 404


def _incidents(app: App) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(fetch(app, "/api/v1/incidents")[1])["incidents"]
    return found


def _states(app: App) -> set[object]:
    return {each["state"] for each in _incidents(app)}
