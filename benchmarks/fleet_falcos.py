"""A fleet of Falcos as one process: each host posts at its own pace, the next alert only after the answer.

Started with the exporters' ports (joined by commas), the number of hosts and
the alerts per second of each; host *n* keeps one connection to exporter *n*
modulo their number. Reads one command a line from standard input, ``run
SECONDS``, and answers with one JSON line. An alert that comes due while an
answer is awaited waits in its Falco, as in the real one.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import cycle, islice

from benchmarks.http_requests import to_request
from benchmarks.http_sender import cpu_seconds
from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.scenarios import flood

RULES = 23
"""The flood's alerts in turn; each host begins with another."""
GRACE_SECONDS = 30.0
"""How long answers are awaited after the last alert."""


@dataclass(slots=True)
class Host:
    """One Falco and its connection."""

    name: str
    connection: socket.socket
    number: int
    due: deque[float] = field(default_factory=deque)
    """When the alerts that wait came due, the one on its way first."""
    on_its_way: bool = False


class Fleet:
    """All of them, on one thread."""

    def __init__(self, ports: list[int], hosts: int, rate: float) -> None:
        self._kept: list[SimulatedAlert] = list(flood(RULES, time.time_ns()))
        self._rate = rate
        self._poll = select.epoll()
        self._hosts = []
        for number in range(hosts):
            connection = socket.create_connection(("127.0.0.1", ports[number % len(ports)]))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._hosts.append(Host(f"node-{number:05d}", connection, number))
            self._poll.register(connection.fileno(), select.EPOLLIN)
        self._by_descriptor = {host.connection.fileno(): host for host in self._hosts}
        self.posted = self.acknowledged = 0
        self.seconds: list[float] = []

    def run(self, seconds: float) -> dict[str, float]:
        """Post for so many seconds; say how many were posted and acknowledged and how long a post took, from due on."""
        total = int(len(self._hosts) * self._rate * seconds)
        step = 1 / (len(self._hosts) * self._rate)
        begun, cpu = time.perf_counter(), cpu_seconds()
        turns = islice(cycle(self._hosts), total)
        for number, host in enumerate(turns):
            while (pause := begun + number * step - time.perf_counter()) > 0:
                self._take_answers(pause)
            host.due.append(begun + number * step)
            if not host.on_its_way:
                self._post(host)
            if number % 64 == 0:
                self._take_answers(0)
        until = time.perf_counter() + GRACE_SECONDS
        while self.acknowledged < total and time.perf_counter() < until:
            self._take_answers(0.1)
        self.seconds.sort()
        parts = {f"p{part}": self.seconds[len(self.seconds) * part // 100] for part in (50, 99)}
        return {
            "posted": self.posted,
            "acknowledged": self.acknowledged,
            "seconds": time.perf_counter() - begun,
            "cpu": cpu_seconds() - cpu,
            "slowest": self.seconds[-1],
            **parts,
        }

    def _post(self, host: Host) -> None:
        host.number += 1
        alert = replace(self._kept[host.number % RULES], hostname=host.name, time_ns=time.time_ns())
        host.on_its_way = True
        self.posted += 1
        host.connection.sendall(to_request(alert.to_json()))

    def _take_answers(self, pause_seconds: float) -> None:
        for descriptor, _ in self._poll.poll(pause_seconds):
            host = self._by_descriptor[descriptor]
            answer = host.connection.recv(4_096)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"refused: {answer[:80]!r}")
            self.acknowledged += 1
            self.seconds.append(time.perf_counter() - host.due.popleft())
            host.on_its_way = False
            if host.due:
                self._post(host)


def main() -> None:
    """Connect, then serve commands until the input ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ports, hosts, rate = sys.argv[1:]
    fleet = Fleet(list(map(int, ports.split(","))), int(hosts), float(rate))
    print(json.dumps({"hosts": int(hosts)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(fleet.run(float(line.split()[1]))), flush=True)


if __name__ == "__main__":
    main()
