"""JSON text as members, or what it is instead, in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exporter.errors import DecodeError
from exporter.sources.json_document import NESTING_LIMIT, Number, check_nesting, excerpt, to_document

FORMS = pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])


def complaint(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(DecodeError) as caught:
        to_document(text)
    return caught.value.reason, str(caught.value)


def test_what_is_no_json_at_all_is_shown_without_the_readers_words() -> None:
    """They say where JSON ends: not where there is none."""
    assert complaint("hello") == ("malformed", "expected one JSON object, found 'hello'")
    assert complaint(b"{hello") == (
        "malformed",
        "expected one JSON object, found '{hello': "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    )


@FORMS
@pytest.mark.parametrize("opening", ["[", "{", "[{"])
def test_nesting_has_a_limit_that_is_still_allowed(form: Callable[[str], str | bytes], opening: str) -> None:
    """Of arrays and objects together, whatever else the document holds."""
    deepest = (opening * NESTING_LIMIT)[:NESTING_LIMIT]
    closing = "".join("]" if bracket == "[" else "}" for bracket in reversed(deepest))
    check_nesting(form(deepest + closing))
    check_nesting(form(deepest + closing + "[]" * 9))
    with pytest.raises(DecodeError) as caught:
        check_nesting(form("[" + deepest + closing + "]"))
    assert (caught.value.reason, str(caught.value)) == (
        "nested",
        f"expected at most {NESTING_LIMIT} arrays and objects inside one another, found more",
    )


@FORMS
@pytest.mark.parametrize("text", ["[]" * 100, '"' + "[{" * 100 + '"', '"\\"' + "[" * 100 + '"', "\u00e9" + "{}" * 100])
def test_many_brackets_are_no_nesting(form: Callable[[str], str | bytes], text: str) -> None:
    """Side by side, or inside of strings."""
    check_nesting(form(text))


@FORMS
def test_an_object_is_read_with_its_numbers_own_digits(form: Callable[[str], str | bytes]) -> None:
    """And lone surrogates, which UTF-8 cannot spell, are replaced, in names too."""
    document = to_document(form('{"a": 1.50, "\\ud800": ["\\udfff", {"b": "\u00e9"}], "c": null}'))
    assert document == {"a": "1.50", "\ufffd": ["\ufffd", {"b": "\u00e9"}], "c": None}
    assert type(document["a"]) is Number


def test_what_utf8_cannot_spell_is_replaced() -> None:
    """Bytes that are none, and a surrogate that stands in a text as it is."""
    assert to_document(b'{"a": "\xff"}') == {"a": "\ufffd"}
    assert to_document('{"a": "\ud800"}') == {"a": "\ufffd"}


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("", "empty", "expected one JSON object, found nothing: the body or line is empty"),
        ("[5]", "malformed", "expected one JSON object, found '[5]'"),
        ("{", "malformed", "expected one JSON object, found '{': Expecting property name enclosed in double quotes: "),
        (
            "18:29:39.273467556: Notice A shell",
            "text",
            "expected one JSON object, found Falco's alert as text ('18:29:39.273467556: Notice A shell'); "
            "set `json_output: true` in falco.yaml and restart Falco",
        ),
        (
            "\ufeff",
            "malformed",
            "expected one JSON object in UTF-8, found a byte order mark of UTF-8 and no JSON after",
        ),
    ],
)
@FORMS
def test_what_is_no_object_is_named(form: Callable[[str], str | bytes], text: str, reason: str, words: str) -> None:
    """With what was expected, what was found and, where it is known, what to do."""
    found, message = complaint(form(text))
    assert found == reason
    assert message.startswith(words)


def test_a_surrogate_in_what_is_no_object_is_no_other_error() -> None:
    """A caller's text may hold what no bytes do."""
    assert complaint("\ud800")[0] == "malformed"


def test_what_is_shown_is_short() -> None:
    """At most sixty characters, quoted."""
    assert excerpt(None) == "nothing"
    assert excerpt("x" * 58) == "'" + "x" * 58 + "'"
    assert excerpt("x" * 59) == "'" + "x" * 59 + "\u2026"
    assert excerpt("\n" * 999) == "'" + "\\n" * 29 + "\\\u2026"
    assert excerpt([1] * 99) == "[" + "1, " * 19 + "1,\u2026"
