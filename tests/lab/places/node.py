"""A node: a host that systemd has booted, with containerd, runc, the CNI plugins and a configured crictl."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.image_archives import busybox_image
from tests.lab.places.host import Host, host
from tests.lab.programs import built

PAUSE = "lab.example/pause:1"
WEB = "registry.example.net/shop/web:1.2.3"
"""An image with busybox and netcat; what a container runs unless the story says otherwise."""

_CONTAINERD = f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""
_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "lab",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipam": {"type": "host-local", "subnet": "10.88.0.0/16", "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "loopback"},
    ],
}
_CRICTL = (
    "runtime-endpoint: unix:///run/containerd/containerd.sock\nimage-endpoint: unix:///run/containerd/containerd.sock\n"
    # Of itself it gives up after two seconds, which a busy machine needs.
    "timeout: 60\n"
)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container of a pod, as Falco's container plugin describes it."""

    id: str
    """All 64 digits."""
    pod_id: str
    pid: int
    """Its first process, as the node counts."""
    name: str
    pod: str
    namespace: str
    image: str

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that Falco's container plugin appends to an alert's output."""
        repository, _, tag = self.image.rpartition(":")
        return {
            "container.id": self.id[:12],
            "container.name": self.name,
            "container.image.repository": repository,
            "container.image.tag": tag,
            "k8s.ns.name": self.namespace,
            "k8s.pod.name": self.pod,
        }


class Node(Host):
    """A host that runs containers. Use ``node()`` to get one."""

    name = "node"

    def start_container(
        self,
        command: Sequence[str] = ("sleep", "86400"),
        *,
        pod: str = "web-7d4b9c6f5-x2x9z",
        namespace: str = "shop",
        name: str = "web",
        image: str = WEB,
        security: Mapping[str, Any] | None = None,
        mounts: Sequence[Mapping[str, Any]] = (),
        host_network: bool = False,
    ) -> Container:
        """Run a pod with one container, labelled as the kubelet labels it."""
        pod_uid = f"{time.time_ns():x}"
        labels = {
            "io.kubernetes.pod.name": pod,
            "io.kubernetes.pod.namespace": namespace,
            "io.kubernetes.pod.uid": pod_uid,
        }
        metadata = {"name": pod, "namespace": namespace, "uid": pod_uid, "attempt": 0}
        # By the runtime's interface 2 is the node's own network, 0 the pod's.
        options = {"namespace_options": {"network": 2 if host_network else 0}}
        privileged = {"security_context": {"privileged": bool((security or {}).get("privileged")), **options}}
        sandbox = {
            "metadata": metadata,
            "labels": labels,
            "log_directory": f"/var/log/pods/{pod_uid}",
            "linux": privileged,
        }
        document = {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": image},
            "command": list(command),
            "labels": labels | {"io.kubernetes.container.name": name},
            "log_path": f"{name}/0.log",
            "mounts": list(mounts),
            "linux": {"security_context": {**options, **(security or {})}},
        }
        self.write("/root/.lab/pod.json", json.dumps(sandbox))
        self.write("/root/.lab/container.json", json.dumps(document))
        self.run(f"mkdir -p /var/log/pods/{pod_uid}/{name}")
        pod_id = self.run("crictl runp /root/.lab/pod.json").strip()
        made = self.run(f"crictl create {pod_id} /root/.lab/container.json /root/.lab/pod.json").strip()
        self.run(f"crictl start {made}; rm -r /root/.lab")
        pid = int(self.run(f"crictl inspect -o go-template --template '{{{{.info.pid}}}}' {made}"))
        return Container(made, pod_id, pid, name, pod, namespace, image)

    def container_of(self, namespace: str, pod: str) -> Container:
        """Return the running container of a pod that the kubelet started."""
        pods = f"--label io.kubernetes.pod.namespace={namespace} --label io.kubernetes.pod.name={pod}"
        made = self.run(f"crictl ps -q {pods}").strip()
        document = json.loads(self.run(f"crictl inspect {made}"))
        status = document["status"]
        return Container(
            made, document["info"]["sandboxID"], document["info"]["pid"], status["metadata"]["name"], pod, namespace,
            status["image"]["image"],
        )  # fmt: skip

    def in_container(self, container: Container, command: str) -> str:
        """Run the act in a container; return what it printed."""
        return self.run(f"crictl exec {container.id} sh -c {shlex.quote(command)}")

    def exec_in_background(self, container: Container, *words: str) -> None:
        """Start a program in a container that goes on running, as ``kubectl exec`` starts it: with no login session."""
        self.run(f"setsid crictl exec {container.id} {shlex.join(words)} </dev/null >/dev/null 2>&1 &")

    def pids_of(self, container: Container, pattern: str = "") -> list[int]:
        """Return the processes of a container, as the node counts, whose command line matches."""
        found = []
        for line in self.run("ps -eo pid=,args=").splitlines():
            pid, _, command = line.strip().partition(" ")
            with contextlib.suppress(OSError):
                if container.id in self.read(f"/proc/{pid}/cgroup") and re.search(pattern, command):
                    found.append(int(pid))
        return found

    def clean(self) -> None:
        """Leave nothing of a scenario to the next: its pods, its shells, and what its responder kept."""
        self.remove_pods()
        self.forget()

    def forget(self) -> None:
        """Close the shells and remove what a responder kept: the next story has another one."""
        self.new_terminals()
        self.run("rm -rf /root/evidence")

    def remove_pods(self) -> None:
        """Remove every pod, so that the next story begins with none."""
        self.run("crictl pods -q | xargs -r crictl rmp -f 2>&1", timeout_seconds=120)


@contextlib.contextmanager
def node(*parts: str) -> Iterator[Node]:
    """A fresh node with containerd running and images in it, crictl and these parts of ``build.sh`` in its PATH."""
    programs = built("crictl", *parts)
    with host(systemd=True, kind=Node, programs=programs, hostname="node-1") as made:
        assert isinstance(made, Node)
        made.run("mkdir -p /var/lib/containerd; mount -t tmpfs -o mode=711 tmpfs /var/lib/containerd")
        made.write("/etc/containerd/config.toml", _CONTAINERD)
        made.write("/etc/cni/net.d/10-lab.conflist", json.dumps(_NETWORK))
        made.write("/etc/crictl.yaml", _CRICTL)
        made.run("systemctl start containerd")
        made.wait_until(lambda: made.exists("/run/containerd/containerd.sock"), "containerd listens")
        with tempfile.TemporaryDirectory() as directory:
            load_image(
                made, busybox_image(Path(directory), PAUSE, command=["sh", "-c", "trap exit TERM; sleep 86400 & wait"])
            )
            load_image(made, busybox_image(Path(directory), WEB, extra=["/bin/nc.traditional"]))
        yield made


def load_image(place: Node, archive: Path) -> None:
    """Load an image made by ``tests.lab.image_archives`` into a node's containerd."""
    place.write("/root/image.tar", archive.read_bytes())
    place.run("ctr -n k8s.io images import /root/image.tar >/dev/null; rm /root/image.tar", timeout_seconds=60)
