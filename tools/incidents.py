"""Join the alerts of written stories and compare: ``python -m tools.incidents [FILE …]``, by default tests/incidents.

Prints the precision and recall of pairs of alerts, of the incidents' own
joining and of three naive ones, then each story whose alerts were joined
wrongly; ``--all`` prints every story.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exporter.alert import Alert
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.config.model import Incidents as Settings
from exporter.incidents.batch import join_all
from exporter.incidents.tactics import tactics_by_rule
from exporter.sources.decode import from_json

TESTS = Path(__file__).parent.parent / "tests"
FILES = sorted((TESTS / "incidents").glob("*.yaml"))
BEGIN_NS = 1_790_000_000_000_000_000
STORY_NS = 7 * 60 * 1_000_000_000
"""Between the beginnings of two stories, so that all of them go on at the same time."""
_PLUGIN = ("container.", "k8s.")
"""What Falco's container plugin adds to every rule's fields."""
Partition = Mapping[str, str]
"""From an alert's uid to what it was joined to."""


class Step(NamedTuple):
    """An alert of a story."""

    alert: Alert
    part: str
    """The part of the story that it is; empty for noise."""
    label: str


class Story(NamedTuple):
    """A story."""

    name: str
    steps: Sequence[Step]


def labelled() -> dict[str, Any]:
    """Return the labelled alerts by identifier."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((TESTS / "verdicts").glob("*.jsonl"))]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    return {row["id"]: row for row in rows}


def stories(paths: Iterable[Path] = FILES) -> Iterator[Story]:
    """Yield the stories of the files, each beginning some minutes after the one before."""
    known = labelled()
    for number, told in enumerate(story for path in paths for story in yaml.safe_load(path.read_text("utf-8"))):
        steps = []
        for minutes, name, part, where, *changes in told["steps"]:
            fields = told["places"][where] if isinstance(where, str) else where
            fields = fields | (changes[0] if changes else {})
            time_ns = BEGIN_NS + number * STORY_NS + int(minutes * 60e9) + len(steps) * 1_000_003
            steps.append(Step(_alert(known[name]["alert"], fields, time_ns), part, known[name]["label"]))
        yield Story(told["story"], steps)


def _alert(message: Mapping[str, Any], fields: Mapping[str, Any], time_ns: int) -> Alert:
    made = dict(message["output_fields"])
    plugin = _PLUGIN if message["source"] == "syscall" else ()
    if unprinted := [name for name in fields if name not in made and not name.startswith((*plugin, "hostname"))]:
        raise ValueError(f"rule {message['rule']!r} does not print {', '.join(unprinted)}: no story may tell by them")
    if "container.id" in fields:
        made = {name: value for name, value in made.items() if not name.startswith(("container.", "k8s."))}
    made |= {name: value for name, value in fields.items() if name != "hostname"}
    document = {**message, "output_fields": made, "hostname": fields.get("hostname", message["hostname"])}
    return from_json(json.dumps(document).encode()).changed(time_ns=time_ns)


@cache
def _catalog() -> Catalog:
    return load_catalog()


def incidents_of(alerts: Sequence[Alert]) -> Partition:
    """Join the alerts as the exporter does."""
    catalog = _catalog()
    window = Settings().window_seconds
    found = join_all(alerts, window, judge=catalog.judge.judge, tactics_of=tactics_by_rule(catalog))
    return {alert.uid: incident.id for incident in found for member in incident.members for alert in member.alerts}


def naive(keys_of: Callable[[Alert], Iterable[str]]) -> Callable[[Sequence[Alert]], Partition]:
    """Return a joining by equal keys, whatever else there is."""

    def join(alerts: Sequence[Alert]) -> Partition:
        owner: dict[str, str] = {}

        def root(name: str) -> str:
            while owner.setdefault(name, name) != name:
                name = owner[name]
            return name

        for alert in alerts:
            for key in keys_of(alert):
                owner[root(f"key {key}")] = root(alert.uid)
        return {alert.uid: root(alert.uid) for alert in alerts}

    return join


def _container_or_principal(alert: Alert) -> list[str]:
    found = [alert.get("container.id")]
    found += [alert.get(name) for name in ("ka.user.name", "ct.user", "gcp.user", "okta.actor.name", "github.user")]
    if not alert.get("container.id") and alert.source == "syscall":
        found.append(f"{alert.hostname} {alert.get('user.name')}")
    return [value for value in found if value]


def _everything(alert: Alert) -> list[str]:
    names = ("k8s.pod.name", "ka.resp.name", "ct.srcip", "gcp.callerIP", "okta.client.ip")
    found = [alert.get(name) for name in names]
    found.append(alert.get("ka.target.name") if alert.get("ka.target.resource") == "pods" else None)
    return [*_container_or_principal(alert), *[value for value in found if value]]


JOININGS: Mapping[str, Callable[[Sequence[Alert]], Partition]] = {
    "incidents": incidents_of,
    "by host": naive(lambda alert: [alert.hostname]),
    "by container or principal": naive(_container_or_principal),
    "and by pod and address": naive(_everything),
}


class Figures(NamedTuple):
    """How well pairs of alerts were joined."""

    precision: float
    recall: float
    split: Sequence[str]
    """Parts of stories that are not in one incident."""
    noise: int
    """Alerts that belong to nothing and are in an incident with a story's."""


def figures(told: Sequence[Story], joined: Partition) -> Figures:
    """Compare a joining with what the stories say. A pair of two halves of one story counts neither way."""
    steps = [(story.name, step) for story in told for step in story.steps]
    right = wrong = missed = 0
    noisy: set[str] = set()
    split: dict[str, None] = {}
    for (one_story, one), (other_story, other) in combinations(steps, 2):
        found = joined.get(one.alert.uid, one.alert.uid) == joined.get(other.alert.uid, other.alert.uid)
        same = one_story == other_story and bool(one.part) and bool(other.part)
        if same and one.part != other.part:
            continue
        if same:
            right, missed = right + found, missed + (not found)
            if not found:
                split[f"{one_story}, {one.part}"] = None
        elif found:
            wrong += 1
            if bool(one.part) != bool(other.part):
                noisy.add((other if one.part else one).alert.uid)
    return Figures(right / max(right + wrong, 1), right / max(right + missed, 1), tuple(split), len(noisy))


def lines(story: Story, joined: Partition) -> Iterator[str]:
    """Yield a story's alerts with what each was joined to."""
    yield story.name
    for step in story.steps:
        alert = step.alert
        name = joined.get(alert.uid, "-")
        yield f"    {step.part or '·':<8}{name:<18}{alert.hostname:<28}{alert.rule}"


def main(arguments: Sequence[str]) -> None:
    """Print the comparison."""
    paths = [Path(name) for name in arguments if not name.startswith("--")] or FILES
    told = list(stories(paths))
    alerts = [step.alert for story in told for step in story.steps]
    print(f"{len(told)} stories, {len(alerts)} alerts, all at the same time\n")
    print(f"{'':<28}{'precision':>10}{'recall':>10}{'split':>8}{'noise':>8}")
    for name, join in JOININGS.items():
        found = figures(told, join(alerts))
        print(f"{name:<28}{found.precision:>10.3f}{found.recall:>10.3f}{len(found.split):>8}{found.noise:>8}")
    joined = incidents_of(alerts)
    print("\nincidents: 0.95 wanted of both, nothing split and no noise inside\n")
    for story in told:
        alone = figures([story], joined)
        if alone.precision < 1 or alone.recall < 1 or "--all" in arguments:
            print("\n".join(lines(story, joined)))


if __name__ == "__main__":
    main(sys.argv[1:])
