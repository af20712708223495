"""Files that hold secrets are read, or searched for: on a host, and in a container."""

from __future__ import annotations

import pytest

from tests.lab.hostile import WORDS
from tests.lab.places.node import Node
from tests.lab.places.spot import Spot
from tests.lab.story import Story, Tell

TRAVERSAL = "Directory traversal monitored file read"
TRUSTED = "Read sensitive file trusted after startup"
UNTRUSTED = "Read sensitive file untrusted"
KEYS = "Search Private Keys or Passwords"
AWS = "Find AWS Credentials"
RULES = (TRAVERSAL, TRUSTED, UNTRUSTED, KEYS, AWS)

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
SHADOW = "root:*:1::::::\nalice:$y$j9T$abc$def:20000:0:99999:7:::\n"


def reader_of(spot: Spot) -> int:
    """Start a program that has the password hashes open."""
    spot.write("/etc/shadow", SHADOW, 0o640)
    spot.write("/srv/www/index.html")
    return spot.start("tail", "-f", "/srv/www/../../etc/shadow")


def test_a_path_climbs_to_the_hashes(spot: Spot, tell: Tell) -> None:
    spot.write("/var/log/nginx/access.log", "203.0.113.9 GET /../../etc/shadow 200\n")
    pid = reader_of(spot)
    fields = spot.fields(pid, fd__name="/etc/shadow", fd__nameraw="/srv/www/../../etc/shadow")

    with tell(fields, rule=TRAVERSAL, host=spot.place) as report:
        report.look("Could this user read the file?", shows=["-rw-r----- root", "etc", "shadow"])
        report.look(
            spot.says(host="Which request asked for it?", container="Which request came just before?"),
            shows="GET /../../etc/shadow 200",
        )
        report.look(shows="tail -f")
        freeze(spot, report, pid)
        spot.path("/etc/shadow").unlink()
        report.again("Could this user read the file?", shows="No such file")
        spot.place.run(f"kill -KILL {pid}")
        report.again("Freeze the process", hides=" T ")


def freeze(spot: Spot, report: Story, pid: int) -> None:
    """The alert's process stands still and is kept, nothing else is; then it goes on."""
    place = spot.place
    bystander = spot.start("tail", "-f", "/etc/passwd")
    report.contain("freeze", state=lambda: place.state(pid), becomes="T", shows=f"{pid} T")
    assert place.state(bystander) == "S", "a bystander was stopped"
    kept = spot.evidence / report.uid
    assert (kept / f"{pid}.exe").read_bytes() == spot.path(
        "/bin/busybox" if spot.container else "/bin/tail"
    ).read_bytes()
    assert (kept / f"{pid}.environ").exists()
    assert (kept / f"{pid}.maps").exists()
    report.undo(state=lambda: place.state(pid), becomes="S")


def test_a_server_reads_the_hashes(spot: Spot, tell: Tell) -> None:
    pid = reader_of(spot)
    with tell(spot.fields(pid, fd__name="/etc/shadow"), rule=TRUSTED, host=spot.place) as report:
        report.look("Which accounts does it expose?", shows=["alice $y$", "Access: "], hides="root *")
        report.look("Which request came just before?", status=0)
        freeze(spot, report, pid)
        report.look(shows="tail -f")


def test_a_program_reads_the_hashes(spot: Spot, tell: Tell) -> None:
    pid = reader_of(spot)
    place = spot.place
    with tell(spot.fields(pid, fd__name="/etc/shadow"), rule=UNTRUSTED, host=place) as report:
        report.look("Which accounts are exposed?", shows="alice $y$")
        report.look(spot.says(host="What started it?", container="What else runs there?"))
        freeze(spot, report, pid)
        place.run(f"kill -KILL {pid}")
        report.again("Freeze the process", undo=True)


def test_a_program_that_has_ended_already(node: Node, tell: Tell) -> None:
    """Nobody can freeze a `cat`: the container that ran it is frozen whole."""
    spot = Spot(node, node.start_container())
    fields = spot.fields(spot.start("tail", "-f", "/dev/null"), fd__name="/etc/shadow")
    fields |= {"proc.cmdline": "cat /etc/shadow", "proc.name": "cat"}
    report = tell(fields, rule=UNTRUSTED, host=spot.place)
    report.looks(seconds=60)
    cut(spot, report, 0)


def test_a_search_for_keys(spot: Spot, tell: Tell) -> None:
    spot.write("/home/alice/.ssh/id_ed25519", KEY, 0o600)
    spot.write("/home/alice/.ssh/id_ed25519.pub", "ssh-ed25519 AAAA alice\n")
    pid = spot.start("tail", "-f", "/dev/null", "/home/alice/.ssh/id_ed25519")
    with tell(spot.fields(pid), rule=KEYS, host=spot.place) as report:
        report.look("Which keys were in reach?", shows=["-rw------- ", "home/alice/.ssh/id_ed25519\n"], hides=".pub")
        report.look(shows="tail -f")
        cut(spot, report, pid)


def test_a_search_for_aws_keys(spot: Spot, tell: Tell) -> None:
    spot.write("/home/alice/.aws/credentials", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n", 0o600)
    pid = spot.start("env", "AWS_ACCESS_KEY_ID=ASIAIOSFODNN7EXAMPL2", "tail", "-f", "/home/alice/.aws/credentials")
    with tell(spot.fields(pid), rule=AWS, host=spot.place) as report:
        shown = "/home/alice/.aws/credentials:AKIAIOSFODNN7EXAMPLE"
        report.look("Which AWS keys were in reach?", shows=[shown.lstrip("/") if spot.container else shown])
        report.look(shows="tail -f")
        cut(spot, report, pid)


def cut(spot: Spot, report: Story, pid: int) -> None:
    """The container is frozen whole; on a host without a login, the process is."""
    if spot.container is None:
        freeze(spot, report, pid)
        return
    group = spot.place.run(f"sed -n 's/^0:://p' /proc/{spot.container.pid}/cgroup").strip()

    def frozen() -> bool:
        return "frozen 1" in spot.place.read(f"/sys/fs/cgroup/unified{group}/cgroup.events")

    report.contain("freeze the container", state=frozen, becomes=True, shows="frozen 1")
    report.undo(state=frozen, becomes=False)


@pytest.mark.parametrize("rule", RULES)
def test_a_hostile_command_line(spot: Spot, tell: Tell, rule: str) -> None:
    word = " ".join(WORDS.values())
    pid = spot.start("tail", "-f", "/dev/null", word)
    hostile = spot.fields(pid, fd__name=f"/tmp/{word}", fd__nameraw=f"/../{word}", proc__pname=word[:15])
    with tell(hostile, rule=rule, host=spot.place) as report:
        report.everything()
    assert not spot.place.exists("/root/owned")
    assert not spot.place.exists("/owned")
    spot.place.run(f"kill -KILL {pid}")
