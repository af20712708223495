"""What is kept stays within its bounds, whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.kept import Kept


def test_what_was_kept_is_there() -> None:
    """``keep`` returns the value, and the dictionary has it."""
    kept: Kept[str, bytes] = Kept(10)
    assert kept.keep("a", b"x", 1) == b"x"
    assert kept == {"a": b"x"}
    assert kept.get("b") is None


def test_an_entry_above_the_limit_is_not_kept_and_costs_no_other() -> None:
    """One huge value does not throw the rest out."""
    kept: Kept[str, str] = Kept(10, limit_bytes=100)
    kept.keep("small", "x", 1)
    assert kept.keep("huge", "y", 101) == "y"
    assert kept == {"small": "x"}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 120)), max_size=200))
def test_the_bounds_hold(entries: list[tuple[int, int]]) -> None:
    """Never more entries or bytes than allowed; the newest that fits is always there."""
    kept: Kept[int, int] = Kept(5, limit_bytes=100)
    for key, size in entries:
        kept.keep(key, size, size)
        assert len(kept) <= 5
        assert sum(kept.values()) <= kept.size_bytes <= 100
        assert (key in kept) or size > 100
