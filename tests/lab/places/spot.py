"""A spot: a host, or a container of a node, so that one story can be told of both.

Owns what an alert says of a process that runs there: its fields are read from
``/proc``, as Falco gives them.
"""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.places.host import Host
from tests.lab.places.node import Container, Node


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an act is done."""

    place: Host
    """The host, or the container's node: where the steps are pasted."""
    container: Container | None = None

    def run(self, command: str) -> str:
        """Run the act; return what it printed. Fails where it fails."""
        if self.container is None:
            return self.place.run(command)
        return self._node.in_container(self.container, command)

    def start(self, *words: str) -> int:
        """Start a program that goes on running; return its process id as the place counts."""
        if self.container is None:
            return self.place.start(*words)
        node, container = self._node, self.container
        before = set(node.pids_of(container))
        node.exec_in_background(container, *words)
        found: list[int] = []

        def look() -> bool:
            now = set(node.pids_of(container))
            # What the container's own programs start meanwhile is another's.
            found[:] = [pid for pid in now - before if not self._is_runtime(pid) and self._parent(pid) not in {*now, 0}]
            return bool(found)

        node.wait_until(look, f"{words} runs in the container")
        node.wait_until(lambda: node.has_become_itself(found[0]), f"{words} has taken its starter's place")
        return found[0]

    def path(self, path: str) -> Path:
        """Return where a file of the spot is for the lab."""
        if self.container is None:
            return self.place.path(path)
        return self.place.path(f"/proc/{self.container.pid}/root") / path.lstrip("/")

    def write(self, path: str, text: str | bytes = "", mode: int = 0o644) -> None:
        """Write a file, folders included."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
        file.chmod(mode)

    def snapshot(self, *paths: str) -> dict[str, str]:
        """Return what is at these paths and below, to compare byte for byte."""
        prefix = f"/proc/{self.container.pid}/root" if self.container else ""
        return self.place.snapshot(*[prefix + path for path in paths])

    def says(self, *, host: str, container: str) -> str:
        """Return the title that a step has here."""
        return container if self.container else host

    @property
    def evidence(self) -> Path:
        """Where steps keep what they keep, one folder an alert."""
        return self.place.path("/root/evidence")

    def fields(self, pid: int | None = None, **more: Any) -> dict[str, Any]:
        """Return an alert's fields: the spot's own, the process's, and ``more`` (``fd__name`` is ``fd.name``)."""
        where = {"container.id": "host"}
        if self.container is not None:
            # No kubelet knows of it, so neither does Falco of a pod.
            where = {key: text for key, text in self.container.fields.items() if not key.startswith("k8s.")}
        process = self._process(pid) if pid else {}
        return {**where, **process, **{key.replace("__", "."): value for key, value in more.items()}}

    def _name_of(self, pid: int) -> str:
        """Return a parent's name; that of whoever takes its children over, where it has ended."""
        try:
            return self.place.read(f"/proc/{pid}/comm").rstrip("\n")
        except (FileNotFoundError, ProcessLookupError):
            return "systemd"

    def _process(self, pid: int) -> dict[str, Any]:
        read = self.place.read
        name = read(f"/proc/{pid}/comm").rstrip("\n")
        words = read(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")
        status = dict(re.findall(r"^(\w+):\t(\d+)", read(f"/proc/{pid}/status"), re.MULTILINE))
        parent, uid = int(status["PPid"]), int(status["Uid"])
        login = int(read(f"/proc/{pid}/loginuid"))
        return {
            "proc.name": name,
            "proc.cmdline": " ".join([name, *words[1:]]),
            "proc.args": " ".join(words[1:]),
            "proc.exepath": str(self.place.path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)"),
            "proc.pname": self._name_of(parent),
            "proc.tty": 0,
            "user.loginuid": -1 if login == 0xFFFFFFFF else login,
            "user.name": pwd.getpwuid(uid).pw_name if uid in (0, 33) else str(uid),
            "user.uid": uid,
        }

    @property
    def _node(self) -> Node:
        assert isinstance(self.place, Node)
        return self.place

    def _parent(self, pid: int) -> int:
        """Return the parent's process id, 0 where the process has ended."""
        try:
            return int(self.place.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        except OSError:
            return 0

    def _is_runtime(self, pid: int) -> bool:
        """Whether it is runc on its way into the container, or between two programs."""
        try:
            first = self.place.read(f"/proc/{pid}/cmdline").split("\0")[0]
        except OSError:
            return True
        return not first or "runc" in first
