"""From YAML nodes to steps, changes, sentences and tuning.

Owns the keys of each and what is required of them. Every error names file,
line and key. Refuses whole files and what an operator's file does to an entry
(see ``loader.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from exporter.catalog.advice import PHASES, WHERE
from exporter.catalog.condition import ONLY, Condition, When
from exporter.catalog.exception import OPERATORS, Compared, ExceptionStep
from exporter.catalog.procedures import (
    Arguments,
    Procedure,
    Used,
    condition_with_arguments,
    field_with_arguments,
    with_arguments,
)
from exporter.catalog.steps import ChangeStep, Choice, CommandStep, Sentence
from exporter.catalog.template import CommandTemplate, ContentTemplate, ProseTemplate
from exporter.errors import CatalogError
from exporter.verdict.files import shipped_language
from exporter.verdict.language import Language
from exporter.yaml_nodes import Node

_CONDITION_KEYS = frozenset({"only", "needs", "when"})
_STEP_KEYS = _CONDITION_KEYS | {
    *PHASES, "where", "shell", "rights", "run", "shows", "empty", "breaks", "undo", "unproven", "use", "with", "one_of",
}  # fmt: skip
_USE_KEYS = _CONDITION_KEYS | {"use", "with"}
_CHANGE_KEYS = _CONDITION_KEYS | {"do", "tool", "file", "format", "content", "check", "load", "note", "use", "with"}
_TUNE_KEYS = _CHANGE_KEYS | {"except", "never_if"}
_SENTENCE_KEYS = _CONDITION_KEYS | {"text", "use", "with"}
_VERDICTS = ("attack", "undecided", "benign", "test")
_EMPTY_PROSE = ProseTemplate("")
_EMPTY_COMMAND = CommandTemplate("")
_USES_LIMIT = 5
_T = TypeVar("_T")
Keys = Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node may refer to."""

    procedures: Mapping[str, Procedure]
    arguments: Arguments | None = None
    """Inside a procedure: its arguments; None elsewhere."""
    guaranteed: frozenset[str] | None = None
    """Fields that every alert of the rule has; None where nothing is known of them."""
    language: Language | None = None
    """Lists and macros for conditions; None: the shipped ones."""
    depth: int = 0
    """How many procedures use one another to come here."""

    def given(self, *fields: frozenset[str]) -> Surroundings:
        """Return the surroundings of a sentence that is only shown where the alert has these fields too."""
        return self if self.guaranteed is None else replace(self, guaranteed=self.guaranteed.union(*fields))

    def inside(self, arguments: Arguments) -> Surroundings:
        """Return the surroundings of a procedure's own nodes."""
        return replace(self, arguments=arguments, guaranteed=None, depth=self.depth + 1)


def line_of(node: Node) -> str:
    """Return ``FILE:LINE``."""
    return node.place.removesuffix(f": {node.key}")


def items(keys: Keys, key: str) -> list[Node]:
    """Return a list's items, none where the key is absent."""
    return list(keys[key].items()) if key in keys else []


def compiled(node: Node, template: Callable[[str], _T], around: Surroundings) -> _T:
    """Return the node's text compiled, arguments in place. Raises CatalogError."""
    return _checked(node, lambda: template(with_arguments(node.text(), around.arguments)))


