"""The far end of a host's connections: a network of its own with the addresses of RFC 5737."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.places.host import Host

PEER = "203.0.113.45"
"""An address out there."""
_BLOCKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")


class Internet:
    """Everything that answers to the addresses of RFC 5737."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._started: list[subprocess.Popen[bytes]] = []

    def _inside(self, *words: str) -> list[str]:
        return ["nsenter", "--target", str(self._pid), "--net", *words]

    def run(self, command: str) -> str:
        """Run a command out there; return what it printed."""
        done = subprocess.run(
            self._inside("sh", "-c", command), capture_output=True, text=True, check=False, timeout=20
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def listen(self, port: int, *, into: Path, udp: bool = False, says: str = "") -> None:
        """Listen on every address; what comes is appended to a file, and each connection is sent ``says``."""
        into.touch()
        kind = "UDP4-RECVFROM" if udp else "TCP4-LISTEN"
        talk = f"printf %s {shlex.quote(says)}; cat >> {shlex.quote(str(into))}"
        self._started.append(
            subprocess.Popen(
                self._inside("socat", f"{kind}:{port},fork,reuseaddr", f"SYSTEM:{talk!r}"),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        deadline = time.monotonic() + 5
        probe = "-u" if udp else "-t"
        while f":{port}" not in self.run(f"ss -H -l -n {probe}"):
            assert time.monotonic() < deadline, f"nobody listens on port {port}"
            time.sleep(0.02)

    def connect(self, address: str, port: int, says: str = "", *, source: str = "") -> subprocess.Popen[bytes]:
        """Connect to the host from out there, from an address of one's own where given, and stay connected."""
        words = ["socat", "-", f"TCP4:{address}:{port},bind={source}"] if source else ["nc", address, str(port)]
        if ":" in address:
            words = ["socat", "-", f"TCP6:[{address}]:{port}"]
        process = subprocess.Popen(
            self._inside(*words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._started.append(process)
        assert process.stdin is not None
        process.stdin.write(says.encode())
        process.stdin.flush()
        return process

    def connections(self) -> str:
        """What is connected, as ``ss`` sees it from out there."""
        return self.run("ss -H -t -n state established")

    def close(self) -> None:
        """End every listener and connection, and what socat has started for each."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
            if process.stdin:
                process.stdin.close()


@contextlib.contextmanager
def internet(place: Host) -> Iterator[Internet]:
    """Connect a host, by a default route, to a network that has every address of RFC 5737; gone at the end."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "86400"])
    far = Internet(process.pid)
    own = Path("/proc/self/ns/net").readlink()
    try:
        deadline = time.monotonic() + 5
        while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
            assert time.monotonic() < deadline, "no network namespace"
            time.sleep(0.01)
        near = f"labw{process.pid}"
        for command in (
            f"ip link add {near} type veth peer name wan netns {process.pid}",
            f"ip link set {near} netns {place.pid} name eth0",
        ):
            subprocess.run(shlex.split(command), check=True)
        place.run("ip addr add 10.99.0.2/30 dev eth0; ip link set eth0 up; ip route add default via 10.99.0.1 metric 5")
        far.run(
            "ip link set lo up; ip addr add 10.99.0.1/30 dev wan; ip link set wan up;ip route add default via 10.99.0.2"
        )
        for block in _BLOCKS:
            far.run(f"ip route add local {block} dev lo")
        yield far
    finally:
        far.close()
        # The kernel takes its time to remove the link with the namespace, and the next one has the same name.
        subprocess.run([*place.enter, "ip", "link", "del", "eth0"], check=False, stderr=subprocess.DEVNULL)
        process.kill()
        process.wait(5)
