"""Mutants of the advice: what is broken, which there are, and that a scenario that does not notice is named."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.catalog.proof import digest
from exporter.catalog.template import CommandTemplate
from exporter.lint.proven import Block
from tests.lab.ledger import LAB, PROVEN
from tests.lab.ledger import read as read_digests
from tests.lab.mutants import choice, operators
from tests.lab.mutants.__main__ import described, figures
from tests.lab.mutants.reading import read
from tests.lab.mutants.results import FOUND, SURVIVED, File, Result, survivors

pytestmark = pytest.mark.timeout(600)
STOP = """(
  d=/root/evidence/%{alert.uid}; mkdir -pm700 "$d"
  x=%{proc.exepath}; pgrep -fx -- %{alert.cmdline_regex} | while read -r p; do
    case $(readlink "/proc/$p/exe") in ("$x"*) ;; (*) continue ;; esac
    [ -s "$d/$p" ] || cp "/proc/$p/exe" "$d/$p"
    [ -s "$d/$p" ] && echo "$p" >> "$d/stopped" && kill -STOP "$p"
  done
  ps -o pid -p "$p"
)"""


def broken(kind: str, text: str) -> list[str]:
    """The block with each fault of a kind, one line where it has one."""
    return [change.applied(text) for change in operators.OPERATORS[kind](text)]


def test_commands_are_found_within_brackets_quotes_and_loops() -> None:
    found = [(command.before, command.words, command.after) for command in read(STOP)]
    assert (";", ("mkdir", "-pm700", '"$d"'), "\n") in found
    assert ("", ("readlink", '"/proc/$p/exe"'), "") in found
    assert ("|", ("read", "-r", "p"), ";") not in found
    assert ("while", ("read", "-r", "p"), ";") in found
    assert ("&&", ("kill", "-STOP", '"$p"'), "\n") in found
    assert not any(name in {"do", "done", "case", "esac"} for _, (name, *_), _ in filter(lambda each: each[1], found))


def test_operators_that_are_no_ends_stay_in_a_word() -> None:
    [only] = read("falco --dry-run 2>&1")
    assert only.words == ("falco", "--dry-run", "2>&1")
    assert [command.name for command in read("stop() { kill 1; }; stop")] == ["kill", "stop"]
    assert [command.name for command in read("a \\\n  -b | c && d || e & f")] == list("acdef")


def test_a_command_is_left_out_and_what_passes_it_is_not_filtered() -> None:
    assert broken("drop", "cp a b; rm a") == [":; rm a", "cp a b; :"]
    assert broken("drop", "list | grep x | while read -r p; do kill $p; done") == [
        ": | grep x | while read -r p; do kill $p; done",
        "list | cat | while read -r p; do kill $p; done",
        "list | grep x | while read -r p; do :; done",
    ]
    assert broken("drop", "undo user || undo role") == ["false || undo role", "undo user || :"]
    assert broken("drop", 'cp a b || { echo "none"; exit 1; }') == [":" + ' || { echo "none"; exit 1; }']
    assert not broken("drop", 'case $x in (*.service|*.slice) ;; (*) exit ;; esac; echo "x" | tr a b')


def test_a_guard_no_longer_guards() -> None:
    assert broken("guard", '[ "$a" = "$b" ] || { echo other; exit 1; }') == ['[ "$a" = "$b" ] || { echo other; :; }']
    assert broken("guard", "[ -s f ] || save > f") == ["false || save > f"]
    assert broken("guard", "[ -s f ] && kill 1") == [": && kill 1"]
    assert broken("guard", "[ -e a ] && [ -e b ] || exit 1") == [
        ": && [ -e b ] || exit 1",
        "[ -e a ] && : || exit 1",
        "[ -e a ] && [ -e b ] || :",
    ]
    assert broken("guard", 'if [ -n "$n" ]; then put "$n"; fi') == [
        'if :; then put "$n"; fi',
        'if false; then put "$n"; fi',
    ]
    assert broken("guard", 'kill "${p:?gone}"') == ['kill "${p}"']
    assert not broken("guard", 'while [ "$o" -gt 1 ]; do o=$(next "$o"); done')


def test_conditions_of_filters_are_left_out_one_by_one() -> None:
    made = broken("condition", "jq -r '.[]|select(.a==1 and (.b|c) and .t<$t).id' f")
    assert list(dict.fromkeys(made)) == [
        "jq -r '.[]|select(true).id' f",
        "jq -r '.[]|select(.a==1 and .t<$t).id' f",
        "jq -r '.[]|select((.b|c) and .t<$t).id' f",
        "jq -r '.[]|select(.a==1 and (.b|c)).id' f",
        "jq -r '.[]|select(.a==1 and (.b|c) and .t>$t).id' f",
    ]
    assert broken("condition", "awk '$1==1 && $2==2 {print}' f") == ["awk '$1==1 {print}' f", "awk ' $2==2 {print}' f"]
    assert broken("condition", '[ "$b" -ge "$t" ] || exit') == ['[ "$b" -le "$t" ] || exit']


def test_an_option_goes_with_its_value() -> None:
    assert broken(
        "option", 'curl -sSf -XPUT u; find a -type f -xdev; aws iam put --user u -o json; ps -o pid "$p"'
    ) == [
        'curl -sS -XPUT u; find a -type f -xdev; aws iam put --user u -o json; ps -o pid "$p"',
        'curl -sSf  u; find a -type f -xdev; aws iam put --user u -o json; ps -o pid "$p"',
        'curl -sSf -XPUT u; find a  -xdev; aws iam put --user u -o json; ps -o pid "$p"',
        'curl -sSf -XPUT u; find a -type f ; aws iam put --user u -o json; ps -o pid "$p"',
        'curl -sSf -XPUT u; find a -type f -xdev; aws iam put  -o json; ps -o pid "$p"',
    ]


def test_another_variable_or_field_stands_in_its_place() -> None:
    assert broken("variable", 'a=1; b=2; d=3; kill "$a" "$b"; rm %{x.y} %{z.z} %{alert.uid}') == [
        'a=1; b=2; d=3; kill "$b" "$b"; rm %{x.y} %{z.z} %{alert.uid}',
        'a=1; b=2; d=3; kill "$a" "$b"; rm %{z.z} %{z.z} %{alert.uid}',
    ]


def test_a_failure_no_longer_stops_what_follows_it() -> None:
    assert broken("chain", "cp a b && rm a; [ -s b ] && rm b; while read -r x && kill $x; do rm $x; done") == [
        "cp a b ; rm a; [ -s b ] && rm b; while read -r x && kill $x; do rm $x; done"
    ]


def test_what_only_shows_is_a_kind_of_its_own() -> None:
    text = "kubectl delete x; kubectl get x; kubectl get x > f; ps -p 1 | grep x; p=$(ps -p 1)"
    assert broken("silence", text) == ["kubectl delete x; :; kubectl get x > f; ps -p 1 | grep x; p=$(ps -p 1)"]
    assert not set(broken("drop", text)) & set(broken("silence", text))


def block(text: str, *, changes: bool = True) -> Block:
    return Block(digest(text), "A Rule", "Stop it.", CommandTemplate(text), "sh", changes, "")


def test_mutants_are_named_in_an_order_that_never_changes() -> None:
    made = choice.mutants_of(block(STOP))
    assert [mutant.name for mutant in made] == [mutant.name for mutant in choice.mutants_of(block(STOP))]
    assert [mutant.name for mutant in made][:3] == [f"{digest(STOP)[:8]}-drop-{number}" for number in (1, 2, 3)]
    assert len({mutant.text for mutant in made} | {STOP}) == len(made) + 1, "each is another, and none is the block"
    assert {mutant.kind for mutant in made} == {"drop", "guard", "option", "silence"}
    assert {mutant.kind for mutant in choice.mutants_of(block(STOP, changes=False))} == {choice.LOOKS}


def test_a_mutant_shows_its_fault_in_two_lines() -> None:
    made = {mutant.name.partition("-")[2]: mutant for mutant in choice.mutants_of(block(STOP))}
    assert made["silence-1"].difference == '-   ps -o pid -p "$p"\n+   :'
    said = described(made["silence-1"], [Result("", "tests/lab/scenarios/okta/test_x.py::test_a", SURVIVED, 1.0)])
    assert said.splitlines()[1:] == ['-   ps -o pid -p "$p"', "+   :", "  not found by: okta/test_x.py::test_a"]


def test_a_survivor_names_the_scenarios_that_have_not_tried_it() -> None:
    name = sorted(set(read_digests(PROVEN / "okta/test_accounts.txt")) & set(choice._blocks()))[0]
    mutant = choice.Mutant("x-drop-1", choice._blocks()[name], "")
    said = described(mutant, [Result("", "tests/lab/scenarios/github/test_x.py::test_a", SURVIVED, 1.0)])
    assert re.search("not tried with: .*okta/test_accounts.py", said)


def test_every_mutant_of_the_catalog_can_be_pasted() -> None:
    name = next(iter(choice._blocks()))
    made = choice.of_block(name)
    assert made
    assert choice.named(made[-1].name) is made[-1]
    assert choice.named("00000000-drop-1") is None
    assert not choice.of_block("0" * 16)
    assert not choice._parsing([choice.Mutant("x-drop-1", block("a"), "if a; then")])
    assert not choice._parsing([choice.Mutant("x-drop-1", block("a"), "'%{proc.name}'")])


def test_one_finder_is_enough_and_others_may_add_meanwhile(tmp_path: Path) -> None:
    file, other = File(tmp_path / "results"), File(tmp_path / "results")
    file.add(Result("a-drop-1", "tests/lab/scenarios/okta/test_x.py::test_a", SURVIVED, 1.0))
    assert [each.mutant for each in other.results()] == ["a-drop-1"]
    file.add(Result("a-drop-1", "tests/lab/scenarios/okta/test_x.py::test_b", FOUND, 1.0, "call: no"))
    file.add(Result("a-guard-1", "tests/lab/scenarios/okta/test_x.py::test_b", SURVIVED, 1.0))
    with (tmp_path / "results").open("a") as half:
        half.write('{"mutant": "a-')
    assert other.found() == {"a-drop-1"}
    assert list(survivors(other.results())) == ["a-guard-1"]
    assert "| okta | all | 1 | 2 | 1 | 1 |" in figures(other.results())


PYTEST = (sys.executable, *f"-m pytest -m lab -p no:randomly -c {LAB.parents[1] / 'pyproject.toml'}".split())
CONFTEST = """
from pathlib import Path
import pytest
import tests.lab.conftest as lab
from tests.lab import groups, ledger, selection
from tests.lab.conftest import *
from tests.lab.ledger import Ledger
from tests.lab.mutants import choice, runs
from tests.lab.results import LEDGER
from exporter.catalog.template import CommandTemplate
from exporter.lint.proven import Block

