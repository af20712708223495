"""Create/Modify Configmap With Private Credentials: a password is in a ConfigMap, and moves into a Secret."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.lab.places.cluster import Cluster
from tests.lab.scenarios.k8s_audit.test_creations import object_of
from tests.lab.story import Tell

RULE = "Create/Modify Configmap With Private Credentials"
VALUES = {
    "app.env": "password=hunter2\nPATH=/bin\npasswordFile: /run/secrets/db",
    "dump.sh": "mysqldump --password hunter2 --host=db\n- hunter2password\nhunter2password==\nhunter2password=",
    "app.json": json.dumps({"db": {"password": "hunter2"}}),
    "password": "hunter2\nuser=hunter2",
    "esc": "password\x1b]0;hunter2\x07=x",
    "quiet": "nothing here",
}
BINARY = base64.b64encode(bytes(range(256))).decode()


def config(name: str = "settings", namespace: str = "shop") -> dict[str, Any]:
    """A ConfigMap with passwords in many forms, and one that is no text."""
    return object_of("ConfigMap", name, namespace, data=VALUES, binaryData={"store.jks": BINARY})


def secrets(cluster: Cluster) -> dict[tuple[str, str], Any]:
    """The Secrets of the namespaces: namespace and name to content."""
    found = {}
    for namespace in ("shop", "stage"):
        for item in cluster.laptop().get("secrets", "-n", namespace).get("items", []):
            found[namespace, item["metadata"]["name"]] = item["data"]
    return found


def test_a_password_moves(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("bob").apply(object_of("Secret", "other", "shop", stringData={"a": "b"}))
    cluster.laptop("mallory").apply(config())
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)
    before = secrets(cluster)

    with tell(event=event, cluster=cluster.node) as report:
        shown = [
            "shop\tapp.env\t16\tpassword=…",
            "passwordFile:…",
            "shop\tdump.sh",
            "shop\tapp.json",
            "shop\tpassword\t7\t…",
        ]
        report.look("Which lines matched", shows=shown, hides=["hunter2", "/run/secrets", "quiet", "\x1b]0"])
        report.look("Who changed it", shows="mallory\tcreate\t201", hides="hunter2")
        made = {key: base64.b64encode(value.encode()).decode() for key, value in VALUES.items()}
        made["store.jks"] = BINARY
        becomes = before | {("shop", "settings"): made}
        report.contain("Copy it into a Secret", state=lambda: secrets(cluster), becomes=becomes, shows="settings")
        assert cluster.laptop().get("configmap", "-n", "shop", "settings"), "the ConfigMap itself went"
        report.undo(state=lambda: secrets(cluster), becomes=before)

        cluster.laptop("bob").run("kubectl delete configmap -n shop settings")
        report.again("Which lines matched", hides="settings")
        cluster.node.run(f"rm -r /root/evidence/{report.uid}")
        report.again("Copy it into a Secret", shows="none of this name")
        report.again("Copy it into a Secret", undo=True)
        assert secrets(cluster) == before


def test_what_was_moved_is_kept_although_the_step_is_undone(cluster: Cluster, tell: Tell) -> None:
    """The lines are out of the ConfigMap, so that the Secret has the only ones; then step and undo are pasted again."""
    cluster.namespace("shop")
    cluster.laptop("mallory").apply(config())
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)
    report = tell(event=event, cluster=cluster.node)
    report.looks()
    report.again("Copy it into a Secret", shows="settings")
    out = '[{"op":"replace","path":"/data","value":{"quiet":"nothing here"}}]'
    cluster.laptop("bob").run(f"kubectl patch configmap settings -n shop --type=json -p '{out}'")
    report.again("Copy it into a Secret")
    report.again("Copy it into a Secret", undo=True)
    assert not secrets(cluster)
    assert "hunter2" in cluster.node.run(f"cat /root/evidence/{report.uid}/secret.json"), (
        "the password is gone for good"
    )


def test_a_secret_that_was_there_stays(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    cluster.laptop("mallory").apply(config())
    cluster.laptop("bob").apply(object_of("Secret", "settings", "shop", stringData={"a": "b"}))
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)
    before = secrets(cluster)
    report = tell(event=event, cluster=cluster.node)
    report.looks()
    report.again("Copy it into a Secret", shows="AlreadyExists")
    report.again("Copy it into a Secret", undo=True)
    assert secrets(cluster) == before


def test_two_of_one_name(cluster: Cluster, tell: Tell) -> None:
    """The alert does not say which namespace it was; nothing is guessed."""
    cluster.namespace("shop")
    cluster.namespace("stage")
    cluster.laptop("bob").apply(config(namespace="stage"))
    cluster.laptop("mallory").apply(config())
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)
    report = tell(event=event, cluster=cluster.node)
    report.look("Which lines matched", shows=["shop\tapp.env", "stage\tapp.env"])
    report.again("Copy it into a Secret", shows="in several namespaces")
    assert not secrets(cluster)
