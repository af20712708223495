"""Templates: what they refuse at load, and that values stay values where they are accepted."""

from __future__ import annotations

import json
import subprocess
import tomllib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.catalog.template import Absent, CommandTemplate, ContentTemplate, ProseTemplate
from exporter.errors import CatalogError
from exporter.escaping import Unembeddable
from exporter.prose import Span, to_plain
from tests.e2e.programs import program
from tests.hostile import hostile_values

VALUES = hostile_values()
HOSTILE = st.one_of(st.text(max_size=30), st.sampled_from([value for value in VALUES.values() if len(value) < 4096]))


def rendered(template: CommandTemplate, value: str) -> str | None:
    try:
        return template.render(lambda _: value)
    except Unembeddable:
        return None


def test_prose_keeps_values_apart_from_words() -> None:
    """A value is a span of its own, never read for notation again."""
    prose = ProseTemplate("%{proc.name} ran `id`[[ in %{container.name}]].")
    value = "[[ %{proc.name} `x` ]]"
    assert prose.render({"proc.name": value}.get) == (
        Span("value", value),
        Span("text", " ran "),
        Span("code", "id"),
        Span("text", "."),
    )


def test_a_containers_host_is_a_value_of_its_own() -> None:
    """What places an alert stands beside its host: two values, never one that reads like a name."""
    prose = ProseTemplate("shell %{alert.in} %{alert.place}, seen")
    values = {"alert.in": "in", "alert.place": "web", "alert.place_host": "node-1"}
    shown = prose.render(values.get)
    assert to_plain(shown) == "shell in web on node-1, seen"
    assert [span.text for span in shown if span.kind == "value"] == ["web", "node-1"]
    assert to_plain(prose.render((values | {"alert.place_host": None}).get)) == "shell in web, seen"


def test_a_sentence_never_shows_a_hole() -> None:
    """Outside the optional brackets words stand in for an absent field; inside them the piece is left out."""
    prose = ProseTemplate("%{a} and %{b.c|d}[[, also %{e}]]")
    assert to_plain(prose.render({"a": "1"}.get)) == "1 and a value"
    assert to_plain(prose.render({"a": "1", "d": "2", "e": "3"}.get)) == "1 and 2, also 3"
    named = ProseTemplate("%{proc.name} ran as %{user.name} (uid %{user.uid}) in %{container.name|'no container'}.")
    assert to_plain(named.render({}.get)) == "A process ran as a user (uid unknown) in no container."
    assert all(span.kind == "text" for span in named.render({}.get))


def test_prose_knows_which_values_it_cannot_do_without() -> None:
    """Optional pieces and places with words of their own need nothing."""
    prose = ProseTemplate("%{a|b} and %{c|'nothing'}[[ or %{d}]]")
    assert [place.fields for place in prose.unguarded] == [("a", "b")]


def test_words_after_which_nothing_could_show_are_refused() -> None:
    """Words in quotes stand last."""
    with pytest.raises(CatalogError, match="words in quotes stand last"):
        ProseTemplate("%{'words'|a}")


@pytest.mark.parametrize(
    "text", ["[[ a", "a ]]", "]] a [[", "[[ a [[ b ]] ]]", "a `b", "%{Bad}", "%{}", "%{a", "%{a|}"]
)
def test_prose_refuses_broken_notation(text: str) -> None:
    """Notation that is not complete is an error, never shown as text."""
    with pytest.raises(CatalogError):
        ProseTemplate(text)


