"""Every escaper, against the real reader of its target."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter import escaping
from exporter.escaping import Unembeddable
from exporter.falco.condition import And, Comparison, Field, Value, parse
from tests.hostile import hostile_values, huge_values
from tests.html_structure import Collected

VALUES = list(hostile_values().values())
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
PUNCTUATION = st.text(
    st.sampled_from(list("ab1 \t\n\\`'\"$(){}[]<>|&;!#*_~=:@./-+%^?,\x00\x1b\u200b\u0301\ud800é🔥")), max_size=30
)
HOSTILE = st.one_of(ANY_TEXT, PUNCTUATION, st.sampled_from(VALUES))
MARKDOWN = MarkdownIt("gfm-like", {"html": True})
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shown_inertly(text: str) -> bool:
    return not any(unicodedata.category(c) in HIDDEN for c in text)


def as_utf8(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


@given(HOSTILE)
def test_visible_has_no_hidden_character(value: str) -> None:
    """What a person reads holds no control, format, private or unassigned character, and is one line."""
    shown = escaping.visible(value)
    assert shown_inertly(shown)
    assert escaping.visible(shown) == shown


@given(st.text(st.characters(categories=["L", "N"]).filter(lambda c: not escaping._is_hidden(c)), max_size=20))
def test_visible_leaves_words_alone(value: str) -> None:
    """Letters and digits of any script stay as they are."""
    assert escaping.visible(value) == value


def test_visible_keeps_marks_off_its_neighbours() -> None:
    """A combining mark cannot fall on the text before the value, nor pile up over the lines around it."""
    assert escaping.visible("\u0338x") == "\\u0338x"
    assert escaping.visible("e\u0301te") == "e\u0301te"
    assert "\u0301" not in escaping.visible("z" + "\u0301" * 20)


def test_shortened_says_what_is_missing() -> None:
    """A cut value says how many characters were left out, and a short one is untouched."""
    assert escaping.shortened("abc", 3) == "abc"
    assert escaping.shortened("a" * 2005, 5) == "aaaaa… (2,000 more characters)"


@given(HOSTILE)
def test_html_is_text_and_nothing_else(value: str) -> None:
    """A value in HTML text and in an attribute makes no element and no attribute, and reads as it is shown."""
    parser = Collected()
    escaped = escaping.html(value)
    parser.feed(f"<i title=\"{escaped}\" lang='{escaped}'>{escaped}</i>")
    parser.close()
    shown = escaping.visible(value)
    assert parser.seen == [("i", [("title", shown), ("lang", shown)]), "/i"]
    assert parser.text == shown


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        " https://x",
        "https://x\" onclick='",
        "data:text/html,x",
        "//x",
        "https://x\ny",
        "HTTPS:x",
    ],
)
def test_web_address_takes_only_the_web(url: str) -> None:
    """Nothing but a plain http or https address becomes a link."""
    assert escaping.web_address(url) is None
    assert escaping.web_address("https://a.example/?a=b&c") == "https://a.example/?a=b&amp;c"


def test_what_shows_nothing_is_hidden() -> None:
    """A letter or symbol that draws nothing, beside control and format characters; not what can be read."""
    for value in ("a\u2800b", "\u3164", "a\x00", "\t", "\u200b"):
        assert escaping.has_hidden(value)
    for value in ("", "a b", "é", "日本"):
        assert not escaping.has_hidden(value)


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://a.Example/Az09?b=%20#+,-_~", "https://a.Example/Az09?b=%20#+,-_~"),
        ("https://a.example/(x)&copy;", "<https://a.example/(x)\\&copy;>"),
        ("http://a.example/x)[y]*_`|!", "<http://a.example/x)[y]*_`|!>"),
        ("https://a.example/\u202e", "<https://a.example/\\u202e>"),
    ],
)
def test_markdown_address_is_one_links_destination(url: str, destination: str) -> None:
    """Bare where nothing in it means something, else between angle brackets; it opens the address that is shown."""
    assert escaping.markdown_address(url) == destination
    (link, text, end) = MARKDOWN.parseInline(f"[x]({destination})")[0].children or ()
    assert (link.type, text.content, end.type) == ("link_open", "x", "link_close")
    if "\u202e" not in url:
        assert unquote(str(link.attrs["href"])) == unquote(url)


def test_markdown_address_takes_only_the_web() -> None:
    """Nothing but a plain http or https address becomes a link."""
    for url in ("javascript:alert(1)", "https://x y", "https://x>y", ""):
        with pytest.raises(Unembeddable) as refused:
            escaping.markdown_address(url)
        assert str(refused.value) == "only http and https addresses become links"


def inline(markdown: str) -> list[tuple[str, str]]:
    """The inline tokens of a text that must be one paragraph."""
    tokens = MARKDOWN.parse(markdown)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"], markdown
    return [(token.type, token.content) for token in tokens[1].children or ()]


@given(PUNCTUATION)
@example("1. a")
@example("- a")
@example("===")
@example("a\\")
@example("[x]: y")
def test_markdown_prose_shows_literally(text: str) -> None:
    """An author's words show literally too, though fewer characters are escaped."""
    shown = escaping.visible(text).strip()
    if not shown:
        return
    found = inline(escaping.markdown_prose(shown))
    assert {kind for kind, _ in found} <= {"text", "text_special"}
    assert "".join(content for _, content in found) == escaping.visible(shown)


