"""Entries and procedures from YAML: steps, variants, arguments, conditions, tuning; and what is refused, where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.alert import Alert, Priority
from exporter.catalog.advice import Advice, Command
from exporter.catalog.catalog import Catalog
from exporter.catalog.index import official_rules
from exporter.catalog.loader import Documents, load_files
from exporter.errors import CatalogError
from exporter.prose import to_plain
from exporter.report import make_report
from exporter.verdict.judgement import UNDECIDED

POD = {"container.id": "3fa1b2c4d5e6", "k8s.ns.name": "shop", "k8s.pod.name": "web-7d4b9c6f5-x2x9z"}
HOST = {"container.id": "host"}
LOOK = {"look": "Look.", "where": "host", "run": "id", "shows": "x", "empty": "y"}
CONTAIN = {"contain": "Stop.", "where": "host", "run": "id", "breaks": "x", "undo": "true"}


def loaded(directory: Path, entry: dict[str, Any], *procedures: dict[str, Any], **options: Any) -> Catalog:
    written = {"rule": "A rule", "source": "syscall", "summary": "S.", "impact": "I."} | entry
    path = directory / "a.yaml"
    path.write_text(yaml.safe_dump({"entries": [written], "procedures": list(procedures)}), encoding="utf-8")
    documents = Documents(**options)
    load_files([path], documents)
    return Catalog(documents.entries.values(), documents.procedures.values(), official_rules())


def advice(catalog: Catalog, fields: dict[str, str], *, verdict: str = "undecided") -> Advice:
    alert = Alert(1_728_152_979_273_467_556, "A rule", Priority.WARNING, "syscall", "node-1", "x", fields, ())
    entry = catalog.match(alert)
    assert entry is not None
    judgement = UNDECIDED._replace(verdict=verdict)  # type: ignore[arg-type]
    return make_report(alert, entry, "", judgement).advice


def commands(directory: Path, steps: list[Any], fields: dict[str, str], *procedures: dict[str, Any]) -> list[Command]:
    return list(advice(loaded(directory, {"steps": steps}, *procedures), fields).commands)


def test_steps_come_in_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    """The key is the phase and its value the title; sh unless it says bash."""
    verify = {"verify": "Did it hold?", "where": "node", "shell": "bash", "run": "id", "shows": "x"}
    found = commands(tmp_path, [LOOK, CONTAIN, verify], {})
    assert [(c.phase, to_plain(c.title), c.where, c.shell) for c in found] == [
        ("look", "Look.", "host", "sh"),
        ("contain", "If escalated: Stop.", "host", "sh"),
        ("verify", "Did it hold?", "node", "bash"),
    ]


def test_of_variants_the_first_that_fits_is_shown(tmp_path: Path) -> None:
    """A variant that lacks a value falls through to the next; what belongs to the first step comes with it."""
    pair = {
        "name": "pair",
        "purpose": "x",
        "steps": [{**CONTAIN, "run": "kill %{proc.pid}"}, {**LOOK, "look": "After."}],
    }
    steps = [
        {
            "one_of": [
                {"use": "pair", "only": "pod"},
                {**LOOK, "only": "host", "look": "Host."},
                {**LOOK, "look": "Any."},
            ]
        }
    ]
    titles = [
        [to_plain(c.title) for c in commands(tmp_path, steps, fields, pair)]
        for fields in (POD | {"proc.pid": "7"}, POD, HOST, {"container.id": "3fa1b2c4d5e6"})
    ]
    assert titles == [["If escalated: Stop.", "After."], ["Any."], ["Host."], ["Any."]]


def test_what_a_use_excludes_is_no_step_of_the_entry(tmp_path: Path) -> None:
    """A variant that no alert can get is left out, with what belongs to it; so it is not counted as one to be run."""
    inner = {"one_of": [{**LOOK, "only": "container", "look": "Inner."}, {**LOOK, "look": "Any."}]}
    host = {
        "name": "h",
        "purpose": "x",
        "steps": [{**LOOK, "only": "host", "look": "Host."}, {**LOOK, "look": "With it."}],
    }
    both = {"name": "p", "purpose": "x", "steps": [{"one_of": [{"use": "h"}, {**LOOK, "only": "container"}, inner]}]}
    for only, titles in {"container": ["Look.", "Inner.", "Any."], "host": ["Host.", "With it.", "Any."]}.items():
        (entry,) = loaded(tmp_path, {"steps": [{"use": "p", "only": only}]}, host, both).entries
        assert [step.title.text for step in entry.commands] == titles


def test_arguments_stand_in_texts_needs_and_conditions(tmp_path: Path) -> None:
    """An argument is one or several fields, or words; its default stands where a use gives none."""
    step = {
        **LOOK,
        "look": "See %{arg.peer|'nobody'}.",
        "run": "ss dst %{arg.peer}",
        "needs": ["arg.peer"],
        "when": "arg.peer exists",
    }
    procedure = {"name": "p", "purpose": "x", "arguments": ["peer=fd.sip"], "steps": [step]}
    use = {"use": "p", "with": {"peer": "fd.rip|fd.sip"}}
    (given,) = commands(tmp_path, [use], {"fd.rip": "192.0.2.7"}, procedure)
    assert (given.run, to_plain(given.title)) == ("ss dst 192.0.2.7", "See 192.0.2.7.")
    (default,) = commands(tmp_path, [{"use": "p"}], {"fd.sip": "192.0.2.8"}, procedure)
    assert default.run == "ss dst 192.0.2.8"
    assert commands(tmp_path, [use], {}, procedure) == []
    words = {
        "name": "w",
        "purpose": "x",
        "arguments": ["who"],
        "steps": [{**LOOK, "look": "Ask %{arg.who|user.name}."}],
    }
    (said,) = commands(tmp_path, [{"use": "w", "with": {"who": "'the owner'"}}], {"user.name": "root"}, words)
    assert to_plain(said.title) == "Ask the owner."
    any_exe = {"name": "w", "purpose": "x", "arguments": ["exe"], "steps": [{**LOOK, "needs": ["arg.exe"]}]}
    assert len(commands(tmp_path, [{"use": "w", "with": {"exe": "'/'"}}], {}, any_exe)) == 1
    of_event = {**any_exe, "steps": [{**LOOK, "when": "arg.exe exists and not evt.arg.mode exists"}]}
    assert (
        len(commands(tmp_path, [{"use": "w", "with": {"exe": "evt.arg.name"}}], {"evt.arg.name": "x"}, of_event)) == 1
    )


@pytest.mark.parametrize(
    ("only", "fields", "shown"),
    [
        ("host", HOST, True), ("host", POD, False), ("container", POD, True), ("container", HOST, False),
        ("pod", POD, True), ("pod", {"container.id": "3fa1b2c4d5e6"}, False), ("no-pod", {"container.id": "3f"}, True),
        ("no-pod", POD, False), ("deployment", POD, True), ("statefulset", POD, False),
        ("statefulset", POD | {"k8s.pod.name": "db-0"}, True), ("login", {"user.loginuid": "1000"}, True),
        ("login", {"user.loginuid": "-1"}, False), (["host", "login"], HOST | {"user.loginuid": "7"}, True),
        (["host", "login"], HOST, False),
    ],
)  # fmt: skip
def test_a_step_is_only_for_its_kind_of_place(tmp_path: Path, only: Any, fields: dict[str, str], shown: bool) -> None:
    """Each word of `only` asks the alert's own fields."""
    assert bool(commands(tmp_path, [{**LOOK, "only": only}], fields)) is shown


