"""A cluster of one node: etcd, kube-apiserver with an audit log, controller-manager, scheduler and a real kubelet.

Everything runs as units of a node's systemd, in its namespaces, so the audit
log, the kubelet's files and ``systemctl restart kubelet`` are where a step
looks for them. ``cluster`` steps run on a laptop: another user's shell with a
kubeconfig and no other rights on the node.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab.audit import Event
from tests.lab.paste import Answer, Terminal
from tests.lab.places.node import WEB, Node, node

AUDIT_LOG = "/var/log/kubernetes/audit/audit.log"
USERS = {
    "admin": ("system:masters",),
    "alice": ("platform",),
    "bob": ("developers",),
    "mallory": ("developers",),
    "viewer": ("readers",),
    "watch": ("watchers",),
    "responder": ("watchers", "responders"),
    "nobody": (),
    "system:node:node-1": ("system:nodes",),
    "system:node:stray": ("system:nodes",),
}
"""Who has a token: alice is cluster-admin by a binding, bob and mallory edit, the viewer views, nobody may nothing.

``watch`` and ``responder`` have what ``deploy/responder/kubernetes.yaml`` gives for looks, and for all steps.
"""

_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: None
    resources: [{group: coordination.k8s.io}, {group: events.k8s.io}, {group: "", resources: [events, nodes/status]}]
  - level: None
    nonResourceURLs: ["/healthz*", "/readyz*", "/livez*", "/openapi/*", "/version"]
  - level: RequestResponse
"""
_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "failCgroupV1": False,
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "failSwapOn": False,
    "enforceNodeAllocatable": [],
    "localStorageCapacityIsolation": False,
    "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
    },
    "authorization": {"mode": "Webhook"},
    "clusterDomain": "cluster.local",
    "clusterDNS": ["10.96.0.10"],
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "resolvConf": "",
}
_ADDRESS = "10.98.0.1"
_SERVER = f"https://{_ADDRESS}:6443"
_UNITS = {
    "etcd": "etcd --data-dir /var/lib/etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 "
    "--advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 "
    "--logger zap --log-level warn",
    "kube-apiserver": "kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --bind-address 0.0.0.0 "
    f"--advertise-address {_ADDRESS} --cert-dir /etc/kubernetes/pki --token-auth-file /etc/kubernetes/tokens.csv "
    "--authorization-mode Node,RBAC --service-account-issuer https://kubernetes.default.svc "
    "--service-account-key-file /etc/kubernetes/pki/sa.pub "
    "--service-account-signing-key-file /etc/kubernetes/pki/sa.key "
    "--service-cluster-ip-range 10.96.0.0/16 --allow-privileged=true --endpoint-reconciler-type none "
    "--kubelet-client-certificate /etc/kubernetes/pki/kubelet-client.crt "
    "--kubelet-client-key /etc/kubernetes/pki/kubelet-client.key --client-ca-file /etc/kubernetes/pki/ca.crt "
    "--kubelet-preferred-address-types InternalIP --audit-policy-file /etc/kubernetes/audit.yaml "
    # A file that it rotated to is not written at its end, and would begin with zeros once it is emptied.
    f"--audit-log-path={AUDIT_LOG} --audit-log-maxsize=100000 --audit-log-mode blocking --anonymous-auth=true "
    "--profiling=false",
    "kube-controller-manager": "kube-controller-manager --kubeconfig /etc/kubernetes/admin.conf --leader-elect=false "
    "--use-service-account-credentials=true --service-account-private-key-file /etc/kubernetes/pki/sa.key "
    "--root-ca-file /etc/kubernetes/pki/apiserver.crt",
    "kube-scheduler": "kube-scheduler --kubeconfig /etc/kubernetes/admin.conf --leader-elect=false",
    "kubelet": "kubelet --config /etc/kubernetes/kubelet.json --kubeconfig /etc/kubernetes/kubelet.conf "
    f"--hostname-override node-1 --node-ip {_ADDRESS}",
}
_ROLES = """\
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: platform}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: platform}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: developers}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: readers}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: lab-nodes}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:node"}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:nodes"}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: lab-watchers}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: falco-responder-look}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: watchers}]
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: lab-responders}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: falco-responder-contain}
    subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: responders}]
"""