HERE = Path(__file__).parent
for module in (lab, groups, ledger, selection, runs):
    module.LAB = module.SCENARIOS = HERE
ledger.PROVEN = HERE
lab.root_file_system = lambda: None
runs._SLACK_SECONDS = 1.0
STOP = Block("0123456789abcdef", "A Rule", "Stop it.", CommandTemplate("a; b; c; d"), "sh", True, "")
choice._blocks = lambda: {STOP.digest: STOP}

@pytest.fixture(scope="session")
def _node():
    state = {"whole": True}
    yield state

@pytest.fixture
def node(_node):
    yield _node

@pytest.fixture
def paste(request):
    request.node.stash.setdefault(LEDGER, Ledger()).ran(STOP.digest)
    return request.node.stash.get(runs.BROKEN, {}).get(STOP.digest, STOP.template.text)
"""
SCENARIO = """
import time
RULE = "A Rule"

def test_it_does_a(paste):
    assert "a;" in paste
    if "b;" not in paste:
        time.sleep(60)

@pytest.mark.parametrize("number", range(9))
def test_it_does_nothing_else(paste, number):
    pass
"""
ON_A_NODE = """
RULE = "A Rule"

def test_c_breaks_the_node(node, paste):
    if "c;" not in paste:
        node["whole"] = False
    assert node["whole"]