def test_when_speaks_the_language_of_signs(tmp_path: Path) -> None:
    """Falco's grammar, with negation that absent fields do not fulfil."""
    step = [{**LOOK, "when": "not fd.name startswith /tmp/ and alert.terminal exists"}]
    assert commands(tmp_path, step, {"fd.name": "/etc/x", "proc.tty": "34816"})
    assert not commands(tmp_path, step, {"fd.name": "/tmp/x", "proc.tty": "34816"})
    assert not commands(tmp_path, step, {"proc.tty": "34816"})


def test_techniques_are_chosen_by_values(tmp_path: Path) -> None:
    """The first without a condition always shows; one behind conditions only where none of them held."""
    attack = [
        {"technique": "T1059.004", "tactic": "TA0002"},
        {"technique": "T1574.006", "tactic": "TA0003", "when": "fd.name = /etc/ld.so.preload"},
        {"technique": "T1543.002", "tactic": "TA0003"},
    ]
    catalog = loaded(tmp_path, {"attack": attack})
    ids = [
        [t.technique_id for t in advice(catalog, {"fd.name": name}).techniques]
        for name in ("/etc/ld.so.preload", "/etc/x")
    ]
    assert ids == [["T1059.004", "T1574.006"], ["T1059.004", "T1543.002"]]


