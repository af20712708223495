"""Falco's own alerts: it lost events, sees nothing, refused its rules, or ended a capture."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.lab.hostile import WORDS
from tests.lab.ledger import LAB
from tests.lab.places.aws import Aws
from tests.lab.places.host import Host, host
from tests.lab.scenarios.aws_cloudtrail.account import MALLORY
from tests.lab.story import Story, Tell

DROP = "Falco internal: syscall event drop"
FIGURES = "Falco internal: metrics snapshot"
SILENCE = "Falco internal: timeouts notification"
REFUSED = "Falco internal: hot restart failure"
CAPTURE = "Falco internal: capture size limit reached"
EVERY_CALL = "All Cloudtrail Events"
EVERY_REQUEST = "All K8s Audit Events"
TRIED = "Test alert of falco-report-exporter"
RULES = (DROP, FIGURES, SILENCE, REFUSED, CAPTURE, EVERY_CALL, EVERY_REQUEST, TRIED)

UNIT = "[Service]\nExecStart=/usr/bin/falco\nExecReload=kill -HUP $MAINPID\n"
PACKAGE = """
mkdir -p /tmp/p/DEBIAN /tmp/p/etc/falco
printf 'Package: falco\\nVersion: 1\\nArchitecture: all\\nMaintainer: lab\\nDescription: lab\\n' > /tmp/p/DEBIAN/control
echo /etc/falco/falco_rules.yaml > /tmp/p/DEBIAN/conffiles
echo '- rule: Shipped' > /tmp/p/etc/falco/falco_rules.yaml
dpkg-deb -b /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb && rm -r /tmp/p /tmp/p.deb
"""
GOOD = "- rule: All Cloudtrail Events\n  condition: evt.num > 0\n- rule: Other\n  condition: evt.num > 1\n"


@pytest.fixture(name="watched")
def a_watched_host() -> Iterator[Host]:
    """A booted host with Falco as a service, its package, its rules, and a log of audit."""
    with host(systemd=True) as made:
        shutil.copy2(LAB / "clients" / "falco", made.path("/usr/bin/falco"))
        made.run(PACKAGE)
        made.write("/etc/falco/rules.d/own.yaml", GOOD)
        made.path("/etc/falco/config.d").mkdir()
        made.write("/etc/systemd/system/falco.service", UNIT)
        made.run("systemctl daemon-reload; systemctl start falco")
        made.wait_until(lambda: attached(made), "Falco has attached")
        now = time.time()
        made.write("/var/log/audit/audit.log", f"{audit(now - 86400, 'alice')}{audit(now, 'mallory')}", 0o600)
        made.run("logger -t sshd 'Accepted password for mallory'; journalctl --sync")
        yield made


def audit(moment: float, user: str) -> str:
    """Auditd's record of a login."""
    return (
        f"type=USER_LOGIN msg=audit({moment:.3f}:{int(moment) % 1000}): pid=7 uid=0 auid=4294967295 ses=4294967295 "
        f'msg=\'op=login acct="{user}" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=success\'\n'
    )


def falco(host: Host) -> int:
    return int(host.run("pgrep -xo falco || echo 0"))


def attached(host: Host) -> bool:
    """Whether Falco's process holds a BPF program."""
    with contextlib.suppress(OSError):
        return any("prog_id" in file.read_text() for file in host.path(f"/proc/{falco(host)}/fdinfo").iterdir())
    return False


def weight(host: Host) -> str:
    return host.run("systemctl show --value -p CPUWeight falco").strip()


def blind_log(report: Story, host: Host) -> None:
    """What the machine logged: the journal and auditd, both from before the alert and not of yesterday.

    What its services say in between is no login.
    """
    host.run("seq 400 | logger -t shop; logger -t sudo 'mallory : COMMAND=/bin/bash'; journalctl --sync")
    report.look("What did the machine log", shows=["COMMAND=/bin/bash", "acct=mallory"], hides="acct=alice")


def precedence(report: Story, host: Host) -> None:
    """Falco's CPU, then its precedence and back."""
    report.look("Is Falco short of CPU", shows=["nr_throttled 0", "/usr/bin/falco"])
    before = weight(host)
    report.contain("Give Falco's service", state=lambda: weight(host), becomes="1000", shows="CPUWeight=1000")
    report.undo(state=lambda: weight(host), becomes=before)


def gone(report: Story, host: Host, *titles: str) -> None:
    """Without Falco each step says so, or says nothing."""
    host.run("systemctl stop falco")
    for title in titles:
        report.again(title, shows="Falco does not run here")