@given(HOSTILE)
@example("`")
@example("|")
def test_markdown_code_is_one_code_span(value: str) -> None:
    """A value as a code span is one code span that holds it, between the author's words."""
    found = inline(f"a {escaping.markdown_code(value)} b")
    shown = escaping.visible(value)
    assert [kind for kind, _ in found] == ["text", "code_inline", "text"]
    assert found[1][1] == shown or not shown.strip(" ")


@given(HOSTILE)
def test_markdown_name_is_words_or_code(value: str) -> None:
    """A name is text or one code span, whatever it holds."""
    found = inline(f"a {escaping.markdown_name(value)} b")
    assert [kind for kind, _ in found] in (["text"], ["text", "code_inline", "text"])


def test_markdown_name_keeps_a_rules_name_readable() -> None:
    """The usual rule name needs no code span; what a tracker would link gets one."""
    for name in ("Clear Log Activities", "Falco internal: metrics snapshot", "PTRACE anti-debug attempt"):
        assert escaping.markdown_name(name) == name
    for name in ("@admins", "fix #1", "GH-1", "evil.example", "https://x", "a  b"):
        assert escaping.markdown_name(name).startswith("`")


@given(st.lists(HOSTILE, max_size=4))
def test_markdown_block_cannot_be_left(values: list[str]) -> None:
    """Text in a fenced block stays in it, whatever fences it holds."""
    tokens = MARKDOWN.parse(escaping.markdown_block("\n".join(values), "yaml") + "\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]


def bash_words(words: list[str]) -> list[str]:
    """What a harmless function of bash gets as arguments, each word on a line of its own."""
    script = 'show() { printf \'%s\\0\' "$#" "$@"; }\n' + "".join(f"show {word}\n" for word in words)
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            [shutil.which("bash") or "bash", "--norc", "--noprofile", "-O", "extglob"],
            input=script.encode(),
            capture_output=True,
            check=True,
            env={"LC_ALL": locale, "HOME": "/nonexistent", "PATH": "/nonexistent"},
            cwd="/",
        )
        assert done.stderr == b""
        parts = done.stdout.decode().split("\0")[:-1]
        assert parts[::2] == ["1"] * len(words)
    return parts[1::2]


def embeddable(escape: object, values: list[str]) -> dict[str, str]:
    found = {}
    for value in values:
        try:
            found[value] = escape(value)  # type: ignore[operator]
        except Unembeddable:
            continue
    return found


@settings(max_examples=40, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=40))
@example(VALUES)
def test_shell_word_reaches_a_command_unchanged(values: list[str]) -> None:
    """Bash passes each value as one word, unchanged, in any locale, and runs nothing."""
    words = embeddable(escaping.shell_word, values)
    assert bash_words(list(words.values())) == list(words)
    assert {value for value in values if value not in words} == {
        value for value in values if len(value) > 4096 or re.search("[\0\ud800-\udfff]", value)
    }


@given(HOSTILE)
def test_shell_word_is_one_visible_line(value: str) -> None:
    """A quoted value holds nothing hidden, no unquoted history mark and no second line."""
    for word in embeddable(escaping.shell_word, [value]).values():
        assert "\n" not in word
        assert not escaping.has_hidden(word)
        assert not (word.startswith("$'") and "!" in word)


def test_shell_word_keeps_plain_values_readable() -> None:
    """Paths and names stay bare; what a shell could read otherwise is quoted."""
    for value in ("/var/log/syslog", "sshd", "a.b_c-d:e@f%g+h", "--x=y"):
        assert escaping.shell_word(value) == value
    for value in ("", "~root", "=ls", "A=b c", "^a^b", "a,b", "a b"):
        assert escaping.shell_word(value) != value


