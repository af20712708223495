"""Results: what was measured, kept as JSON, shown as a table beside the last one.

Times per alert are compared as multiples of the plain loop's in the same run,
so that another machine, or one that is busy with something else, changes
little. Everything else is compared as it is.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google.protobuf
import grpc

STORED = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
YARDSTICK = "yardstick.cpu"
PER_ALERT = "µs CPU an alert"


@dataclass(frozen=True)
class Result:
    """One number."""

    key: str
    """Stable, e.g. ``way.metrics.cpu``; the part before the first dot is its group."""
    what: str
    """What it is, for the table."""
    value: float
    unit: str
    budget: float | None = None
    """What it may be at most; None for no budget."""


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "protobuf": google.protobuf.__version__,
    }


def load() -> dict[str, Any] | None:
    """Return the stored results of all groups in one list; None where there are none."""
    if not STORED.exists():
        return None
    groups = json.loads(STORED.read_text("utf-8"))["groups"]
    return {"results": [row for group in groups.values() for row in group["results"]]}


def store(group: str, results: Iterable[Result], about: dict[str, Any], *, order: Sequence[str]) -> None:
    """Keep a group's results for the next run, and write all groups' tables into README.md in this order."""
    document: dict[str, Any] = json.loads(STORED.read_text("utf-8")) if STORED.exists() else {"groups": {}}
    kept = document["groups"] | {group: {"machine": about, "results": [asdict(result) for result in results]}}
    document["groups"] = {name: kept[name] for name in order if name in kept}
    STORED.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    head, _, rest = README.read_text("utf-8").partition(BEGIN)
    README.write_text(f"{head}{BEGIN}\n\n{to_tables(document)}\n{END}{rest.partition(END)[2]}", "utf-8")


def to_tables(document: dict[str, Any]) -> str:
    """Return a heading, a sentence about the run and a table for each group."""
    parts = []
    for name, group in document["groups"].items():
        rows = [Result(**row) for row in group["results"]]
        parts.append(f"### {name}\n\n{to_caption(group['machine'])}\n\n{to_table(rows, None)}")
    return "\n".join(parts)


def to_caption(about: dict[str, Any]) -> str:
    """Describe the machine and its load in a sentence."""
    return (
        f"Measured {about['measured_at']} on {about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, "
        f"Python {about['python']}, grpcio {about['grpcio']}, protobuf {about['protobuf']}; load average at the "
        f"beginning {about['load_before']:.1f}{to_end(about)}. {about['runs']} runs of what is repeated."
    )


def to_end(about: dict[str, Any]) -> str:
    """Say the load average at the end, where it is known."""
    return f", at the end {about['load_after']:.1f}" if "load_after" in about else ""


def to_table(results: list[Result], last: dict[str, Any] | None) -> str:
    """Return a Markdown table; with the last results' ratio where they are given."""
    before = {row["key"]: Result(**row) for row in last["results"]} if last else {}
    now = {result.key: result for result in results}
    lines = ["| what | measured | budget |" + (" against the last |" if last else "")]
    lines.append("|---|---|---|" + ("---|" if last else ""))
    for result in results:
        budget = "" if result.budget is None else f"{to_number(result.budget)}{'' if is_met(result) else ' (missed)'}"
        line = f"| {result.what} | {to_number(result.value)} {result.unit} | {budget} |"
        lines.append(line + (f" {to_ratio(result, now, before)} |" if last else ""))
    return "\n".join(lines) + "\n"


def is_met(result: Result) -> bool:
    """Whether the result keeps within its budget."""
    return result.budget is None or result.value <= result.budget


def to_number(value: float) -> str:
    """Write a number with as many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def to_ratio(result: Result, now: dict[str, Result], before: dict[str, Result]) -> str:
    """Return now divided by then; each first divided by its own run's plain loop where it is CPU an alert."""
    old = before.get(result.key)
    if old is None or not old.value:
        return "new"
    ratio = result.value / old.value
    if result.unit == PER_ALERT and result.key != YARDSTICK and YARDSTICK in now and YARDSTICK in before:
        ratio *= before[YARDSTICK].value / now[YARDSTICK].value
    return f"× {ratio:.2f}"