def test_falco_lost_events(watched: Host, tell: Tell) -> None:
    shutil.copy2(watched.path("/usr/bin/dash"), watched.path("/usr/local/bin/flood"))
    flood = watched.start("flood", "-c", "while :; do :; done")
    watched.wait_until(lambda: watched.run(f"ps -o cputimes= -p {flood}").strip() > "0", "the flood has begun", 60)
    with tell({"n_drops": 7, "n_evts": 70}, rule=DROP, host=watched) as report:
        report.look("Who makes the calls", shows="flood")
        blind_log(report, watched)
        precedence(report, watched)
        gone(report, watched, "Is Falco short of CPU")


def test_falcos_figures(watched: Host, tell: Tell) -> None:
    watched.write("/etc/falco/falco_rules.yaml", "- rule: Shipped\n  enabled: false\n")
    with tell({"falco.version": "0.43.0"}, rule=FIGURES, host=watched) as report:
        changed = "5?????? c /etc/falco/falco_rules.yaml"
        answer = report.look("Which of Falco's files", shows=["root /etc/falco/falco_rules.yaml", changed])
        newest = [line for line in answer.text.splitlines() if " root /etc/falco/" in line][-1]
        assert newest.endswith("/etc/falco/falco_rules.yaml")
        # Somebody gave it a weight before; where that cannot be written down, it stays.
        watched.run("systemctl set-property --runtime falco CPUWeight=200")
        watched.run("mkdir -p /root/evidence; mount -t tmpfs -o ro tmpfs /root/evidence")
        report.again("Give Falco's service", shows="CPUWeight=200")
        watched.run("umount /root/evidence")
        precedence(report, watched)


def test_falco_is_no_service(watched: Host, tell: Tell) -> None:
    """As in a pod: its scope is the container runtime's, and so is the weight."""
    watched.run("systemctl stop falco; systemd-run --scope --unit falco-pod /usr/bin/falco >/dev/null 2>&1 &")
    watched.wait_until(lambda: attached(watched), "Falco has attached")
    properties = "systemctl show -p CPUWeight falco-pod.scope"
    before = watched.run(properties)
    report = tell({"falco.version": "0.43.0"}, rule=FIGURES, host=watched)
    report.again("Give Falco's service", shows="no service: give the pod a CPU request")
    assert watched.run(properties) == before, "the runtime's scope was changed"


def test_falco_was_stopped_and_detached(watched: Host, tell: Tell) -> None:
    """Somebody stopped it, and nothing feeds it any more: a process that still looks alive."""
    watched.run("systemctl stop falco")
    pid = watched.start("/usr/bin/falco", "--blind")
    watched.wait_until(lambda: watched.state(pid) == "S", "Falco waits")
    watched.run(f"kill -STOP {pid}")
    watched.wait_until(lambda: watched.state(pid) == "T", "Falco stands still")
    with tell({}, rule=SILENCE, host=watched) as report:
        answer = report.look("Is anything of Falco attached", shows=[f"{pid} T", "--blind"])
        assert answer.text.splitlines()[0].strip() == "0"
        blind_log(report, watched)
        kept = f"/root/evidence/{report.uid}/fdinfo"
        state = lambda: (attached(watched), watched.state(pid))  # noqa: E731
        report.contain("Keep its state", state=state, becomes=(True, "S"), shows="1")
        assert "flags:" in watched.read(kept)
        before = watched.read(kept)
        report.again("Keep its state")
        assert watched.read(kept) == before, "the second run wrote over what was kept"
        watched.run(f"kill {pid}")
        watched.wait_until(lambda: not falco(watched), "Falco has ended, and its parent knows")
        report.again("Is anything of Falco attached", shows="Falco does not run here")
        report.again("Keep its state", shows="Falco does not run here")


@pytest.mark.parametrize("name", ["rules.d/new.yaml", "falco_rules.local.yaml", f"rules.d/{WORDS['glob']}.yaml"])
def test_falco_refused_new_rules(watched: Host, tell: Tell, name: str) -> None:
    watched.run("touch -d '2 days ago' /etc/falco/rules.d/own.yaml")
    time.sleep(1.1)
    after = datetime.now(UTC).timestamp() + 600
    watched.write(f"/etc/falco/{name}", "- rule: Broken\n", 0o640)
    before = watched.snapshot("/etc/falco")
    # The window begins ten minutes before the alert.
    with tell({}, rule=REFUSED, host=watched, time_ns=int(after) * 1_000_000_000) as report:
        report.look("Does it load now", shows="has no mapping for key 'condition'")
        report.look("Which of Falco's files", shows=f"root /etc/falco/{name}")
        here = lambda: (watched.exists(f"/etc/falco/{name}"), watched.exists("/etc/falco/rules.d/own.yaml"))  # noqa: E731
        report.contain("Set aside the rules", state=here, becomes=(False, True), shows="Loaded without errors")
        report.undo(state=lambda: watched.snapshot("/etc/falco"), becomes=before)
        assert not watched.exists("/root/owned")