_RESPONDERS = Path(__file__).parents[3] / "deploy" / "responder" / "kubernetes.yaml"
_KERNEL_SETTINGS = """
mkdir -p /run/lab/sys
while read -r name value; do
  [ -e "/proc/sys/$name" ] || continue
  echo "$value" > "/run/lab/sys/${name##*/}"
  mount --bind "/run/lab/sys/${name##*/}" "/proc/sys/$name"
done <<'END'
vm/overcommit_memory 1
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END
"""
"""The kubelet sets these where they differ; files stand for them, so that the machine keeps its own."""


class Laptop:
    """A shell from which a cluster is administered: an ordinary user of the machine, with one user's kubeconfig."""

    name = "laptop"

    def __init__(self, place: Node, user: str) -> None:
        self._node = place
        self._home = f"/home/alice/{user.replace(':', '-')}-{time.monotonic_ns():x}"
        place.run(f"install -d -o alice -g alice {self._home}")
        config = f"{self._home}/kubeconfig"
        place.write(config, _kubeconfig(user))
        self.environment = place.environment | {"HOME": self._home, "USER": "alice", "KUBECONFIG": config}
        # `env -C` after nsenter, which would need the folder to be there on the machine.
        become = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "env", "-C", self._home]
        self._enter = [*place.enter, *become]
        self._terminals: dict[str, Terminal] = {}

    def paste(self, block: str, shell: str = "bash", timeout_seconds: float = 30.0) -> Answer:
        """Paste a block into the interactive shell; the shell stays for the next block."""
        if shell == "sh":
            done = self._run(["sh", "-c", block], timeout_seconds)
            return Answer(done.stdout + done.stderr, done.returncode, "sh", block)
        if shell not in self._terminals:
            self._terminals[shell] = Terminal(shell, self._enter, self.environment)
        return self._terminals[shell].paste(block, timeout_seconds)

    def run(self, command: str, timeout_seconds: float = 30.0) -> str:
        """Run the lab's own command as this user; return what it printed. Fails where it fails."""
        done = self._run(["sh", "-c", command], timeout_seconds)
        assert done.returncode == 0, f"{command}\nexit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, command: str) -> str:
        """Run a command that the API server must refuse; return what it said."""
        done = self._run(["sh", "-c", command], 30.0)
        assert done.returncode != 0, f"{command} was not refused: {done.stdout}"
        return done.stderr

    def apply(self, manifest: str | dict[str, Any], *options: str) -> str:
        """Create objects from YAML or a document."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        done = self._run(["kubectl", "create", *options, "-f", "-"], 30.0, text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *words: str) -> dict[str, Any]:
        """Return ``kubectl get … -o json``; empty where there is no such object."""
        done = self._run(["kubectl", "get", *words, "-o", "json"], 30.0)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def file(self, name: str) -> Path:
        """Return where a file of the shell's folder is for the lab."""
        return self._node.path(f"{self._home}/{name}")

    def _run(self, words: list[str], seconds: float, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, *words],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            env=self.environment,
            timeout=seconds,
            check=False,
        )

    def close(self) -> None:
        """Close the shells."""
        for terminal in self._terminals.values():
            terminal.close()
        self._terminals.clear()


