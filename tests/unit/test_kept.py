"""What is kept stays within its bounds, whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.kept import Bound, ByLength, Kept, Made, PerObject, Recent


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


def test_an_entry_above_its_own_limit_is_not_kept() -> None:
    """A long name that somebody made up is given and not kept, although there is room."""
    kept: Kept[str, str] = Kept(10, limit_bytes=100, entry_bytes=20)
    assert [kept.keep(key, key, size) for key, size in (("fits", 20), ("long", 21))] == ["fits", "long"]
    assert kept == {"fits": "fits"}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 120)), max_size=200))
def test_the_bounds_hold(entries: list[tuple[int, int]]) -> None:
    """Never more entries or bytes than allowed; the newest that fits is always there."""
    kept: Kept[int, int] = Kept(5, limit_bytes=100)
    for key, size in entries:
        kept.keep(key, size, size)
        assert len(kept) <= 5
        assert sum(kept.values()) <= kept.size_bytes <= 100
        assert (key in kept) or size > 100


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.integers(0, 60)), max_size=300))
def test_one_bound_holds_for_many_dictionaries(entries: list[tuple[int, int, int]]) -> None:
    """Never more entries or bytes in all of them together than allowed; what was kept last is there."""
    bound: Bound[int, int] = Bound(5, 100)
    dictionaries: list[dict[int, int]] = [{} for _ in range(10)]
    for number, key, size in entries:
        if key in dictionaries[number]:
            continue
        bound.keep(dictionaries[number], key, size, size)
        assert dictionaries[number][key] == size
        kept = [value for each in dictionaries for value in each.values()]
        assert len(bound) == len(kept) <= 5
        assert sum(kept) <= 100


def test_what_is_missing_is_made_once_and_a_long_text_each_time() -> None:
    """Texts above the limit get their value and are not kept; the rest is bounded in number."""
    asked: list[str] = []

    def shout(text: str) -> str:
        asked.append(text)
        return text.upper()

    made: Made[str, str] = Made(shout, 3, 4)
    assert [made["ab"], made["ab"], made["abcde"], made["abcde"]] == ["AB", "AB", "ABCDE", "ABCDE"]
    assert asked == ["ab", "abcde", "abcde"]
    for number in range(10):
        assert made[str(number)] == str(number)
        assert 0 < len(made) <= 3


def test_what_depends_on_a_length_is_kept_below_the_limit() -> None:
    """A table of so many lengths, and no more."""

    class Squares(ByLength[int]):
        def make(self, length: int) -> int:
            return length * length

    squares = Squares(3)
    assert [squares[length] for length in (2, 2, 3, 1_000)] == [4, 4, 9, 1_000_000]
    assert squares == {2: 4}


def test_the_same_object_is_worked_out_once_and_an_equal_one_by_itself() -> None:
    """What counts is the object, since its value may cost more to compare than to work out."""
    asked: list[list[int]] = []

    def total(numbers: list[int]) -> int:
        asked.append(numbers)
        return sum(numbers)

    totals = PerObject(total, 10)
    numbers = [1, 2]
    assert [totals(numbers), totals(numbers), totals([1, 2])] == [3, 3, 3]
    assert len(asked) == 2


def test_an_object_that_comes_again_outlasts_those_that_come_once() -> None:
    """In a flood of new objects the one that is asked for between them is never worked out again."""
    asked: list[object] = []

    def note(of: object) -> int:
        asked.append(of)
        return len(asked)

    noted, again = PerObject(note, 4), object()
    first = noted(again)
    for _ in range(100):
        noted(object())
        assert noted(again) == first
    assert asked.count(again) == 1


def test_what_is_kept_for_objects_is_bounded_in_entries_and_in_bytes() -> None:
    """At most twice the limits stay, whatever comes; what is larger than the limit is given, but not kept."""
    alive: list[int] = []

    class Value:
        def __init__(self, size: int) -> None:
            self.size = size
            alive.append(size)

        def __del__(self) -> None:
            alive.remove(self.size)

    by_entries: PerObject[tuple[int], Value] = PerObject(lambda of: Value(1), 8)
    for number in range(100):
        by_entries((number,))
    assert len(alive) <= 16
    by_bytes: PerObject[tuple[int], Value] = PerObject(
        lambda of: Value(of[0]), 1_000, 100, size=lambda value: value.size
    )
    for _ in range(50):
        by_bytes((30,))
        assert by_bytes((101,)).size == 101
    assert sum(alive) - len([size for size in alive if size == 1]) <= 200


def test_as_many_entries_as_the_limit_stay_however_they_are_asked_for() -> None:
    """Asked for in turn, each is there again, also while others come that nobody asks for twice."""
    kept: Recent[int, str] = Recent(100)
    for number in range(50):
        kept.keep(number, str(number))
    for turn in range(10):
        for number in range(50):
            assert kept.get(number) == str(number)
        for other in range(40):
            kept.keep(1_000 + 40 * turn + other, "once")
    assert len(kept) <= 200


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 120), st.booleans()), max_size=200))
def test_what_is_recent_is_bounded_in_entries_and_in_bytes(entries: list[tuple[int, int, bool]]) -> None:
    """At most twice the limits; what was kept last, and fits, is there."""
    kept: Recent[int, tuple[int, int]] = Recent(5, 100, size=lambda value: value[1])
    for key, size, only_asked in entries:
        if only_asked:
            kept.get(key)
        else:
            value = kept.keep(key, (key, size))
            assert kept.get(key) == value or size > 100
        halves = {id(half): half for half in (kept._recent, kept._older)}.values()
        assert all(len(half) <= 5 and sum(size for _, size in half.values()) <= 100 for half in halves)


def test_an_object_counts_with_what_is_kept_for_it() -> None:
    """It is kept beside the value, so that a large one is given, but not kept."""
    asked: list[str] = []

    def note(of: str) -> int:
        asked.append(of)
        return len(of)

    noted = PerObject(note, 10, 100, size_of_object=len)
    large, small = "x" * 101, "y" * 99
    for of in (large, small, large, small):
        assert noted(of) == len(of)
    assert asked == [large, small, large]
