"""Falco snippets load, against the very rule that they tune.

Owns what Falco's loader would say of a rules file laid over upstream's:
names, override keys, exceptions, conditions (read by ``exporter/falco``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from exporter.catalog.catalog import Catalog
from exporter.catalog.index import RuleFacts
from exporter.catalog.steps import ChangeStep
from exporter.catalog.template import Absent
from exporter.escaping import Unembeddable
from exporter.falco.condition import Comparison, ConditionError, Field, fields_of, parse, walk
from exporter.falco.fields import FITTING, kind_of_field
from exporter.falco.rules import macros_in
from exporter.lint.fields import places
from exporter.lint.finding import Finding
from exporter.lint.samples import VALUES
from exporter.lint.snippets import YamlLoader
from exporter.lint.walk import changes, shared_places

_HEADERS = frozenset({"required_engine_version", "required_plugin_versions"})
_REPLACEABLE = frozenset(
    {
        "desc",
        "condition",
        "output",
        "priority",
        "tags",
        "enabled",
        "exceptions",
        "capture",
        "capture_duration",
        "warn_evttypes",
        "skip-if-unknown-filter",
    }
)
_RULE_KEYS = _REPLACEABLE | {"rule", "source", "override"}
_APPENDABLE = frozenset({"desc", "condition", "output", "tags", "exceptions"})
_DOUBLED = frozenset({"in", "pmatch", "intersects"})
"""Operators of an exception whose values are lists."""


def check_tuning(catalog: Catalog) -> Iterator[Finding]:
    """Yield Falco snippets that Falco would not load, or that do not tune their entry's rule."""
    names = _names(catalog)
    shared = shared_places(catalog)
    for owned, change in changes(catalog):
        if change.format == "falco":
            facts = catalog.facts(owned.entry.rule) if owned.entry else None
            for message in sorted(set(_check(change, _Context(facts, names)))):
                yield Finding(change.place, owned.owner, message)
    for entry in catalog.entries:
        for change in (step for step in entry.tuning if isinstance(step, ChangeStep)):
            own_case = change.place not in shared and entry.source != "internal"
            if own_case and change.format == "falco" and not places(change.content.text):
                yield Finding(
                    change.place, entry.rule, "no placeholder: expected an exception for this alert's own case"
                )
            if change.format == "falco" and not change.file.startswith("/etc/falco/rules.d/"):
                yield Finding(change.place, entry.rule, f"file {change.file!r}; expected /etc/falco/rules.d/NAME.yaml")


@dataclass(frozen=True, slots=True)
class _Names:
    """What upstream's files define."""

    rules: frozenset[str]
    macros: frozenset[str]
    lists: frozenset[str]


def _names(catalog: Catalog) -> _Names:
    facts = catalog.rules.values()
    return _Names(
        rules=frozenset(catalog.rules),
        macros=frozenset(name for rule in facts for name in rule.macros),
        lists=frozenset(name for rule in facts for name in rule.lists),
    )


@dataclass(frozen=True, slots=True)
class _Context:
    facts: RuleFacts | None
    """The rule that is tuned; None in a procedure."""
    names: _Names

    @property
    def source(self) -> str:
        return self.facts.source if self.facts else "syscall"


def _check(change: ChangeStep, context: _Context) -> Iterator[str]:
    for label in ("plain", "hostile"):
        try:
            content = change.content.render(VALUES[label](change.condition.only))
        except (Absent, Unembeddable):
            continue
        try:
            items = yaml.load(content, Loader=YamlLoader)  # noqa: S506 - a safe loader
        except yaml.YAMLError as exc:
            hint = (
                "" if label == "plain" else "; put conditions with placeholders into a block scalar (`condition: >-`)"
            )
            yield f"not YAML with {label} values: {' '.join(str(exc).split())}{hint}"
            return
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            yield "expected a list of rules, macros and lists"
            return
        own = frozenset(str(item[kind]) for item in items for kind in ("macro", "list") if kind in item)
        for item in items:
            yield from _item(item, context, own)


def _item(item: Mapping[str, object], context: _Context, own: frozenset[str]) -> Iterator[str]:
    if item.keys() & _HEADERS:
        return
    if "append" in item:
        yield "`append:` is deprecated; write `override: {KEY: append}`"
    if "macro" in item:
        yield from _macro(item, context, own)
    elif "list" in item:
        yield from _list(item, context)
    elif "rule" in item:
        yield from _rule(item, context, own)
    else:
        yield f"found keys {', '.join(map(str, item))}; expected rule, macro or list"


def _override(item: Mapping[str, object], allowed: frozenset[str]) -> Iterator[str]:
    override = item.get("override")
    if not isinstance(override, dict) or not override:
        yield "expected `override:` with keys and append or replace; without it upstream's definition would be lost"
        return
    for key, way in override.items():
        if key not in allowed:
            yield f"override of {key}; expected one of {', '.join(sorted(allowed))}"
        elif key not in item:
            yield f"override of {key}, but the item has no {key}"
        if way not in {"append", "replace"}:
            yield f"override {key}: {way}; expected append or replace"


def _hook(item: Mapping[str, object], kind: str, context: _Context) -> Iterator[str]:
    name = str(item[kind])
    known = context.names.macros if kind == "macro" else context.names.lists
    key = "condition" if kind == "macro" else "items"
    if name not in known:
        return
    yield from _override(item, frozenset({key}))
    facts = context.facts
    if facts is None:
        return
    if name not in facts.macros + facts.lists:
        hooks = ", ".join(facts.hooks) or "none: append an exception to the rule"
        yield f"{kind} {name} is not used by this rule's condition; upstream's hooks for it: {hooks}"
    override = item.get("override")
    if isinstance(override, dict) and override.get(key) == "replace" and name not in facts.hooks:
        yield f"{kind} {name} has content upstream, which `replace` would lose; use append"


