"""GitHub: a stolen account opens, closes, empties and misuses a repository, told once for every rule that sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lab.places.host import Host
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.github.shop import OLD, WORKFLOW, Shop, leak, now, push
from tests.lab.story import Story, Tell

FIELDS = {
    "github.user": "mallory",
    "github.repo.name": "shop/web",
    "github.repo.url": "https://github.com/shop/web",
    "github.org": "shop",
    "github.owner": "shop",
    "github.collaborator.name": "peer",
    "github.collaborator.role": "write",
    "github.workflow.filename": WORKFLOW,
    "github.webhook.id": "77",
    "github.webhook.type": "Repository",
}
OPENED = "Private Repository Becoming Public"
CLOSED = "Public Repository Becoming Private"
LEAKED = "Secret pushed into a public repository"
LEAKED_INSIDE = "Secret pushed into a private repository"
BORN = "Create Public Repository"
TOKEN = "ghp_" + 36 * "a"
NEW = "Create Repository"
DELETED = ("Delete Public Repository", "Delete Repository")
KEY = "Delete Deploy Key"
ADDED = "Add Collaborator to Repository"
REMOVED = "Remove Collaborator from Repository"
MINER = "Github action with miners"
CONNECTED = "Webhook Connected"
DISCONNECTED = "Webhook Disconnected"
RULES = (
    OPENED,
    CLOSED,
    LEAKED,
    LEAKED_INSIDE,
    BORN,
    NEW,
    *DELETED,
    KEY,
    ADDED,
    REMOVED,
    MINER,
    CONNECTED,
    DISCONNECTED,
)
ACTOR = {"title": "What else did this account do", "shows": ["git.clone", "203.0.113.45"]}


def begin(tell: Tell, github: Vendor, rule: str, **places: Any) -> Story:
    return tell(FIELDS, rule=rule, cloud=github.laptop, **places)


def put_out(report: Story, shop: Shop) -> None:
    report.contain("Remove the account", state=lambda: shop.member, becomes=None, shows="404")


def test_a_repository_is_opened(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    with begin(tell, github, OPENED) as report:
        report.look(**ACTOR)
        report.contain("Close the repository", state=lambda: shop.is_public, becomes=False, shows=["private", "x/web"])
        put_out(report, shop)
        report.undo(state=lambda: (shop.is_public, shop.member), becomes=(True, "member"))


def test_a_secret_is_pushed_where_everybody_reads(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.pushes.append(push())
    with begin(tell, github, LEAKED) as report:
        report.look("Is the key alive", shows=["aws_key", "active", "refs/heads/main", "public"])
        report.contain("Close the repository", state=lambda: shop.is_public, becomes=False, shows="private")
        report.look(**ACTOR)
        report.undo(state=lambda: shop.is_public, becomes=True)


def test_a_secret_is_pushed_inside(github: Vendor, tell: Tell) -> None:
    shop = Shop(github, visibility="private")
    shop.leaks += [leak("github_personal_access_token", TOKEN), leak("github_personal_access_token", "ghp_old", OLD)]
    with begin(tell, github, LEAKED_INSIDE) as report:
        report.look("Is the key alive", shows=["aws_key", "private"])
        report.look("Who cloned", shows=["git/2.50", "203.0.113.45"])
        revoked = lambda: shop.revoked  # noqa: E731
        report.contain("Revoke the GitHub tokens", state=revoked, becomes=[TOKEN], shows=["aws_key", "202"])
        shop.gone = True
        report.again("Revoke the GitHub tokens", shows="404")


@pytest.mark.parametrize("kept", ["aws_key", "nothing"])
def test_another_issuers_key_is_not_given_to_github(github: Vendor, tell: Tell, kept: str) -> None:
    shop = Shop(github, visibility="private")
    shop.leaks = [leak(kept, "x'; touch owned; ghp_no")] if kept == "aws_key" else []
    report = begin(tell, github, LEAKED_INSIDE)
    report.again("Revoke the GitHub tokens", shows="revoke at the issuer")
    assert not shop.revoked


def test_a_repository_is_closed(github: Vendor, tell: Tell) -> None:
    shop = Shop(github, created=OLD, visibility="private")
    with begin(tell, github, CLOSED) as report:
        report.look("Who is left", shows=["mallory", "admin", "peer"])
        report.look(**ACTOR)
        report.recover("Open it again", state=lambda: shop.is_public, becomes=True, shows="public")
        report.undo(state=lambda: shop.is_public, becomes=False)


def test_it_stays_closed_where_something_was_pushed(github: Vendor, tell: Tell) -> None:
    shop = Shop(github, created=OLD, visibility="private")
    shop.pushes.append(push())
    report = begin(tell, github, CLOSED)
    report.again("Open it again", shows="read what was pushed first")
    assert not shop.is_public
    report.again("Open it again", undo=True, shows="nothing was changed")
    assert not shop.is_public


def test_a_report_that_is_read_days_later(github: Vendor, tell: Tell) -> None:
    """What was pushed two days ago, after an alert of three days ago, counts too."""
    shop = Shop(github, created=OLD, visibility="private")
    today = datetime.now(UTC)
    shop.pushes.append(push(f"{today - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"))
    moment = int((today - timedelta(days=3)).timestamp()) * 1_000_000_000
    report = tell(FIELDS, rule=CLOSED, cloud=github.laptop, time_ns=moment)
    report.again("Open it again", shows="read what was pushed first")
    assert not shop.is_public


def test_what_the_enterprise_may_read_is_not_made_private(github: Vendor, tell: Tell) -> None:
    """The undo could not make it internal again."""
    shop = Shop(github, visibility="internal")
    report = begin(tell, github, OPENED)
    report.again("Close the repository", shows="false")
    assert shop.repository["visibility"] == "internal"
    report.again("Close the repository", undo=True)
    assert shop.repository["visibility"] == "internal"


def test_a_public_repository_is_born(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    with begin(tell, github, BORN) as report:
        report.keep("Keep a copy", keeps=lambda _: packed(github), shows=["results.b64", "eve@evil.example"])
        report.look(**ACTOR)
        report.contain("Close it to the public", state=lambda: shop.is_public, becomes=False, shows="private")
        report.undo(state=lambda: shop.is_public, becomes=True)


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_an_old_repository_is_left_as_it_is(github: Vendor, tell: Tell, visibility: str) -> None:
    shop = Shop(github, created=OLD, visibility=visibility)
    report = begin(tell, github, BORN)
    report.again("Close it to the public", shows="made at another time")
    assert shop.repository["visibility"] == visibility
    report.again("Close it to the public", undo=True)
    assert shop.repository["visibility"] == visibility


def test_a_repository_is_made(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    with begin(tell, github, NEW) as report:
        report.keep("Keep a copy", keeps=lambda _: packed(github), shows="results.b64")
        report.look(**ACTOR)
        report.contain("Stop its workflows", state=lambda: shop.actions["enabled"], becomes=False, shows="false")
        report.undo(state=lambda: shop.actions, becomes={"enabled": True, "allowed_actions": "all"})


def packed(github: Vendor) -> bytes | None:
    """The copy of the repository's files on the laptop."""
    kept = [content for name, content in github.laptop.files().items() if name.endswith("repo.tar.gz")]
    return kept[0] if kept else None


