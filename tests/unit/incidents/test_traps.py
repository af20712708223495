"""What looks alike and does not belong together, and what belongs together and does not look it."""

from __future__ import annotations

import pytest

from exporter.alert import Alert
from tests.unit.incidents.made import alert, parts, register

POD = {"k8s__ns__name": "shop", "k8s__pod__name": "web-6d5b9c7f88-x2kqp", "container__name": "web"}
IMAGE = {"container__image__repository": "docker.io/acme/web", "k8s__ns__name": "shop", "container__name": "web"}


def cloud(minutes: float, rule: str, user: str, address: str) -> Alert:
    return alert(minutes, rule, source="aws_cloudtrail", host="falco-cloud-0", ct__user=user, ct__srcip=address)


def audit(minutes: float, rule: str, user: str, **fields: str) -> Alert:
    return alert(minutes, rule, source="k8s_audit", host="falco-k8saudit-0", ka__user__name=user, **fields)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"container__id": "aaaaaaaaaaaa"}, {"container__id": "aaaaaaaaaaaa"}),
        ({**POD, "container__id": "aaaaaaaaaaaa"}, {**POD, "container__id": "bbbbbbbbbbbb", "container__name": "side"}),
        ({"user__loginuid": "1000", "proc__tty": "34816"}, {"user__loginuid": "1000", "proc__tty": "34816"}),
        ({"proc__pid": "4711", "proc__name": "x"}, {"proc__ppid": "4711", "proc__pname": "bash"}),
        ({"fd__name": "/tmp/.x/run"}, {"proc__exepath": "/tmp/.x/run"}),
    ],
    ids=["container", "pod", "session", "ancestry", "file"],
)
def test_what_says_who_acted_joins_what_is_undecided(one: dict[str, str], other: dict[str, str]) -> None:
    """A container, pod, session, process or file of one's own is enough for two alerts that nobody decided."""
    assert parts([alert(0, "one", **one), alert(9, "two", **other)]) == {frozenset({"one", "two"})}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"user__name": "root"}, {"user__name": "root"}),
        ({**IMAGE, "container__id": "a" * 12, "k8s__pod__name": "web-6d5b9c7f88-x2kqp"},
         {**IMAGE, "container__id": "b" * 12, "k8s__pod__name": "web-6d5b9c7f88-zz9lm"}),
        ({**POD, "container__id": "a" * 12}, {**POD, "container__id": "b" * 12}),
        ({"proc__pname": "systemd", "proc__aname[2]": "sshd"}, {"proc__pname": "systemd", "proc__aname[2]": "sshd"}),
        ({"user__loginuid": "1000", "proc__tty": "34816"}, {"user__loginuid": "1001", "proc__tty": "34817"}),
    ],
    ids=["host and root", "same image in another pod", "pod made anew", "ancestors of all", "another session"],
)  # fmt: skip
def test_what_many_share_joins_nothing(one: dict[str, str], other: dict[str, str]) -> None:
    """Neither the host, root, an image, a pod's name on a new container nor systemd makes an incident."""
    assert parts([alert(0, "one", **one), alert(1, "two", **other)]) == set()


def test_a_session_is_one_host_s() -> None:
    """The same login id and terminal on another host is somebody else, even of two likely attacks."""
    session = {"user__loginuid": "1000", "proc__tty": "34816"}
    found = parts([alert(0, "attack a", host="db-1", **session), alert(1, "attack b", host="db-2", **session)])
    assert found == {frozenset({"attack a"}), frozenset({"attack b"})}


def test_two_likely_attacks_of_two_sessions_stay_two() -> None:
    """Two people at two terminals of one host are two incidents."""
    one, other = {"user__loginuid": "1000", "proc__tty": "1025"}, {"user__loginuid": "1001", "proc__tty": "1026"}
    assert len(parts([alert(0, "attack a", **one), alert(1, "attack b", **other)])) == 2


