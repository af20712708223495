"""The steps of an incident: each once, where it finds its files, and in an order that harms nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.catalog.kept_files import kept_files
from exporter.catalog.uid import UID_SENTINEL
from exporter.incidents.steps import STEPS_LIMIT, merged
from exporter.report import Advice, Command, to_plain
from exporter.reporter import Reporter

SECOND = 1_000_000_000


@cache
def reporter() -> Reporter:
    return Reporter(load_catalog())


def alert(rule: str, fields: dict[str, str], *, source: str = "syscall", at: int = 0) -> Alert:
    return Alert(1_790_000_000_000_000_000 + at * SECOND, rule, Priority.ERROR, source, "app-02", "text", fields, ())


def advised(*alerts: Alert) -> list[tuple[Alert, Advice]]:
    return [(each, reporter().advice_for(each)) for each in alerts]


def steps(*alerts: Alert) -> tuple[Command, ...]:
    return merged(advised(*alerts)).steps


def directory(step: Command) -> str:
    """The uid of the alert whose directory a step works in."""
    found = re.search(r"/evidence/([0-9a-f]{32})", step.run)
    return found[1] if found else ""


def call(user: str, *, at: int = 0, name: str = "CreateAccessKey") -> Alert:
    fields = {"ct.user": user, "ct.user.arn": f"arn:aws:iam::111122223333:user/{user}", "ct.name": name,
              "ct.srcip": "203.0.113.9", "ct.region": "eu-west-1"}  # fmt: skip
    return alert("A key is made", fields, source="aws_cloudtrail", at=at)


def written(path: str, program: str = "/tmp/x") -> Alert:
    fields = {
        "fd.name": path,
        "proc.name": "x",
        "proc.cmdline": f"x {path}",
        "proc.exepath": program,
        "container.id": "host",
    }
    return alert("Ours", fields)


def test_two_files_are_kept_apart() -> None:
    """The copy of one is not in the place of the other, or the undo would put it there."""
    first, second = written("/etc/cron.d/one"), written("/etc/systemd/system/two.service")
    away = [step for step in steps(first, second) if "take it away" in to_plain(step.title)]
    assert [directory(step) for step in away] == [first.uid, second.uid]
    for step in away:
        assert directory(step) in step.undo


def test_each_caller_is_cut_and_one_caller_once() -> None:
    """Two calls of one user need one denial; another user's call needs its own, made from its own event."""
    one, again, other = call("m.ferrand"), call("m.ferrand", at=60), call("svc-backup2", at=120)
    found = steps(one, again, other)
    denials = [step for step in found if to_plain(step.title).endswith("Deny everything to the caller.")]
    assert [directory(step) for step in denials] == [one.uid, other.uid]
    reads = [step for step in found if "Read exactly" in to_plain(step.title)]
    assert [directory(step) for step in reads] == [one.uid, again.uid, other.uid]


def made(name: str, *, at: int) -> Alert:
    fields = {"ka.user.name": "mallory", "ka.verb": "create", "ka.target.resource": "clusterrolebindings",
              "ka.target.name": name, "ka.response.code": "201"}  # fmt: skip
    return alert("A binding", fields, source="k8s_audit", at=at)


def test_each_object_goes() -> None:
    """Two objects that one user made are both deleted, each by what was kept of it; the user is stopped once."""
    found = steps(made("one", at=0), made("two", at=5))
    titles = [to_plain(step.title).removeprefix("If escalated: ") for step in found]
    assert titles.count("Delete what was created then.") == 2
    assert titles.count("Refuse all that this user changes.") == 1


def test_each_step_finds_what_it_reads() -> None:
    """What a step reads of an earlier one is in the directory in which that one worked."""
    cases = [call("m.ferrand"), call("svc"), made("one", at=0), made("two", at=5), written("/etc/cron.d/one")]
    found = steps(*cases)
    assert not any(UID_SENTINEL in step.run + step.undo for step in found)
    for alert_, advice in advised(*cases):
        assert advice.commands, alert_
    have: set[tuple[str, str]] = set()
    for step in found:
        names, writes = kept_files(step.run)
        for name in (names - writes) & {"event.json", "created.json", "again.json"}:
            assert (directory(step), name) in have
        have |= {(directory(step), name) for name in writes}


def test_a_containment_is_verified_before_the_next() -> None:
    """What verifies stands right behind what it verifies."""
    fields = {"fd.name": "10.0.0.4:5->198.51.100.23:443", "fd.sip": "198.51.100.23", "proc.name": "x",
              "proc.cmdline": "x", "proc.exepath": "/opt/x", "container.id": "host", "evt.type": "connect"}  # fmt: skip
    found = steps(alert("Ours", fields), written("/etc/cron.d/one"))
    for before, step in pairwise(found):
        assert step.phase != "verify" or before.phase == "contain"
    assert any(step.phase == "verify" for step in found)


def _permanent() -> Iterator[Alert]:
    pod = {"container.id": "3fa1b2c4d5e6", "container.name": "web", "k8s.pod.name": "web-1", "k8s.ns.name": "shop"}
    token = {"fd.name": "/run/secrets/kubernetes.io/serviceaccount/token", "proc.name": "cat", "proc.cmdline": "cat t",
             "proc.exepath": "/usr/bin/cat"}  # fmt: skip
    yield alert("Token", pod | token)
    shell = {"proc.name": "x", "proc.cmdline": "x y", "proc.exepath": "/tmp/x"}
    yield alert("Program", pod | shell)


def test_what_cannot_be_undone_comes_last() -> None:
    """A deleted pod or account can be neither frozen nor looked at."""
    can_undo = [bool(step.undo) for step in steps(*_permanent()) if step.phase == "contain"]
    assert can_undo == sorted(can_undo, reverse=True)
    assert not all(can_undo)


def test_a_limit_leaves_nothing_without_what_it_reads() -> None:
    """Of very many alerts as many steps are shown as find room, with the looks whose files they read."""
    found, alerts, left_out = merged(advised(*[call(f"user-{number}", at=number) for number in range(30)]))
    assert len(found) <= STEPS_LIMIT
    assert left_out
    assert all(directory(step) in {"", alert.uid} for step, alert in zip(found, alerts, strict=True))
    read = {directory(step) for step in found if "event.json" in kept_files(step.run)[1]}
    assert all(directory(step) in read for step in found if step.phase == "contain")