@pytest.mark.parametrize("rule", DELETED)
def test_a_repository_is_deleted(github: Vendor, tell: Tell, rule: str) -> None:
    shop = Shop(github)
    shop.gone = True
    with begin(tell, github, rule) as report:
        report.look("What is left", shows=["404", "x/web"])
        report.look(**ACTOR)
        put_out(report, shop)
        report.undo(state=lambda: shop.member, becomes="member")


def test_a_key_is_deleted(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.pushes.append(push())
    with begin(tell, github, KEY) as report:
        report.look("Which keys", shows=["force_push", "mallory"])
        report.look(**ACTOR)
        put_out(report, shop)
        report.undo(state=lambda: shop.member, becomes="member")


def test_a_collaborator_is_added(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    with begin(tell, github, ADDED) as report:
        report.keep("Whose account is it", keeps=lambda _: saved(github, "role.json"), shows=["write", now()[:11]])
        report.look(**ACTOR)
        report.contain("Remove this", state=lambda: dict(shop.people), becomes={"mallory": "admin"}, shows="mallory")
        report.undo(state=lambda: shop.people | shop.invited, becomes={"mallory": "admin", "peer": "write"})


def test_nobody_is_removed_whose_role_is_unknown(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    shop.gone = True
    report = begin(tell, github, ADDED)
    report.again("Whose account is it", shows="404")
    report.again("Remove this", shows="404")
    assert saved(github, "role.json") is None
    shop.gone = False
    report.again("Remove this", undo=True, shows="nothing was changed")
    assert (shop.people["peer"], shop.invited) == ("write", {})


def saved(github: Vendor, name: str) -> bytes | None:
    """What a step kept on the laptop under this name."""
    return next((kept for path, kept in github.laptop.files().items() if path.endswith(f"/{name}")), None)


def test_a_collaborator_is_removed(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    del shop.people["peer"]
    with begin(tell, github, REMOVED) as report:
        report.look("Who is left", shows=["mallory", "admin"], hides="peer")
        report.look(**ACTOR)
        put_out(report, shop)
        report.recover("Invite the removed", state=lambda: dict(shop.invited), becomes={"peer": "read"}, shows="peer")
        report.undo(state=lambda: shop.member, becomes="member")


def test_a_workflow_mines(github: Vendor, tell: Tell) -> None:
    shop = Shop(github)
    state = lambda: (shop.workflow, set(shop.runs.values()))  # noqa: E731
    with begin(tell, github, MINER) as report:
        report.look("What does the workflow", shows=["stratum+tcp", "mallory", "in_progress"])
        report.contain("Switch the workflow off", state=state, becomes=("disabled_manually", {"completed"}))
        for number in (8, 9):
            assert saved(github, f"run-{number}.zip") == b"PK log of %d" % number
        report.look(**ACTOR)
        report.undo(state=lambda: shop.workflow, becomes="active")


def test_a_hook_is_connected(github: Vendor, tell: Tell, booted_host: Host) -> None:
    Shop(github)
    # It lives until its line is in the journal: of a process that has ended the journal does not know the name.
    booted_host.run(
        """cp /usr/bin/logger /usr/local/bin/falco
        { echo "Opening 'syscall' source with modern BPF probe."
          until journalctl _COMM=falco | grep -q Opening; do sleep 0.1; done; } | falco"""
    )
    with begin(tell, github, CONNECTED, host=booted_host) as report:
        report.look("Which repository", shows=["shop/web", "https://falco.example.net"], hides=["770", "else/where"])
        report.look("Did Falco start", shows="Opening 'syscall' source")


def test_falco_makes_its_hooks_anew(github: Vendor, tell: Tell, booted_host: Host) -> None:
    shop = Shop(github)
    booted_host.run("cp /usr/bin/logger /usr/local/bin/falco; falco before")
    booted_host.write("/etc/systemd/system/falco.service", "[Service]\nExecStart=/usr/bin/sleep 3600\n")
    booted_host.run("systemctl daemon-reload")
    state = lambda: booted_host.run("systemctl is-active falco || true").strip()  # noqa: E731
    with begin(tell, github, DISCONNECTED, host=booted_host) as report:
        report.look(**ACTOR)
        report.recover("Let Falco make its hooks anew", state=state, becomes="active", shows="active")
        put_out(report, shop)
        report.undo(state=lambda: shop.member, becomes="member")


@pytest.mark.parametrize("rule", [OPENED, LEAKED_INSIDE, BORN, NEW, ADDED, REMOVED, MINER])
def test_github_refuses(github: Vendor, tell: Tell, rule: str) -> None:
    shop = Shop(github)
    shop.refuses = True
    shop.leaks = [leak("github_personal_access_token", TOKEN)]
    with begin(tell, github, rule) as report:
        answers = report.everything()
    assert any("403" in answer.text for answer in answers), "a refusal is not seen"
    assert (shop.is_public, shop.repository["archived"], shop.member, shop.workflow) == (
        True,
        False,
        "member",
        "active",
    )
    assert shop.people == {"mallory": "admin", "peer": "write"}
    assert not shop.revoked