def test_an_address_of_many_joins_nobody() -> None:
    """Once three principals come from an address it ties no one, also what it had joined before."""
    nat = "198.51.100.8"
    first = [cloud(0, "attack a", "eve", nat), cloud(2, "b", "dana", nat)]
    assert parts(first) == {frozenset({"attack a", "b"})}
    assert parts([*first, cloud(4, "c", "olu", nat)]) == {frozenset({"attack a"})}


def test_an_address_that_benign_work_comes_from_joins_nobody_else() -> None:
    """Benign work joins nothing, but tells that the address is a way out of many."""
    nat = "198.51.100.8"
    found = parts([cloud(0, "attack a", "eve", nat), cloud(1, "benign x", "dana", nat), cloud(2, "b", "dana", nat)])
    assert found == {frozenset({"attack a"})}


def test_a_role_is_told_apart_by_its_address() -> None:
    """CloudTrail shows an assumed role by name only: two addresses are two sessions."""
    found = parts([cloud(0, "attack a", "app-role", "203.0.113.5"), cloud(3, "b", "app-role", "198.51.100.30")])
    assert found == {frozenset({"attack a"})}
    found = parts([cloud(0, "attack a", "app-role", "203.0.113.5"), cloud(3, "b", "app-role", "203.0.113.5")])
    assert found == {frozenset({"attack a", "b"})}


def test_who_made_a_user_belongs_to_what_the_user_did() -> None:
    """A user that an attacker makes is the attacker, from whatever address."""
    made = alert(0, "attack a", source="aws_cloudtrail", ct__user="eve", ct__srcip="203.0.113.5",
                 ct__request__username="svc-backup2")  # fmt: skip
    assert parts([made, cloud(9, "b", "svc-backup2", "203.0.113.77")]) == {frozenset({"attack a", "b"})}


def test_one_service_account_for_two_controllers() -> None:
    """What a shared account did to two objects is one incident only where both look like an attack."""
    account = "system:serviceaccount:platform:operator"
    one = audit(0, "attack a", account, ka__target__namespace="shop", ka__target__name="jobs-a")
    other = {"ka__target__namespace": "billing", "ka__target__name": "ledger-b"}
    assert parts([one, audit(2, "b", account, **other)]) == {frozenset({"attack a"})}
    assert parts([one, audit(2, "attack b", account, **other)]) == {frozenset({"attack a", "attack b"})}


@pytest.mark.parametrize("user", ["system:serviceaccount:kube-system:daemon-set-controller", "system:node:node-1"])
def test_who_acts_for_everybody_ties_nothing(user: str) -> None:
    """A controller and a node act for whoever wrote the workload."""
    one = audit(0, "attack a", user, ka__target__namespace="shop", ka__target__name="jobs-a")
    other = audit(1, "attack b", user, ka__target__namespace="billing", ka__target__name="ledger-b")
    assert len(parts([one, other])) == 2


def test_exec_into_a_pod_belongs_to_what_happens_there() -> None:
    """The audit log names the pod; the shell's own alert the container in it."""
    into = audit(0, "exec", "oidc:eve@example.com", ka__target__namespace="shop", ka__target__resource="pods",
                 ka__target__name="web-6d5b9c7f88-x2kqp", ka__target__subresource="exec")  # fmt: skip
    shell = alert(1, "shell", **POD, container__id="aaaaaaaaaaaa")
    assert parts([into, shell]) == {frozenset({"exec", "shell"})}


def made(rule: str) -> Alert:
    return audit(0, rule, "system:serviceaccount:kube-system:replicaset-controller", ka__target__namespace="shop",
                 ka__target__resource="pods", ka__resp__name="web-6d5b9c7f88-zz9lm")  # fmt: skip


