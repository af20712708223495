"""System ClusterRole Modified/Deleted: rights are added to a role of the cluster, or it goes."""

from __future__ import annotations

import gzip
import json
import shlex
import time
from typing import Any

from tests.lab.places.cluster import AUDIT_LOG, Cluster
from tests.lab.scenarios.k8s_audit.test_creations import ALL, SERVER, now, role
from tests.lab.scenarios.k8s_audit.test_deletions import may_change, may_change_soon
from tests.lab.story import Tell

RULE = "System ClusterRole Modified/Deleted"
READ = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
NAME = "system:lab:reader"
FORGED = 'patch\t200\ttrue\t["192.0.2.7","10.98.0.1"]'


def built_in(cluster: Cluster, name: str = NAME) -> dict[str, Any]:
    """Make a role with the cluster's prefix; return its manifest."""
    remove(cluster, name)
    made = role("ClusterRole", name, READ)
    cluster.laptop().apply(made)
    time.sleep(1.5)
    return made


def rules(cluster: Cluster) -> Any:
    """What the role allows, None where it is gone."""
    return cluster.laptop().get("clusterrole", NAME).get("rules")


def change(cluster: Cluster, *options: str, name: str = NAME) -> None:
    """Allow everything, as alice."""
    text = '{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}'
    cluster.laptop("alice").run(f"kubectl patch clusterrole {name} --type=merge -p '{text}' {' '.join(options)}")


def remove(cluster: Cluster, name: str = NAME) -> None:
    """Remove the role, which the lab does not tell from the cluster's own."""
    cluster.laptop().run(f"kubectl delete clusterrole {name} --ignore-not-found")


def test_rights_are_added(cluster: Cluster, tell: Tell) -> None:
    cluster.namespace("shop")
    made = built_in(cluster)
    before = now(cluster, made)
    # What an intruder tries first is not what was there before.
    change(cluster, "--dry-run=server")
    partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    url = f"{SERVER}/apis/rbac.authorization.k8s.io/v1/clusterroles/{NAME}"
    cluster.node.run(f"curl -skf -H 'Authorization: Bearer token-alice' -H 'Accept: {partial}' {url}")
    odd = "dry%52un=All"
    patch = '{"metadata":{"labels":{"a":"b"}}}'
    words = "-H 'Content-Type: application/merge-patch+json' -H 'X-Forwarded-For: 192.0.2.7'"
    cluster.node.run(f"curl -skf -X PATCH -H 'Authorization: Bearer token-alice' {words} -d '{patch}' '{url}?{odd}'")
    time.sleep(1.5)
    change(cluster)
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    after = now(cluster, made)
    assert after["rules"] == ALL

    with tell(event=event, cluster=cluster.node) as report:
        shown = ["alice\tpatch\t200\ttrue", "alice\tpatch\t200\t-", FORGED]
        report.look("Who changed it", shows=shown, hides="\tget\t")
        report.look("What differs from before?", shows=['"*"', '"pods"', "< ", "> "])
        report.contain("Put it back", state=lambda: now(cluster, made), becomes=before, shows="as before")
        report.again("What differs from before?", hides="pods")
        report.contain(
            "refuse all that this user changes",
            state=lambda: may_change(cluster, "alice"), becomes=False, shows="denied request", seconds=60,
        )  # fmt: skip
        report.undo(state=lambda: (may_change_soon(cluster, "alice"), now(cluster, made)), becomes=(True, after))
    remove(cluster)


def test_it_is_deleted(cluster: Cluster, tell: Tell) -> None:
    made = built_in(cluster)
    before = now(cluster, made)
    cluster.laptop("alice").run(f"kubectl delete clusterrole {NAME}")
    event = cluster.audit_event(user="alice", verb="delete", code=200)
    report = tell(event=event, cluster=cluster.node)
    report.look("Who changed it", shows=["admin\tcreate\t201", "alice\tdelete\t200"])
    report.look("What differs from before?", shows=['"pods"', "> "])
    report.contain("Put it back", state=lambda: now(cluster, made), becomes=before, shows="as before")
    report.undo(state=lambda: rules(cluster), becomes=None)
    remove(cluster)


def test_what_others_changed_since_stays(cluster: Cluster, tell: Tell) -> None:
    built_in(cluster)
    change(cluster)
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    report = tell(event=event, cluster=cluster.node)
    report.looks(shows="alice\tpatch\t200")
    report.again("Put it back", shows="as before")
    text = '{"metadata":{"labels":{"reviewed":"yes"}}}'
    cluster.laptop().run(f"kubectl patch clusterrole {NAME} --type=merge -p '{text}'")
    report.again("Put it back", undo=True, shows="changed since")
    assert rules(cluster) == READ
    remove(cluster)
    cluster.laptop().apply(role("ClusterRole", NAME, READ))
    report.again("Put it back", undo=True, shows="changed since")
    assert rules(cluster) == READ, "another role of this name was changed"
    remove(cluster)