def _checked(node: Node, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except CatalogError as exc:
        if str(exc).startswith(node.file):
            raise
        raise node.error(str(exc)) from exc


def prose(keys: Keys, key: str, around: Surroundings) -> ProseTemplate:
    """Return a sentence, empty where the key is absent.

    Raises CatalogError for a value that an alert may lack, outside ``[[…]]`` and without words for that case.
    """
    if key not in keys:
        return _EMPTY_PROSE
    template = compiled(keys[key], ProseTemplate, around)
    if around.guaranteed is not None:
        for place in template.unguarded:
            if not around.guaranteed.intersection(place.fields):
                raise keys[key].error(
                    f"{place.text}: not every alert of this rule has the value; put the words that need it into "
                    f"[[…]], or say what stands for it: {place.text[:-1]}|'a process'}}"
                )
    return template


def text_of(keys: Keys, key: str) -> str:
    """Return a text as it stands, empty where the key is absent."""
    return keys[key].text().strip() if key in keys else ""


def choice_of(node: Node, choices: tuple[str, ...]) -> str:
    """Return the node's word. Raises CatalogError where it is none of the choices."""
    if (found := node.text()) not in choices:
        raise node.error(f"found {found!r}, expected one of: {', '.join(choices)}")
    return found


def words_of(node: Node) -> Iterator[Node]:
    """Yield the items of a list, or the node itself where it is a text."""
    if node.is_list():
        yield from node.items()
    else:
        yield node


def when_of(node: Node, around: Surroundings) -> When:
    """Return a condition in the language of signs. Raises CatalogError."""
    language = around.language or shipped_language()
    return _checked(node, lambda: When(condition_with_arguments(node.text(), around.arguments), language))


def condition_of(keys: Keys, around: Surroundings) -> Condition:
    """Return when something fits an alert: ``only``, ``needs`` and ``when``."""
    if not keys.keys() & _CONDITION_KEYS:
        return Condition()
    needs = [
        _checked(node, partial(field_with_arguments, node.text(), around.arguments)) for node in items(keys, "needs")
    ]
    return Condition(
        # Words stand for what is absent, so that nothing is needed where they are an alternative.
        needs=tuple(tuple(group.split("|")) for group in needs if "'" not in group),
        only=tuple(choice_of(node, tuple(ONLY)) for node in words_of(keys["only"])) if "only" in keys else (),
        when=tuple(when_of(node, around) for node in words_of(keys["when"])) if "when" in keys else (),
    )


def _used(keys: Keys, allowed: frozenset[str], around: Surroundings) -> Used:
    node = keys["use"]
    if extra := keys.keys() - allowed:
        raise node.error(
            f"{min(extra)}: not beside `use`; the procedure brings it. Expected {', '.join(sorted(allowed))}"
        )
    name = node.text()
    if name not in around.procedures:
        known = ", ".join(sorted(around.procedures)) or "none here"
        raise node.error(f"procedure {name!r} is not known; expected one of: {known}")
    if around.depth > _USES_LIMIT:
        raise node.error(f"procedures use one another more than {_USES_LIMIT} deep; does one use itself?")
    given = {}
    for key, value in keys["with"].entries().items() if "with" in keys else ():
        given[key] = _checked(value, partial(_bound, value.text(), around))
    return _checked(node, lambda: around.procedures[name].use(given))


def _bound(text: str, around: Surroundings) -> str:
    """An argument's value, where it may name an argument of the procedure that it stands in."""
    return "|".join(field_with_arguments(part, around.arguments) for part in text.split("|"))


def steps(node_list: list[Node], around: Surroundings) -> tuple[CommandStep | Choice, ...]:
    """Return steps in the order in which they are written, procedures' steps in the place of their use."""
    found: list[CommandStep | Choice] = []
    for node in node_list:
        keys = node.mapping(_STEP_KEYS)
        if "use" in keys:
            brought = _used(keys, _USE_KEYS, around).steps
            if not brought:
                raise node.error(f"procedure {keys['use'].text()!r} has no steps")
            found += _limited(brought, node, keys, around)
        elif "one_of" in keys:
            found.append(_choice(node, keys, around))
        else:
            found.append(_step(node, keys, around))
    return tuple(found)


def _choice(node: Node, keys: Keys, around: Surroundings) -> CommandStep | Choice:
    if extra := keys.keys() - _CONDITION_KEYS - {"one_of"}:
        raise node.error(f"{min(extra)}: not beside `one_of`; put it into each variant")
    variants = tuple(steps([each], around) for each in keys["one_of"].items())
    if len(variants) < 2:
        raise keys["one_of"].error("found one variant, expected at least two")
    (choice,) = _limited([Choice(variants, line_of(node))], node, keys, around)
    return choice


def _limited(
    brought: Iterable[CommandStep | Choice], node: Node, keys: Keys, around: Surroundings
) -> list[CommandStep | Choice]:
    """Return steps for the alerts that the node's own condition leaves. Raises CatalogError where none can be shown."""
    condition = condition_of(keys, around)
    if condition == Condition():
        return list(brought)
    left = [limited for step in brought if (limited := step.limited(condition)) is not None]
    if not left:
        raise _never(node, keys, condition)
    return left


def _never(node: Node, keys: Keys, condition: Condition) -> Exception:
    """Return the error of a node whose steps no alert can get."""
    only = " and ".join(condition.only)
    return keys.get("only", node).error(f"found {only}, which excludes every step here; no alert could show one")


def _step(node: Node, keys: Keys, around: Surroundings) -> CommandStep:
    phases = [phase for phase in PHASES if phase in keys]
    if len(phases) != 1:
        raise node.error(
            f"found {' and '.join(phases) or 'none'}, expected one of: {', '.join(PHASES)}, with the title"
        )
    (phase,) = phases
    required = {"where", "run"} | {"look": {"shows"}, "verify": {"shows"}, "contain": {"breaks"}}.get(phase, set())
    node.mapping(_STEP_KEYS, frozenset(required))
    if phase in {"look", "verify"} and (unfit := keys.keys() & {"breaks", "undo"}):
        raise keys[min(unfit)].error(f"a step under {phase} only reads; put it under keep, contain or recover")
    undo = "" if text_of(keys, "undo") == "none" else text_of(keys, "undo")
    run, condition = compiled(keys["run"], CommandTemplate, around), condition_of(keys, around)
    if not condition.can_hold:
        raise _never(node, keys, condition)
    around = around.given(condition.given(), run.fields)
    return CommandStep(
        title=prose(keys, phase, around),
        phase=phase,
        where=choice_of(keys["where"], WHERE),
        shell=choice_of(keys["shell"], ("sh", "bash")) if "shell" in keys else "sh",
        run=run,
        shows=prose(keys, "shows", around),
        empty=prose(keys, "empty", around),
        breaks=prose(keys, "breaks", around),
        undo=compiled(keys["undo"], CommandTemplate, around) if undo else _EMPTY_COMMAND,
        rights=prose(keys, "rights", around),
        unproven=text_of(keys, "unproven"),
        condition=condition,
        place=line_of(node),
    )


def changes(node_list: list[Node], around: Surroundings) -> tuple[ChangeStep, ...]:
    """Return configuration changes."""
    found: list[ChangeStep] = []
    for node in node_list:
        keys = node.mapping(_CHANGE_KEYS)
        if "use" in keys:
            brought = _used(keys, _USE_KEYS, around).changes
            if not brought:
                raise node.error(f"procedure {keys['use'].text()!r} has nothing under configure")
            condition = condition_of(keys, around)
            found += [replace(change, condition=change.condition & condition) for change in brought]
        else:
            found.append(_change(node, _CHANGE_KEYS, around))
    return tuple(found)


def _change(node: Node, allowed: frozenset[str], around: Surroundings) -> ChangeStep:
    keys = node.mapping(allowed, frozenset({"do", "tool", "file", "format", "content"}))
    file_format, condition = keys["format"].text(), condition_of(keys, around)
    content = compiled(keys["content"], partial(ContentTemplate, file_format=file_format), around)
    around = around.given(condition.given(), content.fields)
    return ChangeStep(
        title=prose(keys, "do", around),
        tool=text_of(keys, "tool"),
        file=text_of(keys, "file"),
        format=file_format,
        content=content,
        check=text_of(keys, "check"),
        load=text_of(keys, "load"),
        note=prose(keys, "note", around),
        condition=condition,
        place=line_of(node),
    )


def sentences(node_list: list[Node], around: Surroundings) -> tuple[Sentence, ...]:
    """Return sentences: texts, or mappings with ``text`` and when it fits."""
    found: list[Sentence] = []
    for node in node_list:
        if node.is_text():
            found.append(Sentence(prose({"text": node}, "text", around), Condition(), line_of(node)))
            continue
        keys = node.mapping(_SENTENCE_KEYS)
        if "use" in keys:
            found += _used(keys, _USE_KEYS, around).recommendations
        elif "text" in keys:
            condition = condition_of(keys, around)
            text = prose(keys, "text", around.given(condition.given()))
            found.append(Sentence(text, condition, line_of(node)))
        else:
            raise node.error("missing key: text")
    return tuple(found)


def tuning(
    node_list: list[Node], rule: tuple[str, str], around: Surroundings
) -> tuple[ChangeStep | ExceptionStep, ...]:
    """Return tuning of the rule, given by name and event source."""
    found: list[ChangeStep | ExceptionStep] = []
    for node in node_list:
        keys = node.mapping(_TUNE_KEYS)
        if "except" in keys:
            found.append(_exception(node, keys, rule, around))
        elif "use" in keys:
            found += _used(keys, _USE_KEYS, around).changes
        else:
            found.append(_change(node, _CHANGE_KEYS, around))
    return tuple(found)


def _exception(node: Node, keys: Keys, rule: tuple[str, str], around: Surroundings) -> ExceptionStep:
    if extra := keys.keys() - _CONDITION_KEYS - {"do", "except", "never_if", "note"}:
        raise keys[min(extra)].error("not beside `except`; the program writes the exception and where it goes")
    node.mapping(_TUNE_KEYS, frozenset({"do"}))
    compared = tuple(_compared(each) for each in keys["except"].items())
    if not compared:
        raise keys["except"].error("found no field; without one the exception would silence the whole rule")
    condition = condition_of(keys, around)
    around = around.given(condition.given(), frozenset(each.field for each in compared))
    never_if = [choice_of(each, _VERDICTS) for each in words_of(keys["never_if"])] if "never_if" in keys else ["attack"]
    return ExceptionStep(
        title=prose(keys, "do", around),
        rule=rule[0],
        source=rule[1],
        compared=compared,
        never_if=tuple(never_if),
        note=prose(keys, "note", around),
        condition=condition,
        place=line_of(node),
    )


def _compared(node: Node) -> Compared:
    if node.is_text():
        return Compared(node.text())
    keys = node.mapping(frozenset({"field", "op", "value"}), frozenset({"field"}))
    operator = choice_of(keys["op"], OPERATORS) if "op" in keys else "="
    value = text_of(keys, "value")
    if operator != "=" and not value:
        raise node.error(f"{operator} needs `value`: the part that you choose, e.g. /var/lib/backup/")
    return Compared(keys["field"].text(), operator, value)
