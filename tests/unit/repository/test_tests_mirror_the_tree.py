"""Where a module's tests are is known without a search: tests/unit mirrors the tree."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "tests" / "unit"
OTHER_ROOTS = {"benchmarks", "tools", "dashboards"}

# Tests of a package as a whole, or of its data, are named after their question.
QUESTIONS = {
    "app/test_life.py": "sources that end, a stop, the state",
    "app/test_parts.py": "which part gets which setting",
    "app/test_records.py": "where log records go",
    "app/test_start.py": "start, lame duck and end",
    "benchmarks/test_benchmarks.py": "every measurement runs",
    "catalog/test_falco_exceptions.py": "the exceptions that entries offer",
    "catalog/test_falco_snippets.py": "the rules that entries offer",
    "catalog/test_holes.py": "no sentence with a hole",
    "catalog/test_shipped_as_needed.py": "an entry is read when it is needed",
    "history/test_earlier.py": "files of earlier versions",
    "history/test_failures.py": "a full disk, damage and kill -9",
    "incidents/test_again.py": "alerts like many before them",
    "incidents/test_generator.py": "a run of the event generator",
    "incidents/test_order.py": "the order in which alerts arrive",
    "incidents/test_stories.py": "the written stories",
    "incidents/test_traps.py": "what looks alike and does not belong together",
    "lint/test_each.py": "each check finds what it is for",
    "render/test_golden.py": "every form of the reference report",
    "render/test_inert.py": "hostile values, in every form",
    "render/test_length.py": "the limits of a report",
    "sinks/otel/encode/test_documentation.py": "docs/log-records.md",
    "sinks/otel/queue/test_damage.py": "damaged, foreign and missing files",
    "sinks/otel/queue/test_disk_away.py": "a disk that is full, missing or held by another process",
    "sinks/otel/queue/test_files.py": "which files there are, and whose",
    "sinks/otel/queue/test_kill.py": "kill -9",
    "sinks/otel/send/test_closing.py": "how sending ends, and a disk that was away",
    "sinks/otel/send/test_environment_mistakes.py": "what a complaint about a setting or variable says",
    "sinks/otel/send/test_refused.py": "what a receiver does not take",
    "sinks/prometheus/test_verdicts.py": "events by verdict, of rules and of hosts",
    "test_long_names.py": "what caches keep of very long names",
    "sources/test_falco_grpc_pauses.py": "when a Falco is looked for again",
    "sources/test_falco_http_end.py": "how the receiver ends connections",
    "sources/test_falco_http_reading.py": "what a connection reads, refuses and answers",
    "sources/test_falco_http_resting.py": "when a connection rests, and how it ends",
    "tuning/test_tuning.py": "a replay gives what was promised",
    "verdict/test_imitations.py": "what an attacker can imitate",
    "verdict/test_labelled.py": "the labelled alerts",
    "verdict/test_signs.py": "the shipped signs",
    "web/test_dashboard_url.py": "links between pages and dashboards",
}

# Packages without unit tests of their own, and what tests them.
TESTED_ELSEWHERE = {"simulator": "test_simulator.py beside it and tests/integration"}


def subject(file: Path) -> Path:
    """Return the module, without its suffix, or the package that a test file is named after."""
    where = file.relative_to(UNIT)
    inside = where.parent / where.stem.removeprefix("test_")
    return ROOT / inside if where.parts[0] in OTHER_ROOTS else ROOT / "exporter" / inside


def exists(module: Path) -> bool:
    return module.is_dir() or module.with_suffix(".py").is_file()


def test_each_test_file_is_named_after_a_module_or_is_a_question() -> None:
    strays = {
        str(file.relative_to(UNIT))
        for file in UNIT.rglob("test_*.py")
        if "repository" not in file.parts and not exists(subject(file))
    }
    assert strays == set(QUESTIONS), "rename the file after its module, or add its question here"


def test_each_package_has_a_folder_of_tests() -> None:
    packages = {
        str(init.parent.relative_to(ROOT / "exporter"))
        for init in (ROOT / "exporter").rglob("__init__.py")
        if not {"_proto", "static", "templates"} & set(init.parts) and init.parent != ROOT / "exporter"
    }
    without = {package for package in packages if not any((UNIT / package).rglob("test_*.py"))}
    assert without == set(TESTED_ELSEWHERE), "add tests/unit/PACKAGE/, or say here what tests it"
