"""Posts of a megabyte each, whatever fills them: what is kept of them is bounded in bytes."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.integration.otlp.receiver import free_port
from tests.waiting import wait_until

POSTS = 40
GROWTH_LIMIT_BYTES = {"in memory": 300 * 1024 * 1024, "on disk": 450 * 1024 * 1024}
"""Of all shapes together, twice what was measured; a post that is kept whole takes a megabyte or more."""
ALERT: dict[str, object] = {
    "time": "2026-01-31T12:00:00.000000001Z", "rule": "R", "priority": "Notice", "source": "syscall",
    "hostname": "h", "output": "12:00:00.000000001: Notice something", "output_fields": {"proc.name": "x"},
    "tags": ["a"],
}  # fmt: skip


def filled(number: int) -> str:
    return f"{number:08d}" * 110_000


SHAPES: Mapping[str, Callable[[int], dict[str, object]]] = {
    "ignored members": lambda number: {"ignored": filled(number)},
    "tags": lambda number: {"tags": [f"{number}-{tag}" for tag in range(70_000)]},
    "field names": lambda number: {"output_fields": {f"f{number}.{name}": "" for name in range(50_000)}},
    "a rule's name": lambda number: {"rule": filled(number)},
    "a host's name": lambda number: {"hostname": filled(number)},
    "output": lambda number: {"output": filled(number)},
    "a value": lambda number: {"output_fields": {"proc.cmdline": filled(number)}},
    "a wide value": lambda number: {"output_fields": {"proc.cmdline": "\U0001f600" + filled(number)}},
}


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def answers(port: int) -> bool:
    try:
        return post(port, json.dumps(ALERT).encode()) == 200
    except OSError:
        return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kept", GROWTH_LIMIT_BYTES)
def test_large_posts_stay_within_the_bounds(tmp_path: Path, say: Callable[[str], None], kept: str) -> None:
    """With pages, a queue for an endpoint that is away, and a history: every post is taken, and few are kept."""
    port, pages, nobody = free_port(), free_port(), free_port()
    settings = ["--http.address", f"127.0.0.1:{port}", "--web.listen-address", f"127.0.0.1:{pages}"]
    settings += ["--otlp.endpoint", f"http://127.0.0.1:{nobody}"]
    if kept == "on disk":
        settings += ["--queue.directory", str(tmp_path / "queue"), "--history.directory", str(tmp_path / "history")]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "exporter", "run", *settings], stderr=log) as exporter,
    ):
        try:
            wait_until(lambda: answers(port), seconds=60)
            before, grown = resident_bytes(exporter.pid), []
            for shape, filling in SHAPES.items():
                for number in range(POSTS):
                    body = json.dumps(ALERT | filling(number), ensure_ascii=False).encode()
                    assert 600_000 < len(body) < 1_048_576
                    assert post(port, body) == 200
                grown.append(resident_bytes(exporter.pid) - before)
                say(f"{POSTS} posts with a megabyte of {shape}: {grown[-1] / 2**20:+.0f} MiB resident")
        finally:
            exporter.terminate()
            exporter.wait(60)
    assert max(grown) < GROWTH_LIMIT_BYTES[kept]
    assert "Traceback" not in (tmp_path / "log").read_text()