"""


def run(folder: Path, scenario: str, *words: str) -> tuple[int, str, dict[str, set[str]]]:
    """Run pytest on a scenario with mutants of the block ``a; b; c; d``; return what came of each."""
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "test_scenario.py").write_text("import pytest\n" + scenario, "utf-8")
    (folder / "test_scenario.txt").write_text("0123456789abcdef\n", "utf-8")
    file = folder / "results.jsonl"
    done = subprocess.run(
        [*PYTEST, f"--rootdir={folder}", f"--lab-mutants-file={file}", *words, str(folder)],
        cwd=folder,
        env={"PYTHONPATH": str(LAB.parents[1]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    found: dict[str, set[str]] = {}
    for result in File(file).results():
        found.setdefault(result.mutant.partition("-")[2], set()).add(result.outcome)
    return done.returncode, done.stdout + done.stderr, found


def test_a_scenario_runs_with_every_fault_and_names_those_that_it_missed(tmp_path: Path) -> None:
    status, said, found = run(tmp_path, SCENARIO, "--lab-mutants", "drop")
    assert found == {"drop-1": {FOUND}, "drop-2": {FOUND}, "drop-3": {SURVIVED}, "drop-4": {SURVIVED}}, said
    assert status == 1
    assert "4 mutants ran, 2 survived" in said
    assert "01234567-drop-3: Stop it.\n- a; b; c; d\n+ a; b; :; d" in said
    file = (tmp_path / "results.jsonl").read_text("utf-8")
    assert "no end within" in file, "what hangs is found by time"
    assert len(re.findall("test_it_does_nothing_else", file)) == 4, "no more than some of a test's parameters"
    _, again, _ = run(tmp_path, SCENARIO, "--lab-mutants", "drop")
    assert "0 mutants ran" in again, "what was tried is not tried again"


def test_one_mutant_runs_by_its_name(tmp_path: Path) -> None:
    status, said, found = run(tmp_path, SCENARIO, "--lab-mutant", "01234567-drop-1")
    assert (status, found) == (0, {"drop-1": {FOUND}}), said
    assert "no such mutant" in run(tmp_path, SCENARIO, "--lab-mutant", "01234567-drop-9")[1]
    assert "what is right only" in run(tmp_path, SCENARIO, "--lab-mutants", "all", "--lab-record")[1]
    assert "no such kind: dorp" in run(tmp_path, SCENARIO, "--lab-mutants", "dorp")[1]


def test_what_a_broken_node_finds_is_tried_again_on_a_new_one(tmp_path: Path) -> None:
    _, said, found = run(tmp_path, ON_A_NODE, "--lab-mutants", "drop")
    assert found == {"drop-1": {SURVIVED}, "drop-2": {SURVIVED}, "drop-3": {FOUND}, "drop-4": {SURVIVED}}, said


@pytest.mark.parametrize("broken_node", [False, True])
def test_what_fails_as_it_is_has_no_mutants(tmp_path: Path, *, broken_node: bool) -> None:
    scenario = SCENARIO.replace('"a;" in paste', "False") if not broken_node else ON_A_NODE.replace('"c;" not', '"c;"')
    status, said, found = run(tmp_path, scenario, "--lab-mutants", "drop", "-k", "does_a or node")
    assert (status, found) == (1, {}), said
