"""A sign's form, and its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.errors import CatalogError
from exporter.prose import to_plain
from exporter.verdict.files import load_language, load_signs
from exporter.verdict.judge import Judge
from exporter.verdict.language import Language
from exporter.verdict.sign import Sign

GOOD = {"for": "benign", "weight": 4, "forgeable": "false", "when": "proc.name = a", "say": "%{proc.name} is ours"}


def make(**changes: Any) -> Sign:
    mapping = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return Sign.from_mapping(
        mapping, "signs.yaml:7", language=Language({"names": ["a", "b"]}, {"ours": "proc.name = a"})
    )


def alert(rule: str = "R", source: str = "syscall", tags: tuple[str, ...] = (), **fields: str) -> Alert:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return Alert(1, rule, Priority.NOTICE, source, "node", "", named, tags)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"for": "good"}, "for: found 'good'"),
        ({"weight": 9}, "weight: found '9'"),
        ({"weight": None}, "weight: found ''"),
        ({"for": "nothing"}, "weight: a sign for nothing has none"),
        ({"forgeable": None}, "missing key: forgeable"),
        ({"forgeable": "maybe"}, "forgeable: found 'maybe'"),
        ({"say": None}, "missing key: say"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"about": "weather"}, "about: found 'weather'"),
        ({"rules": "R"}, "rules: expected a list"),
        ({"when": "proc.name ="}, "does not parse"),
        ({"when": "theirs"}, "macro 'theirs' is not known"),
        ({"when": "weather.kind = rain"}, "neither a field of Falco nor a derived one"),
        ({"when": "image.in[mine] = yes"}, "list 'mine' is not known"),
        ({"when": 'proc.name regex "("'}, "cannot be evaluated"),
        ({"say": "%{proc.name"}, "placeholder"),
        ({"say": "[[x"}, "[["),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], words: str) -> None:
    """File and line first, then what was found and what was expected."""
    with pytest.raises(CatalogError) as caught:
        make(**changes)
    assert str(caught.value).startswith("signs.yaml:7: ")
    assert words in str(caught.value)


def test_a_file_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    """An operator's file is checked whole before anything starts."""
    file = tmp_path / "own.yaml"
    for text, line in [
        ("signs:\n- for: attack\n  weight: 4\n  when: proc.name = x\n  say: y\n  why: z\n", 6),
        ("macros:\n  a: proc.name = x\n  b: proc.name\n", 3),
        ("lists:\n  a: 1\n", 2),
        ("sings: []\n", 1),
    ]:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(CatalogError) as caught:
            load_catalog([tmp_path])
        assert str(caught.value).startswith(f"{file}:{line}: "), caught.value


@pytest.mark.parametrize("condition", ["is_shell or proc.name = mine", "command_of_ours or proc.name = mine"])
def test_a_macro_that_uses_itself_is_refused(condition: str) -> None:
    """What an operator writes is added to the macro of that name; the name in it would never come to an end."""
    language = Language(macros={"is_shell": "proc.name = sh", "command_of_ours": "is_shell and proc.tty = 0"})
    with pytest.raises(CatalogError, match=r"macro 'is_shell' uses itself; .*leave the name out"):
        language.add_macro("is_shell", condition)
    language.add_macro("is_shell", "proc.name = mine")


def test_an_operator_adds_signs_lists_and_macros(tmp_path: Path) -> None:
    """As the example in docs/verdicts.md, which is taken from there."""
    page = Path(__file__).parents[3].joinpath("docs", "verdicts.md").read_text("utf-8")
    tmp_path.joinpath("own.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    judge = load_catalog([tmp_path]).judge
    backup = alert(
        "Read sensitive file untrusted",
        container__id="host", proc__exepath="/opt/acme/bin/backup-agent", proc__pname="systemd",
        proc__name="backup-agent",
        proc__tty="0", user__loginuid="-1", fd__name="/etc/shadow", proc__cmdline="backup-agent", evt__type="openat",
    )  # fmt: skip
    assert judge.judge(backup).verdict == "benign"
    assert "our backup agent" in to_plain(judge.judge(backup).signs[0].text)
    assert load_catalog().judge.judge(backup).verdict != "benign"
    tester = alert("Create AWS user", "aws_cloudtrail", ct__srcip="198.51.100.23", ct__user="x")
    assert judge.judge(tester).verdict == "test"
    glass = alert("K8s Secret Created", "k8s_audit", ka__user__name="break-glass", ka__target__namespace="shop")
    assert judge.judge(glass).verdict == "attack"
    agent = alert(
        "Contact K8S API Server From Container",
        container__id="4f8aaa9a9da2", container__image__repository="registry.example.com/platform/operator",
        proc__exepath="/operator", proc__name="operator", proc__pname="containerd-shim", proc__tty="0",
        user__loginuid="-1", proc__cmdline="operator", fd__name="10.1.1.1:5->10.0.0.1:443",
    )  # fmt: skip
    assert judge.judge(agent).verdict == "benign"


def test_a_sign_is_asked_only_in_its_scope() -> None:
    """Rules, sources and tags; a list's name stands for its items."""
    language = Language({"our_rules": ["R", "S"]})
    base = {"for": "attack", "weight": 4, "when": "proc.name exists", "say": "x"}

    def verdict(asked: Alert, **scope: list[str]) -> str:
        return Judge([Sign.from_mapping(base | scope, "x:1", language=language)], language).judge(asked).verdict

    assert verdict(alert(proc__name="a")) == "attack"
    assert verdict(alert(proc__name="a"), rules=["our_rules"]) == "attack"
    assert verdict(alert("T", proc__name="a"), rules=["our_rules"]) == "undecided"
    assert verdict(alert(proc__name="a"), sources=["okta"]) == "undecided"
    assert verdict(alert(proc__name="a", tags=("t",)), tags=["t", "u"]) == "attack"
    assert verdict(alert(proc__name="a", tags=("v",)), tags=["t", "u"]) == "undecided"


def test_what_is_absent_clears_nothing() -> None:
    """A negation is open for benign where its field is absent, and true for an attack, as in Falco."""
    language = Language()

    def matches(side: str, asked: Alert) -> bool:
        mapping = {"for": side, "weight": 4, "forgeable": "false", "when": "not proc.pname = sh", "say": "x"}
        return bool(Judge([Sign.from_mapping(mapping, "x:1", language=language)], language).judge(asked).signs)

    assert not matches("benign", alert())
    assert matches("benign", alert(proc__pname="systemd"))
    assert matches("attack", alert())


def test_every_shipped_sign_reads_as_one_line() -> None:
    """Short enough for a report, and no sign is made twice."""
    _, signs = load_language()
    assert len(signs) > 200
    for sign in signs:
        assert 10 < sign.say.length < 130, sign.place
    assert len({(sign.say.text, sign.side, sign.weight, sign.scope, sign.place) for sign in signs}) == len(signs)


def test_load_signs_reads_only_signs(tmp_path: Path) -> None:
    """A catalog file may hold signs beside entries."""
    file = tmp_path / "both.yaml"
    file.write_text("entries: []\nsigns:\n- {for: nothing, when: proc.name exists, say: seen here}\n", encoding="utf-8")
    assert [to_plain(sign.say.render(lambda _: None)) for sign in load_signs([file], Language())] == ["seen here"]
