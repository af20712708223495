"""Many comparisons asked together: each answer is that of the comparison by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.falco import comparisons as module
from exporter.falco.condition import Comparison, Field, Value, Values
from exporter.falco.together import Together
from exporter.falco.tokens import ConditionError

FIELD = Field("proc.cmdline")
PIECES = ["a", "b", "ab", "A", "/", "//", "/tmp", "/tmp/", "tmp", "*", "?", ".", "\\", "\\Q", "(", ")", "(a,b)", ",",
          "\n", " ", "0x0A", "10", "é", "İ", "\u212a", "\ud800", "$", "^", "|", "", "[!b]", "[", "-", "\0"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)
SINGLE = ["=", "==", "!=", "<", ">=", "glob", "iglob", "contains", "icontains", "startswith", "endswith", "regex"]
COMPARISONS = st.one_of(
    st.builds(Comparison, st.just(FIELD), st.sampled_from(SINGLE), st.builds(Value, TEXTS, st.booleans())),
    st.builds(
        Comparison,
        st.just(FIELD),
        st.sampled_from(["in", "intersects", "pmatch"]),
        st.lists(st.builds(Value, TEXTS), min_size=1, max_size=3).map(tuple).map(Values),
    ),
    st.builds(
        Comparison,
        st.just(FIELD),
        st.sampled_from(["contains", "startswith", "glob", "regex"]),
        st.lists(st.builds(Value, TEXTS), min_size=1, max_size=3).map(tuple).map(Values),
        st.sampled_from(["oneof", "anyof", "allof"]),
    ),
)


def is_valid(comparison: Comparison) -> bool:
    try:
        module.test(comparison, values_of(comparison))
    except ConditionError:
        return False
    return True


def values_of(comparison: Comparison) -> tuple[Value, ...]:
    right = comparison.right
    return right.items if isinstance(right, Values) else (right,) if isinstance(right, Value) else ()


@given(st.lists(COMPARISONS.filter(is_valid), min_size=1, max_size=12), st.lists(TEXTS, min_size=1, max_size=6))
def test_together_they_say_what_each_says_by_itself(comparisons: list[Comparison], values: list[str]) -> None:
    """For every operator, with few patterns and with many, whatever the value."""
    together = Together([(1 << number, comparison) for number, comparison in enumerate(comparisons)])
    for value in values:
        found = together.fitting(value)
        for number, comparison in enumerate(comparisons):
            expected = module.test(comparison, values_of(comparison))(value)
            assert bool(found >> number & 1) == expected, (comparison, value)


@pytest.mark.parametrize("value", ["/tmp", "/tmp/x", "/tmpx", "//tmp//x/", "/var/a", "/var/a/", "/", "", "tmp/a\nb"])
def test_prefixes_of_paths_with_others_beside(value: str) -> None:
    """A component is never empty, and what follows it may hold anything."""
    texts = ["/tmp", "/var/*", "/t?p/?", "/", "/*/x", "/var/*/", "//tmp//"]
    comparisons = [Comparison(FIELD, "pmatch", Values((Value(text),))) for text in texts]
    found = Together([(1 << number, comparison) for number, comparison in enumerate(comparisons)]).fitting(value)
    expected = [module.test(comparison, values_of(comparison))(value) for comparison in comparisons]
    assert [bool(found >> number & 1) for number in range(len(texts))] == expected


def test_a_value_that_no_filter_can_look_at_is_compared_one_by_one() -> None:
    """Lone surrogates have no UTF-8: each of many patterns answers for itself, the second time as the first."""
    texts = ["a", "b", "c", "d", "e", "\ud800"]
    together = Together(
        [(1 << number, Comparison(FIELD, "contains", Value(text))) for number, text in enumerate(texts)]
    )
    assert [together.fitting(value) for value in ["a\ud800", "a\ud800", "be", "b\udfff"]] == [33, 33, 18, 2]