def _macro(item: Mapping[str, object], context: _Context, own: frozenset[str]) -> Iterator[str]:
    yield from _hook(item, "macro", context)
    override = item.get("override")
    appended = isinstance(override, dict) and override.get("condition") == "append"
    yield from _condition(str(item.get("condition", "")), context, own, appended=appended)


def _list(item: Mapping[str, object], context: _Context) -> Iterator[str]:
    yield from _hook(item, "list", context)
    items = item.get("items")
    if not isinstance(items, list) or not items:
        yield f"list {item['list']} without items"
    elif found := [value for value in items if isinstance(value, (dict, list))]:
        yield f"list {item['list']} holds {found[0]!r}; expected words"


def _rule(item: Mapping[str, object], context: _Context, own: frozenset[str]) -> Iterator[str]:
    name = str(item["rule"])
    if unknown := item.keys() - _RULE_KEYS:
        yield f"rule {name}: unknown key {', '.join(sorted(unknown))}"
    if name not in context.names.rules:
        if missing := {"desc", "condition", "output", "priority"} - item.keys():
            yield f"rule {name} is none of upstream's and, for a new one, lacks {', '.join(sorted(missing))}"
        yield from _condition(str(item.get("condition", "")), context, own, appended=False)
        return
    if context.facts and name != context.facts.rule and context.source != "internal":
        yield f"tunes {name}; expected {context.facts.rule}"
    if item.get("enabled") is False:
        yield "disables the rule; expected an exception for this case only"
    yield from _override(item, _REPLACEABLE)
    override = item.get("override")
    if isinstance(override, dict) and (left := (item.keys() & _REPLACEABLE) - override.keys()):
        yield f"rule {name}: {', '.join(sorted(left))} without an entry under `override`"
    for key, way in override.items() if isinstance(override, dict) else ():
        if way == "append" and key not in _APPENDABLE:
            yield f"rule {name}: {key} cannot be appended to; expected replace"
    if "condition" in item:
        appended = isinstance(override, dict) and override.get("condition") == "append"
        yield from _condition(str(item["condition"]), context, own, appended=appended)
    yield from _exceptions(item.get("exceptions"), context)


def _exceptions(exceptions: object, context: _Context) -> Iterator[str]:
    for exception in exceptions if isinstance(exceptions, list) else ():
        if not isinstance(exception, dict) or "name" not in exception or "fields" not in exception:
            yield "an exception needs name and fields"
        else:
            yield from _exception(exception, context)


def _exception(exception: Mapping[str, object], context: _Context) -> Iterator[str]:
    name, fields, values = exception["name"], exception["fields"], exception.get("values")
    single = isinstance(fields, str)
    names = [fields] if single else fields
    comps = exception.get("comps", "in" if single else ["="] * len(names) if isinstance(names, list) else [])
    operators = [comps] if isinstance(comps, str) else comps
    if not isinstance(names, list) or not isinstance(operators, list) or len(names) != len(operators):
        yield f"exception {name}: fields and comps differ in number"
        return
    for field, operator in zip(names, operators, strict=True):
        yield from _comparison(str(field), str(operator), context)
    if not isinstance(values, list) or not values:
        yield f"exception {name} has no values"
    elif not single:
        yield from _rows(str(name), values, [str(operator) for operator in operators])


def _rows(name: str, rows: list[object], operators: list[str]) -> Iterator[str]:
    for row in rows:
        if not isinstance(row, list) or len(row) != len(operators):
            yield f"exception {name}: found {row!r}, expected a list of {len(operators)} values"
            continue
        for value, operator in zip(row, operators, strict=True):
            if isinstance(value, list) != (operator in _DOUBLED):
                wanted = "a list" if operator in _DOUBLED else "one value"
                yield f"exception {name}: {operator} compares with {wanted}, found {value!r}"


def _condition(text: str, context: _Context, own: frozenset[str], *, appended: bool) -> Iterator[str]:
    text = text.strip()
    if appended:
        if not text.startswith(("and ", "or ", "and(", "or(", "and\n", "or\n")):
            yield f"an appended condition begins with `and` or `or`; found {text[:30]!r}"
            return
        text = f"evt.num=0 {text}"
    try:
        node = parse(text)
    except ConditionError as exc:
        yield f"condition does not parse: {exc}"
        return
    for macro in macros_in(node):
        if macro not in context.names.macros | own:
            yield f"macro {macro} is defined nowhere"
    for comparison in walk(node):
        if not isinstance(comparison, Comparison):
            continue
        if isinstance(comparison.left, Field):
            yield from _comparison(comparison.left.key, comparison.operator, context)
        else:
            for field in fields_of(comparison.left):
                yield from _comparison(field.key, "exists", context)


def _comparison(field: str, operator: str, context: _Context) -> Iterator[str]:
    kind = kind_of_field(field, context.source)
    if kind is None:
        yield f"{field} is not a field of source {context.source}"
    elif operator not in FITTING[kind]:
        fitting = ", ".join(sorted(FITTING[kind]))
        yield f"{field} is a {kind}; {operator!r} does not fit, use one of {fitting}"
