"""General advice, composed from an alert's own facts."""

from __future__ import annotations

import pytest
import yaml

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.compose import KEPT_COMPOSITIONS, techniques_in, traits_of
from exporter.prose import to_plain
from exporter.report import Report, make_report

CONTAINER = {"container.id": "3fa1b2c4d5e6", "container.name": "web", "k8s.pod.name": "web-1", "k8s.ns.name": "shop"}


def alert(fields: dict[str, str], *, tags: tuple[str, ...] = (), source: str = "syscall", rule: str = "Ours") -> Alert:
    return Alert(1_728_152_979_273_467_556, rule, Priority.WARNING, source, "node-1", "text", fields, tags)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def report(catalog: Catalog, subject: Alert) -> Report:
    return make_report(subject, catalog.advice_for(subject), "")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("anything",)),
        ({"fd.name": "/etc/passwd", "proc.name": "vi"}, ("file", "process", "anything")),
        ({"evt.arg.filename": "/tmp/x", "proc.name": "chmod"}, ("file", "process", "anything")),
        ({"fd.name": "10.0.0.1:5->192.0.2.1:443", "proc.name": "nc"}, ("connection", "process", "anything")),
        ({"fd.name": "0.0.0.0:4444", "fd.type": "ipv4", "evt.type": "listen"}, ("listener", "anything")),
        (CONTAINER | {"proc.cmdline": "sh"}, ("container", "process", "anything")),
        ({"container.id": "host", "proc.name": "sh"}, ("process", "anything")),
        ({"ka.user.name": "alice", "ka.verb": "get"}, ("k8s_audit", "anything")),
        ({"ct.user": "alice"}, ("aws_cloudtrail", "anything")),
        ({"gcp.user": "alice"}, ("gcp_auditlog", "anything")),
        ({"okta.actor.name": "alice"}, ("okta", "anything")),
        ({"github.user": "alice"}, ("github", "anything")),
    ],
)
def test_traits_come_from_fields(fields: dict[str, str], expected: tuple[str, ...]) -> None:
    """What an alert is about shows in its fields alone; `host` is no container."""
    assert traits_of(alert(fields)) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["T1070", "mitre_defense_evasion"], (("T1070", "TA0005"),)),
        (["T1562-impair-defenses", "TA0005-defense-evasion"], (("T1685", "TA0112"),)),
        (["mitre_persistence", "T1543"], (("T1543", "TA0003"),)),
        (["T1053.003", "T1053.003"], (("T1053.003", "TA0002"),)),
        (["T9999", "container", "NIST_800-53_AC-6"], ()),
    ],
)
def test_techniques_come_from_tags(tags: list[str], expected: tuple[tuple[str, str], ...]) -> None:
    """Tags in each of Falco's notations give current ids, with the tactic that the tags name where it fits."""
    assert techniques_in(tags) == expected


def test_says_that_it_is_general(catalog: Catalog) -> None:
    """The report is marked as composed, and speaks of the alert's own values."""
    made = report(catalog, alert({"proc.name": "nc", "fd.name": "/etc/shadow"}))
    assert made.advice.composed
    assert "/etc/shadow" in to_plain(made.advice.summary)


def test_fd_type_decides_what_an_alert_is_about(catalog: Catalog) -> None:
    """A unix socket is no connection to an address, and a path in its name is no file to look at."""
    socket = {"fd.name": "ffff9c0a->ffff9c0b /run/docker.sock", "fd.type": "unix", "proc.name": "x"}
    assert traits_of(alert(socket)) == ("process", "anything")
    assert traits_of(alert(socket | {"fd.name": "/run/docker.sock"})) == ("process", "anything")
    made = report(catalog, alert(CONTAINER | socket)).advice
    assert not any("saddr" in command.run or "ss -tunap" in command.run for command in made.commands[:2])
    assert ("Unix socket", socket["fd.name"]) in report(catalog, alert(socket)).details