def test_the_broken_rules_are_gone(watched: Host, tell: Tell) -> None:
    """Somebody has mended or removed them since: what is there now stays in force."""
    time.sleep(1.1)
    watched.write("/etc/falco/rules.d/new.yaml", GOOD)
    before = watched.snapshot("/etc/falco")
    report = tell({}, rule=REFUSED, host=watched)
    report.again("Does it load now", shows="Loaded without errors")
    report.again("Set aside the rules", shows="it loads: nothing set aside")
    report.again("Set aside the rules", undo=True, shows="No such file")
    assert watched.snapshot("/etc/falco") == before, "rules that load were set aside"

    watched.write("/etc/falco/rules.d/new.yaml", "- rule: Broken\n")
    report.again("Set aside the rules", shows="new.yaml.broken")
    watched.write("/etc/falco/rules.d/new.yaml", GOOD)
    made = watched.snapshot("/etc/falco/rules.d/new.yaml")
    report.again("Set aside the rules", undo=True, shows="/etc/falco/rules.d/new.yaml was made since: left")
    assert watched.snapshot("/etc/falco/rules.d/new.yaml") == made, "rules that were made since were written over"


def test_rules_that_somebody_else_set_aside_stay_so(watched: Host, tell: Tell) -> None:
    """The folder is mounted read-only, so the step fails; a colleague mounts it anew and renames the file."""
    time.sleep(1.1)
    watched.run("mount -t tmpfs tmpfs /etc/falco/rules.d")
    watched.write("/etc/falco/rules.d/new.yaml", "- rule: Broken\n")
    watched.run("mount -o remount,ro /etc/falco/rules.d")
    report = tell({}, rule=REFUSED, host=watched)
    report.again("Set aside the rules", shows="Read-only file system")
    watched.run("mount -o remount,rw /etc/falco/rules.d; cd /etc/falco/rules.d && mv new.yaml new.yaml.broken")
    report.again("Set aside the rules", undo=True)
    assert not watched.exists("/etc/falco/rules.d/new.yaml"), "the broken rules are in force again"
    watched.run("cd /etc/falco/rules.d && mv new.yaml.broken new.yaml")
    report.again("Set aside the rules", shows="new.yaml.broken")
    report.again("Set aside the rules", undo=True)
    assert watched.exists("/etc/falco/rules.d/new.yaml")


def test_a_weight_that_was_set_since_stays(watched: Host, tell: Tell) -> None:
    report = tell({"falco.version": "0.43.0"}, rule=FIGURES, host=watched)
    report.again("Give Falco's service", shows="CPUWeight=1000")
    watched.run("systemctl set-property --runtime falco CPUWeight=300")
    report.again("Give Falco's service", undo=True)
    assert weight(watched) == "300", "what an administrator chose was written over"
    report.again("Give Falco's service", shows="CPUWeight=1000")
    report.again("Give Falco's service", undo=True)
    assert weight(watched) == "300"


def test_falco_runs_from_a_container(watched: Host, tell: Tell) -> None:
    """Without its program nobody can tell which file is broken: none is taken away."""
    time.sleep(1.1)
    watched.write("/etc/falco/rules.d/new.yaml", "- rule: Broken\n")
    before = watched.snapshot("/etc/falco")
    watched.run("systemctl stop falco; rm /usr/bin/falco")
    report = tell({}, rule=REFUSED, host=watched)
    report.again("Set aside the rules", shows="nothing set aside")
    assert watched.snapshot("/etc/falco") == before


def test_a_capture_ended_early(watched: Host, tell: Tell) -> None:
    watched.write("/tmp/falco_1.scap", b"capture", 0o600)
    watched.write("/tmp/systemd-private-falco/tmp/falco_2.scap", b"second", 0o600)
    report = tell({"max_file_size_mb": 1}, rule=CAPTURE, host=watched)
    kept = f"/root/evidence/{report.uid}/tmp"
    with report:
        report.keep("Find the captures", keeps=lambda _: watched.snapshot(kept), shows=["falco_1.scap", "falco_2.scap"])
        assert watched.read(f"{kept}/falco_1.scap") == "capture"
        blind_log(report, watched)
        report.look("Is Falco short of CPU", shows="nr_throttled 0")
        watched.write("/tmp/falco_1.scap", b"overwritten")
        report.again("Find the captures")
        assert watched.read(f"{kept}/falco_1.scap") == "capture", "a later run wrote over what was kept"
        watched.run("rm -r /tmp/falco_1.scap /tmp/systemd-private-falco")
        report.again("Find the captures", hides="scap")


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_hostile_names_of_captures(watched: Host, tell: Tell, word: str) -> None:
    """Anyone may put a file into /tmp."""
    name = word.replace("/", "_")
    watched.write(f"/tmp/{name}.scap", b"mine")
    report = tell({}, rule=CAPTURE, host=watched)
    report.everything()
    assert watched.read(f"/root/evidence/{report.uid}/tmp/{name}.scap") == "mine"
    assert not watched.exists("/root/owned")
    assert not watched.exists("/owned")