class Cluster:
    """The API server and its node. Use ``cluster()`` to get one."""

    def __init__(self, place: Node) -> None:
        self.node = place
        self._laptops: dict[str, Laptop] = {}

    def laptop(self, user: str = "admin") -> Laptop:
        """Return the shell of one of ``USERS``; opened at first use, gone after the scenario."""
        if user not in self._laptops:
            self._laptops[user] = Laptop(self.node, user)
        return self._laptops[user]

    def namespace(self, name: str = "shop", labels: str = "") -> None:
        """Create a namespace and wait for its default account, without which no pod is admitted."""
        admin = self.laptop()
        # One of an earlier scenario may still be going.
        made = f"kubectl create namespace {name} || kubectl wait --for=delete namespace/{name} --timeout=60s"
        self.node.wait_until(lambda: "created" in admin.run(made, 90), f"the namespace {name}", 90)
        if labels:
            admin.run(f"kubectl label namespace {name} {labels}")
        self.node.wait_until(lambda: admin.get("serviceaccount", "-n", name, "default"), "the default account", 20)

    def audit_events(self) -> list[Event]:
        """Return the audit log's events, oldest first."""
        return [json.loads(line) for line in self.node.read(AUDIT_LOG).splitlines() if line.endswith("}")]

    def audit_event(self, timeout_seconds: float = 10.0, **wanted: Any) -> Event:
        """Return the newest audit event with these values; wait for it.

        ``user``, ``verb``, ``stage``, ``code``; of the object ``resource``, ``subresource``, ``namespace``, ``name``.
        """
        found: list[Event] = []

        def look() -> bool:
            found[:] = [event for event in self.audit_events() if wanted.items() <= _facts(event).items()]
            return bool(found)

        self.node.wait_until(look, f"an audit event with {wanted}", timeout_seconds)
        return found[-1]

    def await_pod(self, namespace: str, name: str, timeout_seconds: float = 40.0) -> dict[str, Any]:
        """Wait until a pod's containers are ready; return the pod."""
        admin = self.laptop()
        admin.run(f"kubectl wait -n {namespace} --for=condition=Ready pod/{name} --timeout={timeout_seconds:.0f}s", 60)
        return admin.get("pod", "-n", namespace, name)

    def clean(self) -> None:
        """Remove what a scenario made: its namespaces, cluster roles and bindings, policies, cordons and labels."""
        for laptop in self._laptops.values():
            laptop.close()
        self._laptops.clear()
        admin = self.laptop()
        kept = "default|kube-system|kube-public|kube-node-lease"
        roles = (
            "platform|developers|readers|lab-.*|falco-responder-.*|system:.*|cluster-admin|admin|edit|view|kubeadm:.*"
        )
        admin.run(
            # A namespace takes seconds to go, and steps look for a name in all of them.
            f"""for each in $(kubectl get ns -o name | grep -vxE 'namespace/({kept})'); do
              kubectl delete cm,secret --all -n "${{each#namespace/}}" --wait=false; kubectl delete --wait=false "$each"
            done
            kubectl delete pod,deploy,ds,sts,job,cj,cm,secret,sa,role,rolebinding,netpol,svc -n default --all \
              --field-selector metadata.name!=kubernetes --wait=false --grace-period=1 2>/dev/null
            kubectl get clusterrole,clusterrolebinding -o json | jq --arg kept '^({roles})$' '
              .items |= map(select(.metadata.name | test($kept) | not))' | kubectl delete -f - 2>/dev/null
            kubectl get validatingadmissionpolicy,validatingadmissionpolicybinding,mutatingwebhookconfiguration,\
validatingwebhookconfiguration -o name | xargs -rd "\\n" kubectl delete
            kubectl uncordon node-1; kubectl taint nodes --all node.kubernetes.io/unschedulable- 2>/dev/null; true""",
            60,
        )
        admin.close()
        self._laptops.clear()
        # What reads it, the steps included, reads all of it.
        self.node.run(f": > {AUDIT_LOG}")


def _facts(event: Event) -> dict[str, Any]:
    object_ref = event.get("objectRef", {})
    return {
        "user": event["user"].get("username"),
        "verb": event["verb"],
        "stage": event["stage"],
        "code": event.get("responseStatus", {}).get("code"),
        **{key: object_ref.get(key) for key in ("resource", "subresource", "namespace", "name")},
    }


def _kubeconfig(user: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": _SERVER, "insecure-skip-tls-verify": True}}],
            "users": [{"name": user, "user": {"token": _token(user)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user, "namespace": "default"}}],
        }
    )