@pytest.mark.parametrize("fields", [{}, {"proc.name": "<NA>", "user.name": "", "fd.name": "<NA>", "user.uid": "-1"}])
def test_a_composed_report_shows_no_hole(catalog: Catalog, fields: dict[str, str]) -> None:
    """Whatever is absent, no sentence names a field or a hole."""
    made = report(catalog, alert(fields)).advice
    for prose in (made.what, made.summary, made.close_if, made.escalate_if):
        assert "(no " not in to_plain(prose)
        assert "<NA>" not in to_plain(prose)
        assert "  " not in to_plain(prose)


def test_what_is_contained_is_verified(catalog: Catalog) -> None:
    """Each containment shows at its end whether it held, or brings the step that does."""
    fields = {"proc.name": "nc", "proc.cmdline": "nc -l", "proc.exepath": "/usr/bin/nc", "fd.name": "/tmp/x"}
    for each in (fields, fields | CONTAINER, {"ka.user.name": "a", "ka.verb": "get"}):
        commands = report(catalog, alert(each)).advice.commands
        contains = [index for index, command in enumerate(commands) if command.phase == "contain"]
        assert contains
        for index in contains:
            assert commands[index].shows or commands[index + 1].phase == "verify"


RAN = {"proc.name": "app", "proc.cmdline": "app --serve", "proc.exepath": "/usr/bin/app", "container.id": "host"}
ENDED = {"proc.name": "cat", "proc.cmdline": "cat x", "proc.exepath": "/usr/bin/cat", "container.id": "host"}


def titles(catalog: Catalog, fields: dict[str, str], phase: str = "contain", **more: str) -> list[str]:
    """The titles of a phase's steps, in their order."""
    made = report(catalog, alert(fields | {name.replace("__", "."): value for name, value in more.items()}))
    found = [to_plain(command.title) for command in made.advice.commands if command.phase == phase]
    return [title.removeprefix("If escalated: ") for title in found]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/etc/sudoers", "/etc/ssh/sshd_config", "/var/lib/app/customers.db", "/var/log/auth.log",
        "/run/secrets/kubernetes.io/serviceaccount/token", "/usr/bin/env", "/srv/data",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", [{"container.id": "host"}, CONTAINER])
def test_what_a_system_needs_is_not_moved_away(catalog: Catalog, path: str, where: dict[str, str]) -> None:
    """A rule may have seen the file read; who acted is stopped, and the file stays."""
    found = titles(catalog, RAN | where | {"fd.name": path})
    assert found
    assert not any("away" in title for title in found)


@pytest.mark.parametrize(
    "path",
    ["/etc/ld.so.preload", "/etc/cron.d/x", "/etc/systemd/system/x.service", "/tmp/.x/a", "/root/.ssh/authorized_keys"],
)
def test_what_acts_by_itself_is_moved_away_after_its_writer_was_stopped(catalog: Catalog, path: str) -> None:
    """First who wrote it, or it comes back."""
    found = titles(catalog, RAN | {"fd.name": path})
    assert [("Freeze" in title, "away" in title) for title in found] == [(True, False), (False, True)]


def test_the_host_is_cut_off_last(catalog: Catalog) -> None:
    """Where the writer has ended and is nobody's login, the file goes first: the smallest cut."""
    found = titles(catalog, ENDED | {"fd.name": "/etc/cron.d/x", "evt.type": "openat"})
    assert ["away" in found[0], "Isolate this host" in found[1], len(found)] == [True, True, 2]


def test_what_has_ended_is_not_frozen(catalog: Catalog) -> None:
    """Behind a command that is over, the login is cut, the pod isolated, or the host."""
    assert titles(catalog, ENDED, user__loginuid="1000") == ["Lock the account and end its sessions."]
    assert titles(catalog, ENDED) == ["Isolate this host, except for your own SSH session."]
    assert titles(catalog, ENDED | CONTAINER) == ["Isolate the pod."]
    assert "What was changed on the host since?" in titles(catalog, ENDED, "look")


def test_there_is_a_containment_for_every_system_call(catalog: Catalog) -> None:
    """However few fields the rule prints."""
    for fields in ({"proc.cmdline": "x"}, {"container.id": "3fa1b2c4d5e6"}, {"fd.name": "/etc/x"}, {"proc.name": "x"}):
        assert titles(catalog, fields)


def test_who_connects_is_cut_not_the_host_itself(catalog: Catalog) -> None:
    """The peer of an accepted connection is the client; the server goes on. Loopback and metadata are not cut."""
    inbound = RAN | {"fd.name": "198.51.100.23:51234->10.0.0.4:22", "fd.sip": "10.0.0.4", "evt.type": "accept4"}
    assert titles(catalog, inbound) == ["Drop all packets from and to 198.51.100.23."]
    outbound = RAN | {"fd.name": "10.0.0.4:51234->198.51.100.23:443", "fd.sip": "198.51.100.23", "evt.type": "connect"}
    assert titles(catalog, outbound)[1:] == ["Drop all packets from and to 198.51.100.23."]
    for address in ("127.0.0.1", "169.254.169.254"):
        assert not any(address in each for each in titles(catalog, outbound, fd__name=f"10.0.0.4:5->{address}:80"))


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("create", "Delete what was created then."),
        ("delete", "Restore it, if its deletion was wrong."),
        ("patch", "Put it back as before."),
    ],
)
def test_a_request_is_undone_after_its_caller_was_stopped(catalog: Catalog, verb: str, expected: str) -> None:
    """The steps follow the verb."""
    fields = {"ka.user.name": "alice", "ka.verb": verb, "ka.target.resource": "configmaps", "ka.target.name": "x"}
    assert titles(catalog, fields)[1:] == [expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"ct.user.arn": "arn:aws:iam::1:root", "ct.user": "root"},
            "Deny everything to root, from the management account.",
        ),
        ({"ct.user.arn": "arn:aws:sts::1:assumed-role/app/i-0a", "ct.user": "i-0a"}, "Deny everything to the caller."),
    ],
)
def test_the_caller_in_aws_is_cut_by_its_kind(catalog: Catalog, fields: dict[str, str], expected: str) -> None:
    """Root and roles have no access keys of a user."""
    whole = fields | {"ct.name": "StopLogging", "ct.region": "eu-west-1", "ct.srcip": "192.0.2.1"}
    assert titles(catalog, whole) == [expected]
    assert not any("access keys" in each for each in titles(catalog, fields))


def test_an_unknown_plugin_tells_its_own_fields(catalog: Catalog) -> None:
    """The summary has them with their values; no step looks for it on the host that Falco ran on."""
    subject = alert({"keycloak.user.name": "admin", "keycloak.ip": "192.0.2.7"}, source="keycloak")
    made = report(catalog, subject).advice
    assert "keycloak.user.name admin, keycloak.ip 192.0.2.7" in to_plain(made.summary)
    assert not any("sudo" in command.run for command in made.commands)
    other = alert({"keycloak.error": "x"}, source="keycloak")
    assert "keycloak.error x" in to_plain(report(catalog, other).advice.summary)


@pytest.mark.parametrize(
    "fields",
    [
        {"proc.name": "nc", "proc.cmdline": "nc -l", "fd.name": "/etc/shadow"},
        {"proc.name": "nc", "fd.name": "10.0.0.1:5->192.0.2.1:443"},
        CONTAINER | {"proc.name": "sh", "proc.cmdline": "sh -c id", "fd.name": "/etc/shadow"},
        {"ka.user.name": "alice", "ka.target.namespace": "shop", "ka.target.resource": "pods"},
        {"ct.user": "alice", "ct.region": "eu-central-1", "ct.srcip": "192.0.2.1"},
        {"gcp.user": "a@example.net", "gcp.projectId": "p", "gcp.methodName": "x"},
        {"okta.actor.name": "alice", "okta.client.ip": "192.0.2.1"},
        {"github.user": "alice", "github.org": "o", "github.repo.name": "r"},
        {},
    ],
)
def test_every_kind_of_alert_gets_whole_advice(catalog: Catalog, fields: dict[str, str]) -> None:
    """Each has a summary without gaps, an impact, an benign explanation, something to look at and a reference."""
    made = report(catalog, alert(fields, source="ours"))
    assert "(no " not in to_plain(made.advice.summary)
    assert to_plain(made.advice.impact)
    assert made.advice.benign
    assert made.advice.references
    assert any(command.phase == "look" for command in made.advice.commands)
    assert len(made.advice.commands) <= 6


def test_container_steps_only_for_containers(catalog: Catalog) -> None:
    """A host's alert has no container step and the other way round."""
    on_host = report(catalog, alert({"proc.name": "nc", "proc.pname": "sh"}))
    inside = report(catalog, alert(CONTAINER | {"proc.name": "nc", "proc.cmdline": "nc -l"}))
    assert not any("crictl" in command.run for command in on_host.advice.commands)
    assert any("crictl" in command.run for command in inside.advice.commands)
    assert any("--forest" in command.run for command in on_host.advice.commands)


def test_the_impact_is_that_of_the_tactic(catalog: Catalog) -> None:
    """Tags decide what it may mean."""
    stolen = report(catalog, alert({"proc.name": "cat"}, tags=("mitre_credential_access", "T1552")))
    assert "taken as known" in to_plain(stolen.advice.impact)
    assert "name no ATT&CK tactic" in to_plain(report(catalog, alert({"proc.name": "cat"})).advice.impact)


def test_tuning_is_for_this_case(catalog: Catalog) -> None:
    """The exception names the rule and every value of the alert that tells this case from others, quoted."""
    fields = {"proc.cmdline": 'n"c -l', "proc.name": "nc", "fd.name": "/etc/shadow", "container.id": "host"}
    (change,) = report(catalog, alert(fields, rule="Our rule")).advice.tuning
    (item,) = yaml.safe_load(change.content)
    (exception,) = item["exceptions"]
    assert item["rule"] == "Our rule"
    assert exception["fields"] == ["proc.cmdline", "fd.name", "container.id"]
    assert exception["values"] == [['"n\\"c -l"', '"/etc/shadow"', '"host"']]


def test_tuning_names_verb_and_object(catalog: Catalog) -> None:
    """For an API request it compares what was done to what, not only by whom."""
    fields = {"ka.user.name": "a", "ka.verb": "get", "ka.target.resource": "pods", "ka.target.namespace": "shop"}
    (change,) = report(catalog, alert(fields, source="k8s_audit")).advice.tuning
    ((_, rules),) = yaml.safe_load(change.content)["customRules"].items()
    (item,) = yaml.safe_load(rules)
    assert item["exceptions"][0]["fields"] == list(fields)


def test_tuning_names_a_clouds_call_and_where_it_was_made(catalog: Catalog) -> None:
    """Person and address alone would except whatever that person does from there."""
    fields = {
        "ct.name": "AuthorizeSecurityGroupIngress", "ct.region": "ap-northeast-1", "ct.request.name": "<NA>",
        "ct.srcip": "192.0.2.87", "ct.user": "deploy-admin", "ct.user.accountid": "111122223333",
    }  # fmt: skip
    (change,) = report(catalog, alert(fields, source="aws_cloudtrail")).advice.tuning
    (item,) = yaml.safe_load(change.content)
    (exception,) = item["exceptions"]
    assert {*exception["fields"]} == {*fields} - {"ct.request.name"}
    assert exception["comps"] == ["="] * 5
    (values,) = exception["values"]
    assert values == [f'"{fields[field]}"' for field in exception["fields"]]


def test_alerts_of_a_kind_share_their_advice(catalog: Catalog) -> None:
    """The same rule, tags and traits give the same object; a bounded number of kinds is kept."""
    first = catalog.advice_for(alert({"proc.name": "a"}))
    assert catalog.advice_for(alert({"proc.name": "b"})) is first
    for number in range(2 * KEPT_COMPOSITIONS):
        catalog.advice_for(alert({"proc.name": "a"}, rule=f"rule {number}"))
    again = catalog.advice_for(alert({"proc.name": "a"}))
    assert again is not first
    assert again == first


def test_senders_names_and_tags_leave_nothing_behind(catalog: Catalog) -> None:
    """A rule's name of a megabyte, or very many tags, are composed for and not kept."""
    catalog.advice_for(alert({"proc.name": "a"}))
    before = len(catalog.composer._kept)
    long = alert({"proc.name": "a"}, rule="r" * 1_000_000)
    many = alert({"proc.name": "a"}, tags=tuple(f"t{number}" for number in range(70_000)))
    for each in (long, many):
        assert catalog.advice_for(each).composed
    assert len(catalog.composer._kept) == before