def test_the_exception_is_written_for_the_alerts_values(tmp_path: Path) -> None:
    """On a host it is a file, for a pod a Helm value; none is offered for an attack, or where a value is absent."""
    fields = {"proc.exepath": "/usr/bin/x", "fd.name": "/var/lib/x/1"}
    compare = ["proc.exepath", {"field": "fd.name", "op": "startswith", "value": "/var/lib/x/"}]
    catalog = loaded(tmp_path, {"tune": [{"do": "Allow it.", "except": compare}]})
    (on_host,) = advice(catalog, HOST | fields).tuning
    (item,) = yaml.safe_load(on_host.content)
    name = f"a-rule-{item['exceptions'][0]['name'].replace('_', '-')}.yaml"
    assert on_host.file == f"/etc/falco/rules.d/{name}"
    assert item["exceptions"][0]["comps"] == ["=", "startswith"]
    assert item["exceptions"][0]["values"] == [['"/usr/bin/x"', '"/var/lib/x/"']]
    assert item["override"] == {"exceptions": "append"}
    (in_pod,) = advice(catalog, POD | fields).tuning
    assert yaml.safe_load(yaml.safe_load(in_pod.content)["customRules"][name]) == [item]
    assert advice(catalog, HOST | fields, verdict="attack").tuning == ()
    assert advice(catalog, HOST).tuning == ()


def test_each_exception_has_a_file_of_its_own(tmp_path: Path) -> None:
    """A second one for the rule replaces nothing, the same one replaces itself; the check loads the rule, too."""
    catalog = loaded(tmp_path, {"tune": [{"do": "Allow it.", "except": ["proc.exepath"]}]})
    first, again, second = [
        advice(catalog, HOST | {"proc.exepath": path}).tuning[0] for path in ("/usr/bin/x", "/usr/bin/x", "/usr/bin/y")
    ]
    assert first == again
    assert first.file != second.file
    assert " -r " not in first.check