def _token(user: str) -> str:
    return "token-" + user.replace(":", "-")


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh cluster whose node is Ready."""
    with node("etcd", "kubernetes") as place:
        _configure(place)
        place.run("systemctl daemon-reload; systemctl start etcd kube-apiserver")
        made = Cluster(place)
        admin = made.laptop()
        place.wait_until(lambda: _answers(admin), "the API server is ready", 60)
        admin.apply(_RESPONDERS.read_text())
        admin.apply(_ROLES)
        place.run("systemctl start kube-controller-manager kube-scheduler kubelet")
        _await_node(place, admin)
        place.wait_until(lambda: admin.get("serviceaccount", "default"), "the controllers work", 30)
        yield made


def _configure(place: Node) -> None:
    place.run(
        f"""ip link add lab0 type bridge; ip addr add {_ADDRESS}/24 dev lab0; ip link set lab0 up
        ip route add default dev lab0 metric 100; sysctl -qw net.ipv4.ip_forward=1
        [ -e /dev/kmsg ] || mknod /dev/kmsg c 1 11
        mkdir -p /etc/kubernetes/pki /var/log/kubernetes/audit /var/lib/kubelet; chmod 711 /home/alice
        openssl genrsa -out /etc/kubernetes/pki/sa.key 2048 2>/dev/null
        openssl rsa -in /etc/kubernetes/pki/sa.key -pubout -out /etc/kubernetes/pki/sa.pub 2>/dev/null
        cd /etc/kubernetes/pki
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=lab-ca -days 2 -keyout ca.key -out ca.crt 2>/dev/null
        openssl req -newkey rsa:2048 -nodes -subj /O=system:masters/CN=kube-apiserver-kubelet-client \\
          -keyout kubelet-client.key -out kubelet-client.csr 2>/dev/null
        openssl x509 -req -in kubelet-client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \\
          -out kubelet-client.crt 2>/dev/null"""
    )
    place.run(_KERNEL_SETTINGS)
    # The API server appends to a file that is there; one of its own making could not be emptied.
    place.run(f"install -m 600 /dev/null {AUDIT_LOG}")
    tokens = [f'{_token(user)},{user},{user},"{",".join(groups)}"\n' for user, groups in USERS.items()]
    place.write("/etc/kubernetes/tokens.csv", "".join(tokens), 0o600)
    place.write("/etc/kubernetes/audit.yaml", _POLICY)
    place.write("/etc/kubernetes/kubelet.json", json.dumps(_KUBELET))
    place.write("/etc/kubernetes/admin.conf", _kubeconfig("admin"), 0o600)
    # Root of a control-plane node looks and contains with what the project gives to responders, and no more.
    place.write("/root/.kube/config", _kubeconfig("responder"), 0o600)
    place.write("/etc/kubernetes/kubelet.conf", _kubeconfig("system:node:node-1"), 0o600)
    for name, command in _UNITS.items():
        unit = f"[Service]\nExecStart=/usr/local/bin/{command}\nRestart=on-failure\nRestartSec=1\nDelegate=yes\n"
        place.write(f"/etc/systemd/system/{name}.service", unit)


def _answers(admin: Laptop) -> bool:
    with contextlib.suppress(AssertionError):
        return "ok" in admin.run("kubectl get --raw /readyz")
    return False


def _await_node(place: Node, admin: Laptop) -> None:
    try:
        place.wait_until(lambda: _node_ready(admin), "the node is Ready", 60)
    except AssertionError as error:
        logs = place.run("journalctl --no-pager -o cat -n 40 -u kubelet; kubectl get nodes -o wide")
        raise AssertionError(f"{error}: {logs}") from error


def _node_ready(admin: Laptop) -> bool:
    with contextlib.suppress(AssertionError):
        condition = "{.items[0].status.conditions[?(@.type=='Ready')].status}"
        return admin.run(f'kubectl get nodes -o jsonpath="{condition}"').strip() == "True"
    return False


def web_pod(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    """Return a pod's manifest with the lab's own image; ``spec`` goes into the pod's spec."""
    container = {"name": "web", "image": WEB, "imagePullPolicy": "Never", "command": ["sleep", "86400"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }
