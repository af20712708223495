"""Tuning from the history: what is predicted is what a replay through Falco's own reading of the file gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.falco.condition import compile_condition
from exporter.falco.rules_file import read_rules_files
from exporter.history.sink import HistorySink
from exporter.redaction import MASK
from exporter.sources.decode import from_json
from exporter.tuning import proposals
from exporter.tuning.files import TUNING_FORMS
from exporter.tuning.proposals import Tuning, propose
from exporter.verdict.judgement import Judgement
from tests.history_site import filled, make_sink
from tests.hostile import hostile_alerts, hostile_values

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


SYSCALLS = [alert for alert in labelled()[::5] if alert.source == "syscall"]


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
        alone = removed_by(tmp_path, proposal.content, [alert for alert in alerts if alert.rule == proposal.rule])
        assert proposal.alerts == len(alone)
    counts = [proposal.alerts for proposal in tuning.proposals]
    assert counts == sorted(counts, reverse=True)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_value = st.one_of(
    st.sampled_from(sorted(hostile_values().values())),
    st.sampled_from(["", "<NA>", "1", "01", "a,b", "(a)", "a b"]),
    _text,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_values_are_a_replay_removes_what_is_predicted_and_no_attack(
    data: st.DataObject, fill: Fill, catalog: Catalog, tmp_path: Path
) -> None:
    """Values that nobody would guess, and verdicts at random: the count is exact, and an attack is never hidden."""
    likes = data.draw(st.lists(st.sampled_from(SYSCALLS), min_size=1, max_size=3, unique_by=lambda alert: alert.rule))
    alerts: list[Alert] = []
    verdicts: dict[int, str] = {}
    for like in likes:
        names = sorted(like.all_fields())
        pool = data.draw(st.lists(_value, min_size=1, max_size=3))
        changed = data.draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
        for _ in range(data.draw(st.integers(1, 12))):
            fields = dict(like.all_fields()) | {name: data.draw(st.sampled_from(pool)) for name in changed}
            alert = replace(like, fields=fields, received=b"", time_ns=SYSCALLS[0].time_ns + len(alerts))
            alerts.append(alert)
            verdicts[alert.time_ns] = data.draw(st.sampled_from(["benign"] * 8 + ["undecided", "attack"]))

    def judge(alert: Alert) -> Judgement:
        return catalog.judge.judge(alert)._replace(verdict=verdicts[alert.time_ns])  # type: ignore[arg-type]

    sink = fill(alerts, judge)
    kept = list(sink.history.alerts())
    assert [row.verdict for row, _ in kept] == [verdicts[row.time_ns] for row, _ in kept]
    tuning = made(sink, catalog, minimum=1)
    removed = removed_by(tmp_path, TUNING_FORMS["rules"](tuning), [alert for _, alert in kept])
    assert tuning.removed == len(removed)
    assert not [alert for alert in removed if verdicts[alert.time_ns] == "attack"]
    assert sum(proposal.hidden["attack"] for proposal in tuning.proposals) == 0


def test_of_a_large_history_every_so_manieth_alert_finds_the_exceptions(
    fill: Fill, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first walk leaves out the second counts all the same."""
    alerts = [alert.changed(time_ns=alert.time_ns + number * 10) for alert in labelled() for number in range(4)]
    sink = fill(alerts)
    whole = made(sink, catalog, minimum=8)
    monkeypatch.setattr(proposals, "SAMPLE", len(alerts) // 4)
    sampled = {proposal.name: proposal.alerts for proposal in made(sink, catalog, minimum=8).proposals}
    assert len(sampled) > 10
    assert {each.name: each.alerts for each in whole.proposals}.items() >= sampled.items()


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
