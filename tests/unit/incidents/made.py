"""Alerts for tests of incidents."""

from __future__ import annotations

from exporter.alert import Alert, Priority
from exporter.config.model import Incidents as Settings
from exporter.incidents.register import Bounds, Incidents
from exporter.verdict.judgement import Judgement, Verdict

BEGIN_NS = 1_790_000_000_000_000_000
MINUTE_NS = 60_000_000_000
WINDOW_SECONDS = 7_200.0


def alert(minutes: float, rule: str = "Rule", *, source: str = "syscall", host: str = "node-1", **fields: str) -> Alert:
    """Return an alert so many minutes after the beginning; ``__`` in a field's name stands for a dot."""
    named = {name.replace("__", "."): value for name, value in fields.items()}
    time_ns = BEGIN_NS + int(minutes * MINUTE_NS)
    return Alert(time_ns, rule, Priority.WARNING, source, host, f"{rule} happened", named, ())


def verdict_in_rule(given: Alert) -> Judgement:
    """Judge by the first word of the rule's name: ``attack …``, ``benign …``, ``test …``, else undecided."""
    word = given.rule.partition(" ")[0]
    verdict: Verdict = "undecided"
    if word in {"attack", "benign", "test"}:
        verdict = word  # type: ignore[assignment]
    return Judgement(verdict, "succeeded", ())


def register(
    *, window_seconds: float = WINDOW_SECONDS, limit: int = 500, facts_limit: int = 20_000, bounds: Bounds | None = None
) -> Incidents:
    """Return a register whose clock stands still at the alerts' time."""
    return Incidents(
        Settings(window_seconds, limit, records=True),
        judge=verdict_in_rule, tactics_of=tactics, bounds=bounds or Bounds(facts_limit),
        clock=lambda: BEGIN_NS / 1e9,
    )  # fmt: skip


def tactics(rule: str, _: str) -> tuple[str, ...]:
    """Return the rule's last word as its tactic."""
    return (rule.rpartition(" ")[2],)


def parts(given: list[Alert], found: Incidents | None = None) -> set[frozenset[str]]:
    """Return the rules that are joined, incident by incident."""
    found = found or register()
    found.take(given)
    return {frozenset(member.alert.rule for member in incident.members) for incident in found.all()}
