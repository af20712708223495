"""Many comparisons of one value, asked together.

Owns which of them can be answered by one look: equal texts by a dictionary,
patterns by RE2's filter, which looks for their literals in one pass and tries
only the patterns whose literals are there. Refuses to say what a comparison
means: that is ``comparisons.py``, whose answer each of these has to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

import re2

from exporter.falco.comparisons import Test, is_hexadecimal, is_network, test
from exporter.falco.nodes import Comparison, Field, Value, Values
from exporter.falco.patterns import glob_to_re2, path_prefix_to_re2

_FEW_PATTERNS = 3
"""So many are tried one by one; a filter costs as much."""
_PATTERN_MEMORY_BYTES = 1024 * 1024
"""What one pattern's automaton may take. Above it RE2 goes on more slowly, in linear time still."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = _PATTERN_MEMORY_BYTES


class Together:
    """Comparisons whose left side is one and the same field, each with a bit of its own."""

    __slots__ = ("_bits", "_equal", "_filter", "_filtered", "_of_lists", "_one_by_one", "_unfiltered")

    def __init__(self, comparisons: Iterable[tuple[int, Comparison]]) -> None:
        """Take each comparison, of conditions that compile, with its bit."""
        self._equal: dict[str, int] = {}
        self._of_lists: list[tuple[int, Test]] = []
        """Those that look into a list's text, ``(a,b)``; for any other text they are in ``_equal``."""
        self._one_by_one: list[tuple[int, Test]] = []
        self._filtered: list[tuple[int, Comparison]] = []
        """Those of the filter, in its order."""
        self._unfiltered: list[tuple[int, Test]] | None = None
        """Their own tests, made with the first value that no filter can look at: hardly ever."""
        expressions: list[str] = []
        for bit, comparison in comparisons:
            if (texts := _equal_texts(comparison)) is not None:
                for text in texts:
                    self._equal[text] = self._equal.get(text, 0) | bit
                if comparison.operator in {"in", "intersects"}:
                    self._of_lists.append((bit, _test(comparison)))
            elif (expression := _expression(comparison)) is not None:
                self._filtered.append((bit, comparison))
                expressions.append(expression)
            else:
                self._one_by_one.append((bit, _test(comparison)))
        self._filter: re2.Filter | None = None
        if len(expressions) > _FEW_PATTERNS:
            self._filter = re2.Filter()
            for expression in expressions:
                self._filter.Add(expression, _OPTIONS)
            self._filter.Compile()
        else:
            self._one_by_one += _tests(self._filtered)
            self._filtered = []
        self._bits = [bit for bit, _ in self._filtered]

    def fitting(self, value: str) -> int:
        """Return the bits of the comparisons that a present value fits."""
        found = self._equal.get(value, 0)
        if value[:1] == "(":
            found |= _fitting(self._of_lists, value)
        if self._one_by_one:
            found |= _fitting(self._one_by_one, value)
        if self._filter is not None:
            found |= self._matching(value, self._filter)
        return found

    def _matching(self, value: str, patterns: re2.Filter) -> int:
        try:
            encoded = value.encode()
        except UnicodeEncodeError:  # a lone surrogate, which each operator sees in its own way
            if self._unfiltered is None:
                self._unfiltered = _tests(self._filtered)
            return _fitting(self._unfiltered, value)
        bits = self._bits
        return reduce(or_, [bits[index] for index in patterns.Match(encoded) or ()], 0)


def _fitting(tests: Iterable[tuple[int, Test]], value: str) -> int:
    found = 0
    for bit, fits in tests:
        if fits(value):
            found |= bit
    return found


def _test(comparison: Comparison) -> Test:
    return test(comparison, _values(comparison))


def _tests(comparisons: Iterable[tuple[int, Comparison]]) -> list[tuple[int, Test]]:
    return [(bit, _test(comparison)) for bit, comparison in comparisons]


def _values(comparison: Comparison) -> tuple[Value, ...]:
    right = comparison.right
    return right.items if isinstance(right, Values) else (right,) if isinstance(right, Value) else ()


def _equal_texts(comparison: Comparison) -> list[str] | None:
    """Return the texts that the comparison fits where the value is no list; None where it asks for more than equality.

    Networks and hexadecimal numbers are equal to more than their own text.
    """
    values = _values(comparison)
    if comparison.modifier or comparison.operator not in {"=", "==", "in", "intersects"}:
        return None
    if isinstance(comparison.left, Field) and is_network(comparison.left):
        return None
    return None if any(is_hexadecimal(value.text) for value in values) else [value.text for value in values]


def _expression(comparison: Comparison) -> str | None:
    """Return an RE2 expression, found anywhere in exactly those values that the comparison fits; None without one."""
    texts = [value.text for value in _values(comparison)]
    if comparison.modifier or not all(texts) or not "".join(texts).isprintable():
        return None
    if comparison.operator == "pmatch":
        whole = path_prefix_to_re2(texts)
    elif len(texts) != 1:
        return None
    elif comparison.operator == "regex":
        # What \Q begins would swallow the end of the whole.
        whole = None if r"\Q" in texts[0] else texts[0]
    elif comparison.operator == "glob":
        whole = glob_to_re2(texts[0])
    else:
        literal = re2.escape(texts[0])
        parts = {"contains": literal, "startswith": rf"\A{literal}", "endswith": rf"{literal}\z"}
        return parts.get(comparison.operator)
    return None if whole is None else rf"\A(?:{whole})\z"