def on(host: Host) -> str:
    """The rules that the Falco which runs now says it has."""
    said: list[str] = []

    def tells() -> bool:
        said[:] = host.run(f"journalctl --sync; journalctl _PID={falco(host)} -o cat --no-pager").splitlines()
        return any(line.startswith("Rules that are on: ") for line in said)

    host.wait_until(tells, "Falco says which rules are on", 60)
    return said[-1].rpartition("Rules that are on: ")[2]


def test_a_rule_that_matches_everything_is_switched_off(aws: Aws, watched: Host, tell: Tell) -> None:
    event = aws.record("GetUser", "iam.amazonaws.com", identity=MALLORY)
    fields: dict[str, Any] = {"ct.id": event["eventID"]}
    with tell(fields, rule=EVERY_CALL, host=watched, cloud=aws.laptop) as report:
        report.look("Which event was it", shows=["GetUser", "mallory"], seconds=400)
        report.unproven("Deny everything to the caller", "told of the same caller in aws_cloudtrail/test_callers.py")
        report.look("What switched it on", shows=["/etc/falco/rules.d/own.yaml", "/usr/bin/falco"])
        state = lambda: on(watched)  # noqa: E731
        report.contain("Switch the rule off", state=state, becomes="Other", shows="active", seconds=60)
        report.undo(state=state, becomes="All Cloudtrail Events, Other", seconds=60)
        watched.run("rm -r /etc/falco/config.d")
        report.again("Switch the rule off", shows="no Falco with config.d here")


def test_the_macro_of_all_audit_events_was_overridden(watched: Host, tell: Tell) -> None:
    """Its steps but this one are told of a cluster."""
    watched.write("/etc/falco/rules.d/all.yaml", "- macro: consider_all_events\n  condition: (evt.num>=0)\n")
    report = tell({"ka.user.name": "alice"}, rule=EVERY_REQUEST, host=watched)
    report.look("What switched it on", shows=["rules.d/all.yaml:1:- macro: consider_all_events", "/usr/bin/falco"])
    watched.run("systemctl stop falco; rm /etc/falco/rules.d/*.yaml")
    report.again("What switched it on", hides=["consider_all_events", "/usr/bin/falco"])


def test_a_test_alert(host: Host, tell: Tell) -> None:
    shutil.copy2(host.path("/bin/nc.traditional"), host.path("/usr/local/bin/falco-report-exporter"))
    receiver = host.start("falco-report-exporter", "-l", "-s", "127.0.0.1", "-p", "2801")
    other = host.start("nc.traditional", "-l", "-p", "2802")
    host.wait_until(lambda: host.run("ss -Hltn").count(":280") == 2, "both listen")
    with tell({}, rule=TRIED, host=host) as report:
        report.look("Who can post alerts", shows=["127.0.0.1:2801", f"pid={receiver}"], hides=f"pid={other}")
        host.run(f"kill {receiver}")
        host.wait_until(lambda: not host.alive(receiver), "the receiver has ended")
        report.again("Who can post alerts", hides="280")


@pytest.mark.parametrize("rule", [FIGURES, SILENCE])
def test_somebodys_program_is_called_falco(watched: Host, tell: Tell, rule: str) -> None:
    """It runs for longer than Falco does."""
    watched.run("systemctl stop falco; cp /usr/bin/sleep /tmp/falco")
    other = watched.start("/tmp/falco", "4321", user="www-data")
    watched.run("sleep 1.1; systemctl start falco")
    watched.wait_until(
        lambda: "prog_id" in watched.run("cat /proc/$(pgrep -xn falco)/fdinfo/* || :"), "Falco has attached"
    )
    report = tell({"falco.version": "0.43.0"} if rule == FIGURES else {}, rule=rule, host=watched)
    if rule == FIGURES:
        report.again("Give Falco's service", shows="CPUWeight=1000")
        assert weight(watched) == "1000"
    else:
        report.again("Is anything of Falco attached", shows="/usr/bin/falco", hides="4321")
        report.again("Keep its state", shows="1")
    assert watched.alive(other), "another program was ended"
