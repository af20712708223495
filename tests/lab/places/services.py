"""What a cluster needs besides its node for applications to find one another and keep files: Services, DNS, volumes.

kube-proxy and CoreDNS run as units of the node. Volumes are file systems in
memory of a fixed size on the node, so that one can be filled.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from tests.lab.places.cluster import Cluster, cluster
from tests.lab.programs import built

DNS = "10.96.0.10"
"""What the kubelet gives to pods as their name server; an address of the node."""
_PROXY = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "iptables",
    "clientConnection": {"kubeconfig": "/etc/kubernetes/admin.conf"},
    "hostnameOverride": "node-1",
    "clusterCIDR": "10.88.0.0/16",
    # The machine's own limits stay.
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
}
_COREFILE = """\
cluster.local:53 {
  errors
  kubernetes cluster.local {
    kubeconfig /etc/kubernetes/admin.conf lab
  }
}
"""
_UNITS = {
    "kube-proxy": "kube-proxy --config /etc/kubernetes/proxy.json",
    "coredns": "coredns -conf /etc/kubernetes/Corefile",
}
_STORAGE = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "lab", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
}


@contextlib.contextmanager
def cluster_with_services() -> Iterator[Cluster]:
    """A fresh cluster with Services, DNS and a default storage class whose volumes ``volume`` makes."""
    built("coredns")
    with cluster() as made:
        place = made.node
        place.write("/etc/kubernetes/proxy.json", json.dumps(_PROXY))
        place.write("/etc/kubernetes/Corefile", _COREFILE)
        for name, command in _UNITS.items():
            unit = f"[Service]\nExecStart=/usr/local/bin/{command}\nRestart=on-failure\nRestartSec=1\n"
            place.write(f"/etc/systemd/system/{name}.service", unit)
        place.run(
            f"""ip addr add {DNS}/32 dev lo
            echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
            systemctl daemon-reload; systemctl start kube-proxy coredns"""
        )
        made.laptop().apply(_STORAGE)
        asked = f"host -W 2 kubernetes.default.svc.cluster.local {DNS}"
        place.wait_until(lambda: "has address" in place.run(f"{asked} || true"), "the names of Services", 60)
        yield made


def volume(made: Cluster, claim: str, *, mebibytes: int) -> str:
    """Make a volume for the claim ``NAMESPACE/NAME``; return its folder on the node.

    It says that it holds 1 GiB, whatever it holds, as a volume does that others fill.
    """
    namespace, _, name = claim.partition("/")
    folder = f"/srv/volumes/{namespace}-{name}"
    made.node.run(f"mkdir -p {folder}; mount -t tmpfs -o size={mebibytes}m,mode=755 volume {folder}")
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}
    made.laptop().apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{namespace}-{name}"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "lab",
                "local": {"path": folder},
                "claimRef": {"namespace": namespace, "name": name},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }
    )
    return folder