def test_what_made_a_workload_belongs_to_the_attacks_in_its_pods() -> None:
    """A pod that an audit log saw being made ties the likely attacks in all pods of its workload."""
    one, other = (POD | {"k8s__pod__name": f"web-6d5b9c7f88-{end}"} for end in ("x2kqp", "b7w2s"))
    attacks = [
        alert(1, "attack a", **one, container__id="a" * 12),
        alert(2, "attack b", **other, container__id="b" * 12),
    ]
    assert len(parts(attacks)) == 2
    assert parts([made("pod made"), *attacks]) == {frozenset({"pod made", "attack a", "attack b"})}


@pytest.mark.parametrize(("rule", "fields"), [("shell", POD), ("attack a", POD | {"k8s__ns__name": "billing"})])
def test_what_made_a_workload_joins_nothing_else(rule: str, fields: dict[str, str]) -> None:
    """Neither undecided work in another of its pods nor a workload of the same name in another namespace."""
    found = parts([made("pod made"), alert(1, rule, **fields, container__id="a" * 12)])
    assert not any("pod made" in rules for rules in found)


def test_what_descends_from_an_exploited_program_belongs_to_its_attack() -> None:
    """The shell below pkexec is the exploit's; another pkexec that is no attack ties nothing."""
    exploit = {"proc__name": "pkexec", "proc__exepath": "/usr/bin/pkexec", "proc__pname": "bash"}
    below = {"proc__name": "cat", "proc__exepath": "/usr/bin/cat", "proc__pname": "bash", "proc__aname[2]": "pkexec"}
    assert parts([alert(0, "attack a", **exploit), alert(3, "read", **below)]) == {frozenset({"attack a", "read"})}
    assert parts([alert(0, "run", **exploit), alert(3, "read", **below)]) == set()


def test_one_person_in_two_clouds() -> None:
    """A mail address is the same person in Okta, in a cluster and in an assumed role's session."""
    okta = alert(0, "attack a", source="okta", okta__actor__name="dana@example.com", okta__client__ip="203.0.113.4")
    role = alert(5, "b", source="aws_cloudtrail", ct__user__principalid="AROAEXAMPLE:dana@example.com",
                 ct__srcip="203.0.113.9")  # fmt: skip
    assert parts([okta, role, audit(9, "c", "oidc:dana@example.com")]) == {frozenset({"attack a", "b", "c"})}


@pytest.mark.parametrize(("minutes", "incidents"), [(119, 1), (121, 2)])
def test_the_window_slides(minutes: float, incidents: int) -> None:
    """A container's alerts stay together while none is further than the window from the one before."""
    given = [alert(start * minutes, f"attack {start}", container__id="aaaaaaaaaaaa") for start in (0, 1)]
    assert len(parts(given)) == incidents


def test_three_tactics_on_one_entity_raise_what_nobody_decided() -> None:
    """Undecided alerts of three tactics in one container are a likely attack together; in three containers not."""
    rules = ("one execution", "two persistence", "three impact")
    given = [alert(number, rule, container__id="aaaaaaaaaaaa") for number, rule in enumerate(rules)]
    found = register()
    kinds = [change.kind for change in found.take(given)]
    (incident,) = found.all()
    assert (incident.verdict, incident.raised_by) == ("attack", ("execution", "persistence", "impact"))
    assert kinds == ["opened", "risen"]
    apart = register()
    apart.take([alert(number, rule, container__id=str(number) * 12) for number, rule in enumerate(rules)])
    assert apart.all() == []


def test_tests_are_not_raised() -> None:
    """The event generator imitates every tactic."""
    rules = ("test execution", "b persistence", "c impact", "d discovery")
    found = register()
    found.take([alert(number, rule, container__id="aaaaaaaaaaaa") for number, rule in enumerate(rules)])
    assert [incident.verdict for incident in found.all()] == ["undecided"]


def test_the_verdict_is_its_gravest_alert_s() -> None:
    """One likely attack among undecided alerts and tests makes the incident one."""
    rules = ("test a", "b", "attack c")
    found = register()
    found.take([alert(number, rule, container__id="aaaaaaaaaaaa") for number, rule in enumerate(rules)])
    assert [incident.verdict for incident in found.all()] == ["attack"]