@settings(max_examples=25, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=20))
@example(VALUES)
def test_nested_shell_word_survives_two_shells(values: list[str]) -> None:
    """A value in ``sh -c`` reaches the inner command as one word, unchanged."""
    words = embeddable(escaping.nested_shell_word, [value for value in values if len(value) < 1000])
    script = "".join(f"printf '%s\\n' {word}; " for word in words.values()) or ":"
    done = subprocess.run(
        [
            shutil.which("sh") or "sh",
            "-c",
            f"exec sh -c {escaping.shell_word(script)}" if len(script) < 4096 else script,
        ],
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().splitlines() == list(words)


@given(HOSTILE)
def test_json_string_loads_to_the_value(value: str) -> None:
    """JSON reads back what was written, and the literal is ASCII."""
    literal = escaping.json_string(value)
    assert json.loads(literal) == as_utf8(value)
    assert literal.isascii()


@given(HOSTILE)
def test_yaml_scalar_loads_to_the_value(value: str) -> None:
    """YAML reads back what was written, as a text, in block and flow collections."""
    literal = escaping.yaml_scalar(value)
    document = yaml.safe_load(f"- a: {literal}\n  b: [{literal}, {{c: {literal}}}]\n")
    assert document == [{"a": as_utf8(value), "b": [as_utf8(value), {"c": as_utf8(value)}]}]
    assert literal.isascii()


@given(HOSTILE)
def test_toml_string_loads_to_the_value(value: str) -> None:
    """TOML reads back what was written."""
    literal = escaping.toml_string(value)
    assert tomllib.loads(f"a = {literal}\nb = [{literal}]\n") == {"a": as_utf8(value), "b": [as_utf8(value)]}


@given(HOSTILE)
def test_falco_literal_stays_one_text(value: str) -> None:
    """Falco's own grammar reads the value back, and what follows it."""
    for literal in embeddable(escaping.falco_literal, [value]).values():
        node = parse(f"fd.name = {literal} and evt.num > 0")
        assert isinstance(node, And)
        assert node.children[0] == Comparison(Field("fd.name"), "=", Value(value, quoted=True))


@given(HOSTILE)
def test_plain_word_lets_nothing_through_but_words(value: str) -> None:
    """Formats without quoting get plain words or nothing."""
    assert all(re.fullmatch(r"[A-Za-z0-9_./:@+-]+", word) for word in embeddable(escaping.plain_word, [value]).values())
    for refused in ("-w", "@include", "+group", "a b", "", "a\n", "x;y"):
        with pytest.raises(Unembeddable):
            escaping.plain_word(refused)


@given(HOSTILE)
def test_regular_expression_matches_the_value_alone(value: str) -> None:
    """A regular expression made of a value matches it and nothing else."""
    for pattern in embeddable(escaping.regular_expression, [value]).values():
        assert re.fullmatch(pattern, value)
        assert not re.fullmatch(pattern, value + "x")


@pytest.mark.parametrize("option", ["-G", "-E"])
def test_regular_expression_works_in_grep(option: str) -> None:
    """grep finds the value's own line in its basic and its extended notation."""
    for value, pattern in embeddable(escaping.regular_expression, [v for v in VALUES if len(v) < 200]).items():
        done = subprocess.run(
            ["grep", "-c", "-x", option, "-e", pattern],
            input=f"{value}\nX{value}X\n".encode(),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, b"1\n"), (value, pattern, done.stderr)


@given(HOSTILE)
def test_url_part_cannot_leave_its_part(value: str) -> None:
    """A value in a URL holds nothing that separates parts, and decodes to itself."""
    part = escaping.url_part(value)
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]*", part)
    assert unquote(part) == as_utf8(value)


@pytest.mark.parametrize("value", [*VALUES, *huge_values().values()])
def test_label_value_survives_the_exposition(value: str) -> None:
    """A label is short, visible, and reads back from the exposition as one label of one series."""
    label = escaping.label_value(value)
    assert len(label) <= 512
    assert shown_inertly(label)
    registry = CollectorRegistry()
    Counter("x", "help", ["a"], registry=registry).labels(label).inc()
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    found = [sample.labels for family in families for sample in family.samples if sample.name == "x_total"]
    assert found == [{"a": label}]