def test_an_entrys_signs_are_asked_for_its_rule(tmp_path: Path) -> None:
    """They judge this rule's alerts, and no other's."""
    sign = {"for": "attack", "weight": 5, "when": "proc.args contains -e", "say": "`-e` hands a shell to the peer"}
    catalog = loaded(tmp_path, {"signs": [sign]})
    for rule, verdict in (("A rule", "attack"), ("Another rule", "undecided")):
        alert = Alert(7, rule, Priority.WARNING, "syscall", "n", "x", {"proc.args": "-e /bin/sh"}, ())
        assert catalog.judge.judge(alert).verdict == verdict


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"steps": [{"where": "host", "run": "id"}]}, "steps#1: found none, expected one of: look, keep"),
        ({"steps": [{**LOOK, "keep": "x"}]}, "found look and keep"),
        ({"steps": [{"look": "x", "where": "host", "run": "id"}]}, "missing key: shows"),
        ({"steps": [{"contain": "x", "where": "host", "run": "id"}]}, "missing key: breaks"),
        ({"steps": [{**LOOK, "undo": "true"}]}, "steps#1.undo: a step under look only reads"),
        ({"steps": [{**LOOK, "where": "container"}]}, "steps#1.where: found 'container', expected one of: host, node"),
        ({"steps": [{**LOOK, "only": "vm"}]}, "steps#1.only: found 'vm', expected one of: host"),
        (
            {"steps": [{**LOOK, "only": ["host", "container"]}]},
            "steps#1.only: found host and container, which excludes",
        ),
        ({"steps": [{"use": "h", "only": "pod"}]}, "steps#1.only: found pod, which excludes every step here"),
        (
            {"steps": [{"one_of": [{"use": "h"}, {"use": "h"}], "only": "container"}]},
            "steps#1.only: found container, which",
        ),
        ({"steps": [{**LOOK, "when": "proc.name is x"}]}, "steps#1.when: the condition does not parse"),
        ({"steps": [{"one_of": [LOOK]}]}, "one_of: found one variant, expected at least two"),
        ({"steps": [{"use": "nothing"}]}, "steps#1.use: procedure 'nothing' is not known"),
        ({"steps": [{"use": "p"}]}, "procedure 'p' needs `with: {peer: FIELD}`"),
        ({"steps": [{"use": "p", "with": {"x": "fd.rip"}}]}, "has no argument 'x'; expected one of: peer"),
        ({"steps": [{"use": "p", "with": {"peer": "a b"}}]}, "with.peer: found 'a b', expected FIELD"),
        ({"steps": [{"use": "p", "shows": "x"}]}, "shows: not beside `use`"),
        ({"tune": [{"do": "x", "except": []}]}, "except: found no field"),
        ({"tune": [{"do": "x", "except": [{"field": "fd.name", "op": "startswith"}]}]}, "startswith needs `value`"),
        ({"tune": [{"do": "x", "except": ["fd.name"], "content": "x"}]}, "content: not beside `except`"),
        ({"signs": [{"for": "attack", "when": "proc.name = x", "say": "x"}]}, "weight: found ''"),
        ({"investigate": []}, "unknown key 'investigate'"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    """Nothing that is not understood is passed over."""
    procedure = {"name": "p", "purpose": "x", "arguments": ["peer"], "steps": [{**LOOK, "run": "id %{arg.peer}"}]}
    no_pod = {"name": "h", "purpose": "x", "steps": [{**LOOK, "only": ["no-pod", "login"]}, {**LOOK, "only": "no-pod"}]}
    both = {"name": "h", "purpose": "x", "steps": [{**LOOK, "only": "host"}]}
    host = both if "container" in str(entry) else no_pod
    with pytest.raises(CatalogError) as caught:
        loaded(tmp_path, entry, procedure, host)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/a.yaml:")


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        ({"summary": "%{proc.name} ran."}, False),
        ({"summary": "%{user.name} ran."}, True),
        ({"summary": "%{user.name|'somebody'} ran[[ as %{user.uid}]] at %{alert.time}."}, False),
        ({"summary": "%{user.name|proc.name} ran."}, False),
        ({"steps": [{**LOOK, "shows": "%{fd.name}"}]}, True),
        ({"steps": [{**LOOK, "shows": "%{fd.name}", "run": "stat -- %{fd.name}"}]}, False),
        ({"steps": [{**LOOK, "shows": "%{fd.name}", "needs": ["fd.name"]}]}, False),
        ({"steps": [{**LOOK, "shows": "%{fd.name}", "when": "fd.name = /x"}]}, False),
        ({"steps": [{**LOOK, "shows": "%{k8s.pod.name}", "only": "pod"}]}, False),
    ],
)
def test_a_sentence_may_only_rely_on_what_is_there(tmp_path: Path, entry: dict[str, Any], refused: bool) -> None:
    """A value that the rule's output does not name needs brackets, words of its own, or a step that needs it anyway."""
    outputs = {"A rule": frozenset({"proc.name"})}
    if not refused:
        loaded(tmp_path, entry, outputs=outputs)
        return
    with pytest.raises(CatalogError, match="not every alert of this rule has the value"):
        loaded(tmp_path, entry, outputs=outputs)