ACCEPTED = [
    "show -- %{v}",
    "show --path=%{v}",
    "show -- a%{v}b%{v}",
    "show -- $(show -- %{v} >&2) %{v}",
    'show -- "$(cat <<<"x")" %{v}',
    'show -- "$(show -- %{v} | cat)"',
    "# don't read \"%{v}\nshow -- %{v}",
    "show -- it\\'s %{v}",
    "show -- $'it\\'s' %{v}",
    "show -- \"it's\" 'a \"b' %{v}",
    "cat <<'EOF' >&2\nit's `x`\nEOF\nshow -- %{v}",
    'cat <<-EOF >&2; show -- %{v}\n\t"x\n\tEOF',
    "if true; then show -- %{v}; fi",
    "x=%{v} show -- %{v}",
    "show -- %{v} | cat; (show -- %{v}) 2>&1",
    "cat <<< %{v}",
    "show -- %[text:name=%{v}]",
    'show -- %[json:[{"a":%{v}}]]',
    "sh -c %[sh:printf x; : -- %{v}]",
    'show -- %[url:%{v}] ${HOME:-/} "$HOME"',
    "show -- %{v} \\\n  %{v}",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_command_runs_as_its_author_wrote_it(text: str) -> None:
    """Whatever the values, bash starts the author's commands alone and nothing of the values."""
    template = CommandTemplate(text)
    commands = [command for value in VALUES.values() if (command := rendered(template, value))]
    assert len(commands) > 40
    script = "show() { printf x; }\n" + "".join(f"{command}\nprintf '\\0'\n" for command in commands)
    done = subprocess.run(
        ["bash", "--norc", "--noprofile"],
        input=script.encode(),
        capture_output=True,
        check=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"},
    )
    answers = done.stdout.split(b"\0")
    assert len(answers) == len(commands) + 1
    if "<<<" not in text:
        assert len(set(answers[:-1])) == 1
    assert b"not found" not in done.stderr
    assert b"error" not in done.stderr


REFUSED = {
    "single quotes": "show '%{v}'",
    "double quotes": 'show "a %{v}"',
    "quotes after a comment's apostrophe": "# it's\nshow '%{v}'",
    "double quotes after one in single": 'show \'"\' "%{v}"',
    "backslash": "show \\%{v}",
    "dollar": "show $%{v}",
    "ansi-c": "show $'%{v}'",
    "backticks": "show `stat -- %{v}`",
    "here-document": "cat <<EOF\n%{v}\nEOF",
    "quoted here-document": "cat <<'EOF'\n%{v}\nEOF",
    "here-document without end": "cat <<'EOF' %{v}\nx",
    "arithmetic": "show $((%{v} + 1))",
    "arithmetic command": "((x = %{v})); show",
    "old arithmetic": "show $[%{v}]",
    "conditional": "[[ 1 -eq %{v} ]]",
    "eval": "eval show %{v}",
    "remote shell": "ssh host stat -- %{v}",
    "nested shell": "sh -c %{v}",
    "nested shell by text": "bash -lc %[text:stat %{v}]",
    "nested shell in a container": "kubectl exec pod -- sh -c %[text:stat %{v}]",
    "command option": "tool ssh-like --command=%{v}",
    "program": "awk %[text:/%{v}/] file",
    "command's name": "%{v} --version",
    "command's name after a pipe": "show | %{v}",
    "command's name after an assignment": "A=b %{v}",
    "command's name in a substitution": "show $(%{v})",
    "redirection": "show > %{v}",
    "redirection without a space": "show 2>>%{v}",
    "expansion": "show ${x:-%{v}}",
    "unclosed quote": "show %{v} 'x",
    "unclosed bracket": "show $(show %{v}",
    "case pattern": "case %{v} in a) show;; esac",
    "quotes in the nested shell": "sh -c %[sh:stat '%{v}']",
    "name in the nested shell": "sh -c %[sh:%{v} x]",
    "quotes in a query": 'show %[gcl:a="%{v}"]',
    "quotes in a filter": 'show %[jq:.a == "x%{v}"]',
    "unknown language": "show %[perl:%{v}]",
    "unclosed language": "show %[gcl:%{v}",
    "empty language": "show %[text:] %{v}",
    "broken place": "show %{v",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_command_refuses_a_place_that_evaluates(text: str) -> None:
    """A placeholder where quoting would not hold is an error when the catalog loads."""
    with pytest.raises(CatalogError):
        CommandTemplate(text)


def test_command_without_places_is_left_to_its_author() -> None:
    """Without a value there is nothing to guard: any bash goes."""
    text = "for i in `seq $((1+2))`; do cat <<EOF\n\"$i'\nEOF\ndone"
    assert CommandTemplate(text).render({}.get) == text


@pytest.mark.parametrize(
    "text",
    [
        "stat %{v}",
        "stat -- x; stat %{v}",
        "stat %[regex:%{v}]",
        "sh -c %[sh:stat %{v}]",
        "a -- $(b %{v})",
        "a ' -- ' %{v}",
        "jq --arg n x %{v}",
        "jq --arg %{v}; jq %{v}",
        "aws iam get-user --user-name %{v}",
        "x=1 grep -e x %{v}",
        "printf %{v}",
        "printf -v %{v}",
        "[ %{v}",
    ],
)
def test_command_with_a_value_that_looks_like_an_option_is_not_shown(text: str) -> None:
    """A value with a leading dash does not become an option."""
    template = CommandTemplate(text)
    with pytest.raises(Unembeddable):
        template.render({"v": "-rf"}.get)
    template.render({"v": "x-rf"}.get)


@pytest.mark.parametrize(
    "text", ["stat -- %{v}", "stat -- a %{v}", "a --b=%{v}", "a %[text:--b=%{v}]", "a # %{v}", "a b%{v}"]
)
def test_command_with_a_guarded_value_is_shown(text: str) -> None:
    """After -- or behind the author's own text a leading dash does no harm."""
    assert CommandTemplate(text).render({"v": "-rf"}.get).endswith("-rf")


@pytest.mark.parametrize(
    "text",
    [
        "jq -n --arg n %{v} --arg m %{v} '$n, $m'",
        "if LC_ALL=C printf '%s %s\\n' %{v} %{v}; then :; fi",
        '[ "$(printf x)" != %{v} ] && echo %[text:x%{v}]',
        "! [ -e %{v} ] && echo x%{v}",
        "printf '%s\n' x -rf | grep -F -e %{v}",
        "find / -maxdepth 0 -not -name %{v} -printf 'x\n'",
    ],
)
def test_a_word_that_its_program_takes_as_it_stands_is_shown(text: str) -> None:
    """What the renderer lets through is run: a leading dash is a value there, and the command succeeds with it."""
    if text.startswith("jq"):
        program("jq")
    block = CommandTemplate(text).render({"v": "-rf"}.get)
    done = subprocess.run(["bash", "-c", block], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), block


def test_command_needs_its_fields() -> None:
    """A command whose field is absent says so; the first present alternative is taken."""
    template = CommandTemplate("stat -- %{a|b[2]}")
    assert template.fields == {"a", "b[2]"}
    assert template.render({"b[2]": "x y"}.get) == "stat -- 'x y'"
    with pytest.raises(Absent):
        template.render({}.get)


@given(HOSTILE)
@settings(deadline=None)
def test_contents_load_to_the_value(value: str) -> None:
    """A file's content with a value in it reads back as that value, in every format that quotes."""
    expected = value.encode("utf-8", "replace").decode()
    lookup = {"v": value}.get
    assert json.loads(ContentTemplate('{"a": [%{v}]}', "json").render(lookup)) == {"a": [expected]}
    assert yaml.safe_load(ContentTemplate("# don't\na:\n  - %{v}", "yaml").render(lookup)) == {"a": [expected]}
    assert tomllib.loads(ContentTemplate("a = %{v}", "toml").render(lookup)) == {"a": expected}


@pytest.mark.parametrize(
    ("text", "file_format"),
    [
        ('a: "%{v}"', "yaml"),
        ("a: 'x %{v}'", "yaml"),
        ("it's: \"don't %{v}\"", "yaml"),
        ('a: "x\n  %{v}"', "yaml"),
        ('{"a": "%{v}"}', "json"),
        ('a = "\\"%{v}"', "toml"),
        ('condition: (a = "%{v}")', "falco"),
        ("items: [x%{v}]", "falco"),
        ("{condition: a = %{v}}", "falco"),
        ("# %{v}\nx: y", "falco"),
        ("a: [%{v}", "falco"),
    ],
)
def test_contents_refuse_a_place_inside_quotes(text: str, file_format: str) -> None:
    """A value brings its own quotes; inside the author's, or beside other text, it would leave them."""
    with pytest.raises(CatalogError):
        ContentTemplate(text, file_format)


@given(HOSTILE)
def test_contents_without_quoting_take_plain_words_alone(value: str) -> None:
    """A format without quoting never gets a value that could be read as more than a word."""
    template = ContentTemplate("-w %{v} -p wa", "audit")
    try:
        line = template.render({"v": value}.get)
    except Unembeddable:
        return
    assert len(line.split()) == 4
    assert line.splitlines() == [line]


@pytest.mark.parametrize("file_format", ["yaml", "json", "audit"])
def test_contents_refuse_what_is_too_long_to_copy(file_format: str) -> None:
    """A value of more than 4,096 characters is in no file's content."""
    template = ContentTemplate("%{v}", file_format)
    template.render({"v": "x" * 4096}.get)
    with pytest.raises(Unembeddable):
        template.render({"v": "x" * 4097}.get)
