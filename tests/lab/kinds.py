"""Which kinds of scenarios each entry has: `python -m tests.lab.kinds` prints those that lack one.

Read from the scenarios' code: which rules a test names, and which calls it
makes. A step that several entries share counts for all of them where the test
of one of them pastes it.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from exporter.catalog.model import Entry
from exporter.lint.proven import Block, blocks_of
from tests.lab.hostile import WORDS
from tests.lab.ledger import LAB, SCENARIOS
from tests.lab.steps import reporter

KINDS = ("told", "again", "hostile", "refused")
"""The act and its report, each step twice · a step when its object is gone or changed · values that an attacker
chooses · for rules about creations, the refused attempt."""
_AGAIN = frozenset({"again", "gone"})
_HOSTILE = re.compile(r"\bowned\b|\bhostile\b|\bPERMITTED\b|\bTWINS\b")
_REFUSED = re.compile(r"refuse|forbidden|errorCode|AlreadyExists|EACCES|EPERM|EEXIST|ENOENT|\b40[39]\b", re.IGNORECASE)
_CREATES = re.compile(
    r"\b(?:Creat|Add|Attach|Put |Run Instances|Function Created|Trail Created|Become|Becoming|configured)"
)
_LIMITED = re.compile(
    r"container\.(?:id|image\.repository)|k8s\..*|ka\.(?:resp|target|user)\.(?:name|namespace|resource)|ka\.auth\.reason"
    r"|ka\.req\.configmap\.name|(?:fd|user)\.(?:[rslc]?(?:ip|port)|uid|loginuid)|proc\.(?:v?pid|sid|tty)(?:\.ts)?"
    r"|ct\.(?:id|region|srcip)|s3\.bucket|gcp\.(?:callerIP|projectId|user|storage\.bucket|cloudsql\.databaseId)"
    r"|json\.value\[/resource/labels/dataset_id\]|okta\.(?:client\.ip|target\.user\.id)"
    r"|github\.(?:org|owner|user|repo\.name|webhook\.id)"
)
"""Fields whose characters the kernel or the provider limits to letters, digits, dots, colons, slashes and dashes that
do not come first; every block was pasted with hostile values of these too (``test_shells.py``)."""
_ASKED = frozenset({"aws_cloudtrail", "gcp_auditlog", "github", "k8s_audit", "okta"})
"""Sources whose events are requests, which may be refused."""


def creates(entry: Entry) -> bool:
    """Whether the entry's rule is about a request to make something."""
    return entry.source in _ASKED and _CREATES.search(entry.rule) is not None


def lacking() -> dict[str, set[str]]:
    """Return each rule that lacks kinds of scenarios, with those.

    A rule has a kind by a test that names it, or where each of its steps that needs the kind is another such rule's
    too: ``again`` and ``refused`` are for steps that change something, ``hostile`` for those that hold what an attacker
    chose.
    """
    entries = reporter().catalog.entries
    found = kinds_by_rule()
    pasted: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for kind in found.get(entry.rule, ()):
            pasted[kind] |= {block.digest for block in blocks_of(entry)}
    without: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        needed = {
            "told": {block.digest for block in blocks_of(entry)},
            "again": {block.digest for block in blocks_of(entry) if block.changes},
            "hostile": {block.digest for block in blocks_of(entry) if _is_chosen(block)},
            "refused": {block.digest for block in blocks_of(entry) if block.changes and creates(entry)},
        }
        for kind, digests in needed.items():
            if kind not in found.get(entry.rule, set()) and digests - pasted[kind]:
                without[entry.rule].add(kind)
    return dict(without)


def _is_chosen(block: Block) -> bool:
    """Whether the block holds a value that an attacker may choose freely."""
    fields = (field for field in block.template.fields if not field.startswith("alert."))
    return any(not _LIMITED.fullmatch(field) for field in fields)


def kinds_by_rule() -> dict[str, set[str]]:
    """Return the kinds of scenarios that name each rule."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in sorted(SCENARIOS.rglob("test_*.py")):
        name = ".".join(file.relative_to(LAB.parents[1]).with_suffix("").parts)
        module = importlib.import_module(name)
        for test in vars(module).values():
            if isinstance(test, FunctionType) and test.__name__.startswith("test_"):
                for rule in _rules(test, module):
                    found[rule] |= _kinds(test, module)
    return found


def _kinds(test: FunctionType, module: ModuleType) -> set[str]:
    functions = [test, *_helpers(test, module)]
    source = "\n".join(inspect.getsource(function) for function in functions)
    called = set().union(*(_names(function.__code__) for function in functions))
    found = {"told"}
    if called & _AGAIN:
        found.add("again")
    if "everything" in called or _HOSTILE.search(source) or any(map(_is_hostile, _parameters(test))):
        found.add("hostile")
    if _REFUSED.search(source):
        found.add("refused")
    return found


def _is_hostile(value: Any) -> bool:
    return isinstance(value, str) and (value in WORDS.values() or "owned" in value or value.startswith("-"))


def _rules(test: FunctionType, module: ModuleType) -> set[str]:
    """The rules that a test names: by its parameters, else in its code, else the module's."""
    if chosen := set(_named(_parameters(test))):
        return chosen
    names = set().union(*(_names(function.__code__) for function in (test, *_helpers(test, module))))
    values = [value for name, value in vars(module).items() if name in names - {"RULES", "RULE"}]
    if single := set(_named([*names, *(value for value in values if isinstance(value, str))])):
        return single
    if several := set(_named(values)):
        return several
    return set(_named([getattr(module, "RULE", ""), *getattr(module, "RULES", ())][:1]))


def _helpers(test: FunctionType, module: ModuleType) -> list[FunctionType]:
    """Functions of the same module that the test calls, and theirs."""
    found: list[FunctionType] = []
    left = [test]
    while left:
        names = _names(left.pop().__code__)
        for name, value in vars(module).items():
            is_own = isinstance(value, FunctionType) and value.__module__ == module.__name__
            if is_own and name in names and value is not test and value not in found:
                found.append(value)
                left.append(value)
    return found


def _names(code: CodeType) -> set[str]:
    inner = (_names(each) for each in code.co_consts if isinstance(each, CodeType))
    return {*code.co_names, *(each for each in code.co_consts if isinstance(each, str))}.union(*inner)


def _parameters(test: FunctionType) -> Iterator[Any]:
    """Every value in the test's parametrization, flat."""
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            yield from _flat(mark.args[1])


def _flat(value: Any) -> Iterator[Any]:
    values = getattr(value, "values", value)
    if isinstance(value, dict):
        yield from value
        return
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        yield values
        return
    for each in values:
        yield from _flat(each)


def _named(values: Any) -> Iterator[str]:
    """The rules among values, those in containers included."""
    known = reporter().catalog.rules
    own = {entry.rule for entry in reporter().catalog.entries}
    yield from (each for each in _flat(list(values)) if isinstance(each, str) and (each in known or each in own))


if __name__ == "__main__":
    for rule, kinds in sorted(lacking().items()):
        sys.stdout.write(f"{rule}: {', '.join(sorted(kinds))}\n")