@given(HOSTILE)
def test_valid_text_is_utf8(value: str) -> None:
    """Text for the wire encodes, and valid text is untouched."""
    text = escaping.valid_text(value)
    text.encode()
    assert text == value or re.search("[\ud800-\udfff]", value)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (escaping.visible_block, "a\tb\x07\nc\x1b", "a\tb\\x07\nc\\x1b"),
        (escaping.visible_block, "a b\x07  c\xa0", "a b\\x07  c\\xa0"),
        (escaping.visible, "a\nb\rc\td", "a\\nb\\rc\\td"),
        (escaping.terminal, "\x1b[2Ja", "\\x1b[2Ja"),
        (escaping.visible, "\xff\u0100 \xad\u200b\U000e0001", "\xff\u0100 \\xad\\u200b\\U000e0001"),
        (escaping.visible, "\u0301\u0302a", "\\u0301\\u0302a"),
        (escaping.visible, "\ue000\ufffe\U00010000", "\\ue000\\ufffe\U00010000"),
        (escaping.yaml_scalar, " ~\x7f\xff\u0100\uffff\U00010000", '" ~\\x7f\\xff\\u0100\\uffff\\U00010000"'),
        (escaping.yaml_scalar, 'X"\\\xe9', '"X\\"\\\\\\xe9"'),
        (escaping.query_string, 'a"X\\\xe9', '"a\\"X\\\\\\u00e9"'),
        (escaping.toml_string, "\x1f\U0001f600", '"\\u001f\\U0001f600"'),
        (escaping.html_block, "<a b=\"c\" d='e'>\n\t&", "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;\n\t&amp;"),
        (escaping.markdown_prose, "www.example.com WWW.x", "www&#46;example.com WWW&#46;x"),
        (escaping.markdown_prose, "12. item", "1&#50;. item"),
        (escaping.markdown_prose, "  # heading", "  \\# heading"),
        (escaping.markdown_code, "plain", "`plain`"),
        (escaping.markdown_code, "", "`  `"),
        (escaping.markdown_code, " a", "`  a `"),
        (escaping.markdown_code, "a ", "` a  `"),
        (escaping.markdown_code, "ab ", "` ab  `"),
        (escaping.markdown_code, "a`b", "`` a`b ``"),
        (escaping.markdown_code, "a``b", "``` a``b ```"),
        (escaping.markdown_block, "a\n\n", "```\na\n```"),
        (escaping.markdown_block, "\n a ", "```\n\n a \n```"),
        (escaping.markdown_block, "````", "`````\n````\n`````"),
        (escaping.markdown_block, "X\n", "```\nX\n```"),
        (escaping.shell_word, "it's\n", "$'it\\047s\\n'"),
        (escaping.shell_word, "X\n", "$'X\\n'"),
        (escaping.shell_word, "\t\r!\x1b\xa0\\", "$'\\t\\r\\041\\033\\302\\240\\\\'"),
        (escaping.url_part, "a b/c?d=é\ud800", "a%20b%2Fc%3Fd%3D%C3%A9%3F"),
        (escaping.label_value, "x" * 512, "x" * 512),
        (escaping.label_value, "x" * 513, "x" * 511 + "…"),
        (escaping.label_value, "x" * 600, "x" * 511 + "…"),
        (escaping.valid_text, "a\ud800b", "a\ufffd\ufffd\ufffdb"),
    ],
)
def test_exact_forms(function: Callable[[str], str], value: str, expected: str) -> None:
    """What each form looks like, character by character."""
    assert function(value) == expected


def test_words_that_go_on_in_a_line_need_no_escape_at_their_start() -> None:
    """A number with a dot begins a list only at the start of a line."""
    assert escaping.markdown_prose("12. item", starts_line=False) == "12. item"


@pytest.mark.parametrize(
    ("function", "value", "reason"),
    [
        (escaping.shell_word, "x" * 4_097, "the value has 4097 characters, too many to paste"),
        (escaping.shell_word, "a\0", "no process argument can hold NUL or a lone surrogate"),
        (escaping.shell_word, "a\ud800", "no process argument can hold NUL or a lone surrogate"),
        (escaping.shell_word, "last \udfff", "no process argument can hold NUL or a lone surrogate"),
        (escaping.nested_shell_word, "a\n", "POSIX sh has no notation for hidden characters"),
        (escaping.plain_word, "a b", "the format has no quoting and the value is not a plain word"),
        (escaping.regular_expression, "a\n", "grep has no notation for hidden characters"),
        (escaping.falco_literal, "a\0", "a Falco condition has no notation for NUL"),
    ],
)
def test_a_refusal_says_why(function: Callable[[str], str], value: str, reason: str) -> None:
    """An operator reads it beside the step that is not shown."""
    with pytest.raises(Unembeddable) as refused:
        function(value)
    assert str(refused.value) == reason


def test_the_longest_path_is_a_word() -> None:
    """Linux's longest path can be pasted."""
    assert escaping.shell_word("x" * 4_096) == "x" * 4_096