def test_a_change_that_was_sent_slowly_is_not_what_was_before(cluster: Cluster, tell: Tell) -> None:
    """Falco takes the time of the answer; the request came seconds earlier, where its sender wished so."""
    built_in(cluster)
    node = cluster.node
    url = f"{SERVER}/apis/rbac.authorization.k8s.io/v1/clusterroles/{NAME}"
    patch = shlex.quote(json.dumps({"rules": ALL}))
    words = "-H 'Authorization: Bearer token-alice' -H 'Content-Type: application/merge-patch+json'"
    node.run(f"(sleep 2.5; echo {patch}) | curl -skf -X PATCH {words} -T - '{url}'")
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    assert event["requestReceivedTimestamp"][:19] < event["stageTimestamp"][:19], "it was not sent slowly"
    report = tell(event=event, cluster=node)
    report.look("Who changed it", shows="alice\tpatch\t200")
    report.look("What differs from before?", shows=['"*"', '"pods"'])
    report.again("Put it back", shows="as before")
    assert rules(cluster) == READ
    remove(cluster)


def test_older_events_are_compressed(cluster: Cluster, tell: Tell) -> None:
    """The API server turns its log over, and may pack what is old; a line that was cut off stops nothing."""
    name = "system:lab:old"
    built_in(cluster, name)
    node = cluster.node
    lines = [line for line in node.read(AUDIT_LOG).splitlines() if name in line]
    older = AUDIT_LOG.replace(".log", "-2026-01-01T00-00-00.000.log.gz")
    old = "\n".join(line.replace('"username":"admin"', '"username":"ancestor"') for line in lines)
    node.write(older, gzip.compress(f'{old}\n{{"kind":"Event","lev\n3\n'.encode()))
    change(cluster, name=name)
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    report = tell(event=event, cluster=node)
    report.look("Who changed it", shows=["ancestor\tcreate\t201", "alice\tpatch\t200"])
    node.run(f"rm {older}")
    remove(cluster, name)


def test_who_may_not_look_changes_nothing(cluster: Cluster, tell: Tell) -> None:
    made = built_in(cluster)
    change(cluster)
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    after = now(cluster, made)
    node = cluster.node
    report = tell(event=event, cluster=node)
    report.look("Who changed it")
    viewer = cluster.laptop("viewer")
    copy = viewer.file("evidence")
    copy.mkdir(mode=0o777)
    folder = copy / report.uid
    folder.mkdir(mode=0o777)
    for path in (copy, folder):
        path.chmod(0o777)
    (folder / "before.json").write_bytes(node.path(f"/root/evidence/{report.uid}/before.json").read_bytes())
    story = tell(event=event, cluster=viewer)
    answer = story.again("Put it back", shows="orbidden")
    assert "as before" not in answer.text
    # Somebody with the rights goes on where they stopped.
    node.run(f"cp -r {viewer.environment['HOME']}/evidence/. /root/evidence/")
    report.again("Put it back", undo=True, shows="nothing was changed")
    assert now(cluster, made) == after, "an undo of nothing changed the role"
    report.again("Put it back", shows="as before")
    assert rules(cluster) == READ
    report.again("Put it back", undo=True, shows="replaced")
    assert now(cluster, made) == after
    remove(cluster)


def test_nothing_of_it_is_in_the_log(cluster: Cluster, tell: Tell) -> None:
    fields = {"ka.user.name": "alice", "ka.verb": "update", "ka.target.resource": "clusterroles"}
    fields |= {"ka.target.name": "system:never:there"}
    report = tell(fields, cluster=cluster.node)
    report.look("Who changed it", hides="alice")
    report.look("What differs from before?", shows="not kept")
    report.again("Put it back", shows="not in the log")
    report.again("Put it back", undo=True, shows="nothing was changed")


def test_a_hostile_name(cluster: Cluster, tell: Tell) -> None:
    name = "system:x'; touch owned; $(touch owned) \"y"
    made = role("ClusterRole", name, READ)
    cluster.laptop().apply(made)
    time.sleep(1.5)
    before = now(cluster, made)
    text = shlex.quote(json.dumps({"rules": ALL}))
    cluster.laptop("alice").run(f"kubectl patch clusterrole --type=merge -p {text} -- {shlex.quote(name)}")
    event = cluster.audit_event(user="alice", verb="patch", code=200)
    report = tell(event=event, cluster=cluster.node)
    report.looks(shows="alice\tpatch\t200")
    report.contain("Put it back", state=lambda: now(cluster, made), becomes=before)
    assert not cluster.node.exists("/root/owned")
    cluster.laptop().run(f"kubectl delete clusterrole -- {shlex.quote(name)}")
