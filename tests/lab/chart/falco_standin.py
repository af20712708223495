"""A stand-in for Falco, run in a pod by the exporter's own Python: reads falco.yaml and makes numbered alerts.

It hands them over as Falco does: one thread; posts on one connection that is opened anew when it is found closed, or
one for each without keep_alive; a second attempt after a time-out only; or lines in a file; or Falco 0.43's gRPC
socket. It prints its ledger, one JSON object per alert: its number, and whether it was ``kept``. The file /tmp/stop
ends the alerts.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml

from exporter.alert import Priority
from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.server import FalcoSimulator

MAX_CONSECUTIVE_TIMEOUTS = 5


class Output(Protocol):
    def hand_over(self, alert: SimulatedAlert) -> str: ...


def to_alert(number: int) -> SimulatedAlert:
    """Return one alert, its number in the command line."""
    fields = {
        "proc.name": "nc",
        "proc.pname": "sh",
        "proc.cmdline": f"nc -l -p 4444 -e /bin/sh alert-{number:06d}-",
        "user.name": "www-data",
        "user.uid": "33",
        "container.id": "692dc6a1516f",
        "container.name": "web",
        "container.image.repository": "docker.io/library/wordpress",
        "k8s.ns.name": "blog",
        "k8s.pod.name": f"blog-{number % 3}",
    }
    return SimulatedAlert(
        time_ns=time.time_ns(),
        rule="Netcat Remote Code Execution in Container",
        priority=Priority.WARNING,
        source="syscall",
        hostname=os.environ["FALCO_HOSTNAME"],
        message=f"Netcat runs inside container | number={number}",
        fields=fields,
        tags=("container", "mitre_execution", "network", "process"),
    )


class Posts:
    """http_output."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._url = urlsplit(settings["url"])
        self._context: ssl.SSLContext | None = None
        if self._url.scheme == "https":
            self._context = ssl.create_default_context(cafile=settings["ca_cert"])
            if settings.get("mtls"):
                self._context.load_cert_chain(settings["client_cert"], settings["client_key"])
        self._keep_alive = settings.get("keep_alive", False)
        self._connection: http.client.HTTPConnection | None = None

    def hand_over(self, alert: SimulatedAlert) -> str:
        """Post it; return why it is lost, or nothing. A time-out is the one failure after which Falco tries again."""
        for _ in range(MAX_CONSECUTIVE_TIMEOUTS):
            try:
                return self._post(alert)
            except TimeoutError:
                self._connection = None
        return "time-outs"

    def _post(self, alert: SimulatedAlert) -> str:
        headers = {"User-Agent": "falcosecurity/falco", "Content-Type": "application/json"}
        try:
            connection = self._alive()
            connection.request("POST", self._url.path or "/", alert.to_json().encode(), headers)
            answer = connection.getresponse()
            answer.read()
            if not self._keep_alive:
                connection.close()
                self._connection = None
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as exc:
            self._connection = None
            return f"{type(exc).__name__}: {exc}"
        return "" if answer.status < 300 else f"status {answer.status}"

    def _alive(self) -> http.client.HTTPConnection:
        """Return the connection; as libcurl does, a new one where the old one has been closed."""
        old = self._connection
        if old is not None and old.sock is not None and not select.select([old.sock], [], [], 0)[0]:
            return old
        host, port = self._url.hostname or "", self._url.port
        if self._context is None:
            self._connection = http.client.HTTPConnection(host, port, timeout=10)
        else:
            self._connection = http.client.HTTPSConnection(host, port, timeout=10, context=self._context)
        return self._connection


class File:
    """file_output with keep_alive: the file stays open."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._file = Path(settings["filename"]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115

    def hand_over(self, alert: SimulatedAlert) -> str:
        """Write its line."""
        self._file.write(alert.to_json() + "\n")
        return ""


class Socket:
    """grpc_output of Falco 0.43: alerts wait in Falco until they are asked for."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._server = FalcoSimulator(settings["bind_address"]).start()

    def hand_over(self, alert: SimulatedAlert) -> str:
        """Queue it."""
        self._server.emit(alert)
        return ""


def output_of(settings: dict[str, Any]) -> Output:
    """Return the output that falco.yaml turns on."""
    if settings.get("http_output", {}).get("enabled"):
        return Posts(settings["http_output"])
    if settings.get("file_output", {}).get("enabled"):
        return File(settings["file_output"])
    if settings.get("grpc", {}).get("enabled") and settings.get("grpc_output", {}).get("enabled"):
        return Socket(settings["grpc"])
    sys.exit("falco.yaml turns no output on")


def main() -> None:
    """Make alerts until there is /tmp/stop, then wait for SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = yaml.safe_load(Path("/etc/falco/falco.yaml").read_text("utf-8"))
    output = output_of(settings)
    pause = 1 / float(os.environ["ALERTS_PER_SECOND"])
    number = 0
    stop = Path("/tmp/stop")
    while not stop.exists():
        why = output.hand_over(to_alert(number))
        print(json.dumps({"number": number, "kept": not why, "why": why, "at": time.time()}), flush=True)
        number += 1
        time.sleep(pause)
    print(json.dumps({"made": number}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    main()
