"""Attacks that take on every name they can: none becomes benign or a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.verdict.judge import Judge
from tools.verdicts import Row, judged, told

VERDICTS = Path(__file__).parents[2] / "verdicts"
ATTACKS = [
    row
    for name in ("dev", "own", "traps", "heldout", "fresh", "blind", "later", "shams")
    for row in judged([VERDICTS / f"{name}.jsonl"])
    if row.label == "attack" and row.alert.source == "syscall" and not row.hard
]
NAMES = ("event-generator", "restic", "cilium-agent", "systemd", "dpkg", "cloud-init", "falco", "containerd", "puppet")
PARENTS = ("event-generator", "systemd", "containerd-shim", "apt-get", "cron", "dockerd", "sudo", "lynis", "kubelet")
IMAGES = ("docker.io/x9/event-generator", "docker.io/x9/cilium", "quay.io/x9/node-exporter", "docker.io/x9/restic")


def imitations(alert: Alert) -> Iterator[Alert]:
    """Yield the alert under other names of process, parent, ancestors and image."""
    fields = alert.all_fields()
    for name in NAMES:
        yield replace(alert, fields=fields | {"proc.name": name})
    for parent in PARENTS:
        yield replace(alert, fields=fields | {"proc.pname": parent})
        yield replace(alert, fields=fields | {"proc.pname": parent, "proc.aname[2]": parent, "proc.name": "systemd"})
    if alert.get("container.id"):
        for image in IMAGES:
            yield replace(alert, fields=fields | {"container.image.repository": image})


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_catalog().judge


@pytest.mark.parametrize("row", ATTACKS, ids=lambda row: row.id)
def test_no_name_makes_an_attack_benign(judge: Judge, row: Row) -> None:
    """Names alone clear nothing. Left out are attacks that a good analyst would find hard to decide as they are."""
    for alert in imitations(row.alert):
        judgement = judge.judge(alert)
        assert judgement.verdict in {"attack", "undecided"}, "\n".join(
            [str(alert.all_fields()), *told(row._replace(alert=alert, judgement=judgement))]
        )


HOSTILE = (None, "", "\u00e9\u202e\x00" * 2_000)


@pytest.mark.timeout(600)  # tens of thousands of alerts, each new
@pytest.mark.parametrize("name", ["dev", "own", "traps", "heldout", "fresh", "blind", "later"])
def test_no_missing_or_hostile_value_makes_an_attack_benign(judge: Judge, name: str) -> None:
    """Whatever field is absent, empty, endless or unreadable: the verdict does not become benign or test."""
    for row in judged([VERDICTS / f"{name}.jsonl"]):
        if row.label != "attack":
            continue
        fields = row.alert.all_fields()
        for field in fields:
            for value in HOSTILE:
                changed = {key: old for key, old in fields.items() if key != field}
                alert = replace(row.alert, fields=changed if value is None else changed | {field: value})
                judgement = judge.judge(alert)
                assert judgement.verdict in {"attack", "undecided"}, "\n".join(
                    [f"{field}: {value!r:.40}", *told(row._replace(alert=alert, judgement=judgement))]
                )
