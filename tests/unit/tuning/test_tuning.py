"""Tuning from the history: what is predicted is what a replay through Falco's own reading of the file gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.falco.condition import compile_condition
from exporter.falco.rules_file import read_rules_files
from exporter.history import HistorySink
from exporter.redaction import MASK
from exporter.sources.decode import from_json
from exporter.tuning import TUNING_FORMS, Tuning, propose
from exporter.verdict.judgement import Judgement
from tests.history_site import filled, make_sink
from tests.hostile import hostile_alerts

LABELLED = Path(__file__).parents[2] / "verdicts/dev.jsonl"
END_NS = 2**63 - 1


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


Fill = Callable[..., HistorySink]


@pytest.fixture
def fill(tmp_path: Path, catalog: Catalog) -> Iterator[Fill]:
    """Makes a history of alerts, judged as the catalog judges, or as the test says."""
    sinks: list[HistorySink] = []

    def make(alerts: list[Alert], judge: Callable[[Alert], Judgement] = catalog.judge.judge) -> HistorySink:
        sink = make_sink(tmp_path / str(len(sinks)))
        sink._judge = judge
        sink.start()
        sinks.append(sink)
        filled(sink, alerts)
        return sink

    yield make
    for sink in sinks:
        sink.close(5)


def labelled() -> list[Alert]:
    """The labelled alerts, each as often as its place in the file says, at times of their own."""
    found = []
    for index, line in enumerate(LABELLED.read_text(encoding="utf-8").splitlines()):
        document = json.loads(line)
        alert = from_json(json.dumps(document.get("alert", document)))
        found += [alert.changed(time_ns=alert.time_ns + number) for number in range(1 + index % 7)]
    return found


def removed_by(path: Path, content: str, alerts: list[Alert]) -> list[Alert]:
    """Return the alerts that would not have come had Falco read the file, as Falco reads files."""
    base = path / "base.yaml"
    rules = [
        {
            "rule": rule,
            "desc": "d",
            "condition": "not evt.num = -1",
            "output": "o",
            "priority": "INFO",
            "source": source,
        }
        for rule, source in {alert.rule: alert.source for alert in alerts}.items()
    ]
    base.write_text(yaml.safe_dump(rules), encoding="utf-8")
    tuning = path / "tuning.yaml"
    tuning.write_text(content, encoding="utf-8")
    read = read_rules_files([base, tuning])
    assert read.problems == []
    conditions = {rule: compile_condition(read.condition(rule)) for rule in read.rules}
    return [alert for alert in alerts if not conditions[alert.rule](alert.all_fields().get)]


def made(sink: HistorySink, catalog: Catalog, **limits: int) -> Tuning:
    return propose(sink.history, catalog, 0, END_NS, **{"minimum": 2, "limit": 500, **limits})


def test_a_replay_of_the_history_removes_exactly_what_is_predicted(
    fill: Fill, catalog: Catalog, tmp_path: Path
) -> None:
    alerts = labelled()
    tuning = made(fill(alerts), catalog)
    removed = removed_by(tmp_path, TUNING_FORMS["rules"](tuning), alerts)
    assert len(tuning.proposals) > 20
    assert tuning.removed == len(removed)
    assert not [alert for alert in removed if catalog.judge.judge(alert).verdict == "attack"]
    for proposal in tuning.proposals:
        alone = removed_by(tmp_path, proposal.content, alerts)
        assert proposal.alerts == len(alone)
    counts = [proposal.alerts for proposal in tuning.proposals]
    assert counts == sorted(counts, reverse=True)


def test_an_exception_that_would_hide_an_attack_is_not_proposed(fill: Fill, catalog: Catalog) -> None:
    """One attack among alerts that look alike to the exception is enough."""
    like = [alert for alert in labelled() if catalog.judge.judge(alert).verdict == "benign"]
    proposed = made(fill(like), catalog).proposals[0]
    hidden = next(alert for alert in like if alert.uid == proposed.examples[0].uid)
    attack = hidden.changed(time_ns=hidden.time_ns + 12_345, raw_output="an attack with the same values")

    def judge(alert: Alert) -> Judgement:
        judgement = catalog.judge.judge(alert)
        return judgement._replace(verdict="attack") if alert.raw_output == attack.raw_output else judgement

    names = [proposal.name for proposal in made(fill([*like, attack], judge), catalog).proposals]
    assert names
    assert proposed.name not in names


def test_what_was_masked_is_never_compared(fill: Fill, catalog: Catalog) -> None:
    """Falco sees the value, not the mask: such an exception would never fit."""
    alerts = [
        replace(alert, fields=dict.fromkeys(alert.all_fields(), MASK), received=b"")
        for alert in labelled()
        if catalog.judge.judge(alert).verdict == "benign"
    ]
    assert made(fill(alerts), catalog).proposals == []


def test_fewer_than_the_minimum_and_more_than_the_limit_are_left_out(fill: Fill, catalog: Catalog) -> None:
    sink = fill(labelled())
    few = made(sink, catalog, minimum=7)
    assert all(proposal.alerts >= 7 for proposal in few.proposals)
    assert len(made(sink, catalog, limit=3).proposals) == 3
    nothing = made(sink, catalog, minimum=10_000)
    assert (nothing.proposals, nothing.removed) == ([], 0)
    assert yaml.safe_load(TUNING_FORMS["rules"](nothing)) == []


def test_every_form_holds_the_same_exceptions(fill: Fill, catalog: Catalog) -> None:
    tuning = made(fill(labelled()), catalog, limit=5)
    rules = yaml.safe_load(TUNING_FORMS["rules"](tuning))
    assert [item["exceptions"][0]["name"] for item in rules] == [proposal.name for proposal in tuning.proposals]
    (helm,) = yaml.safe_load(TUNING_FORMS["helm"](tuning))["customRules"].values()
    assert yaml.safe_load(helm) == rules
    document = json.loads(TUNING_FORMS["json"](tuning))
    assert [each["name"] for each in document["exceptions"]] == [proposal.name for proposal in tuning.proposals]
    assert document["removed"] == tuning.removed


def test_hostile_values_end_no_comment_and_add_no_rule(fill: Fill, catalog: Catalog) -> None:
    alerts = [alert.changed(time_ns=alert.time_ns + n) for alert in hostile_alerts() for n in range(3)]
    tuning = made(fill(alerts, lambda alert: catalog.judge.judge(alert)._replace(verdict="benign")), catalog)
    text = TUNING_FORMS["rules"](tuning)
    read = yaml.safe_load(text) or []
    assert len(read) == len(tuning.proposals)
    for line in text.split("\n"):
        assert line.isprintable()
    for item in read:
        assert item.keys() == {"rule", "exceptions", "override"}
