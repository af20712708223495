"""The benchmark's bookkeeping: budgets, numbers and the comparison with the last results."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.falco import of_host, of_process
from benchmarks.results import PER_ALERT, Result, is_met, to_number, to_table
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.sources.decode import from_grpc


def result(key: str, value: float, unit: str = PER_ALERT, budget: float | None = None) -> Result:
    return Result(key, f"what {key} is", value, unit, budget)


def test_cpu_is_compared_as_a_multiple_of_the_plain_loop() -> None:
    """On a machine half as fast everything doubles, the plain loop too: nothing has changed."""
    last = {"results": [asdict(result("yardstick.cpu", 10)), asdict(result("way.metrics.cpu", 15))]}
    table = to_table([result("yardstick.cpu", 20), result("way.metrics.cpu", 30)], last)
    assert "| what way.metrics.cpu is | 30 µs CPU an alert |  | × 1.00 |" in table


def test_other_numbers_are_compared_as_they_are_and_new_ones_say_so() -> None:
    """Memory is the same on a slow machine."""
    last = {"results": [asdict(result("memory.start", 60, "MiB"))]}
    table = to_table([result("memory.start", 66, "MiB"), result("memory.more", 5, "MiB")], last)
    assert "| 66 MiB |  | × 1.10 |" in table
    assert "| 5 MiB |  | new |" in table


def test_a_missed_budget_shows() -> None:
    """A value above its budget is marked, one at it is not."""
    assert is_met(result("a", 20, budget=20))
    assert "20 (missed)" in to_table([result("a", 21, budget=20)], None)


@pytest.mark.parametrize(("value", "text"), [(1234.6, "1,235"), (12.34, "12.3"), (0.01234, "0.0123")])
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    """Three digits, or the whole number."""
    assert to_number(value) == text


def test_altered_messages_are_alerts() -> None:
    """A message with another host and other processes decodes to just that."""
    message = next(flood_messages())
    altered = from_grpc(stamp(of_process(of_host(message, "worker-00007"), 5), 1_700_000_000_000_000_000))
    assert (altered.hostname, altered.get("proc.pid"), altered.get("proc.ppid")) == ("worker-00007", "10005", "9005")
    assert altered.rule == from_grpc(stamp(message, 1_700_000_000_000_000_000)).rule


def test_stored_results_are_kept_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group measured again takes its own place, beside its own machine and load; the others stay."""
    monkeypatch.setattr(results, "STORED", tmp_path / "results.json")
    monkeypatch.setattr(results, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    for group, load, value in (("way", 1.0, 10.0), ("posts", 2.0, 20.0), ("way", 3.0, 30.0)):
        about = results.machine() | {"load_before": load, "load_after": load, "runs": 3}
        results.store(group, [result(f"{group}.cpu", value)], about, order=("posts", "way"))
    stored = results.load()
    assert stored is not None
    assert [(row["key"], row["value"]) for row in stored["results"]] == [("posts.cpu", 20.0), ("way.cpu", 30.0)]
    page = (tmp_path / "README.md").read_text()
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert page.index("### posts") < page.index("load average at the beginning 2.0") < page.index("### way")
    assert "at the end 3.0" in page
    assert "old" not in page
