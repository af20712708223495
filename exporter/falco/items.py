"""One item of a rules file: its keys, its exceptions and what it does to what came before.

Owns which keys can be appended to and replaced (falcosecurity/falco,
``userspace/engine/rule_loader_reader.cpp``). Raises ``Refused`` for what
Falco would not load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.falco.rules import Rule, RuleException
from exporter.falco.yaml_core import YamlMap, YamlTree

TRUE = frozenset(word for true in ("y", "yes", "true", "on") for word in (true, true.capitalize(), true.upper()))
_APPENDABLE = {"list": {"items"}, "macro": {"condition"}, "rule": {"condition", "output", "desc", "tags", "exceptions"}}
_REPLACEABLE = {
    **_APPENDABLE,
    "rule": _APPENDABLE["rule"]
    | {"priority", "capture", "capture_duration", "enabled", "warn_evttypes", "skip-if-unknown-filter"},
}


class Refused(Exception):  # noqa: N818 - becomes a problem of the file
    """Falco would not load this item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a file."""

    kind: str
    name: str
    map: YamlMap
    append: frozenset[str]
    replace: frozenset[str]

    def text(self, key: str) -> str:
        """Return a key's text. Raises Refused where there is none."""
        value = self.map.get(key)
        if not isinstance(value, str) or not value:
            raise Refused(f"found {kind_of(value)} under {key}, expected a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a key's list of texts. Raises Refused where there is none."""
        value = self.map.get(key)
        if not isinstance(value, list):
            raise Refused(f"found {kind_of(value)} under {key}, expected a list")
        return tuple(_text(item, key) for item in value)

    def has(self, *keys: str) -> bool:
        """Whether the item has one of these keys."""
        return any(key in self.map.items for key in keys)


def item_of(kind: str, item: YamlMap) -> Item:
    """Return the item with what it appends to and replaces. Raises Refused."""
    name = item.get(kind)
    if not isinstance(name, str) or not name:
        raise Refused("has no name")
    found: dict[str, set[str]] = {"append": set(), "replace": set()}
    override = item.get("override")
    for key, way in override.items.items() if isinstance(override, YamlMap) else ():
        allowed = {"append": _APPENDABLE, "replace": _REPLACEABLE}.get(str(way), {}).get(kind, set())
        if key not in allowed:
            raise Refused(f"override {key}: {way} is not possible")
        if key not in item.items:
            raise Refused(f"override {key}: {way}, but the item has no {key}")
        found[str(way)].add(key)
    appends = item.get("append")
    if isinstance(appends, str) and appends in TRUE:
        if override is not None:
            raise Refused("has both append and override")
        found["append"] |= {key for key in ("condition", "exceptions", "items") if key in item.items}
    elif kind == "rule" and (found["append"] or found["replace"]):
        left = _REPLACEABLE["rule"] & item.items.keys() - found["append"] - found["replace"]
        if left:
            raise Refused(f"{', '.join(sorted(left))} without an entry under override")
    return Item(kind, name, item, frozenset(found["append"]), frozenset(found["replace"]))


def appended(rule: Rule, item: Item) -> Rule:
    """Return the rule with what the item appends. Raises Refused."""
    texts = {"condition": rule.condition, "output": rule.output, "desc": rule.desc}
    rule = _with_texts(rule, {key: f"{text} {item.text(key)}" for key, text in texts.items() if key in item.append})
    if "tags" in item.append:
        rule = replace(rule, tags=unique((*rule.tags, *item.texts("tags"))))
    return replace(rule, exceptions=_joined(rule, item)) if "exceptions" in item.append else rule


def _with_texts(rule: Rule, texts: Mapping[str, str]) -> Rule:
    return replace(
        rule,
        condition=texts.get("condition", rule.condition),
        output=texts.get("output", rule.output),
        desc=texts.get("desc", rule.desc),
        priority=texts.get("priority", rule.priority),
    )


def _joined(rule: Rule, item: Item) -> tuple[RuleException, ...]:
    exceptions = {exception.name: exception for exception in rule.exceptions}
    for exception in exceptions_of(item):
        known = exceptions.get(exception.name)
        if known is None:
            require_fields(exception)
            if not exception.values:
                raise Refused(f"exception {exception.name} has no values")
            exceptions[exception.name] = exception
        elif exception.fields is not None or exception.comps is not None:
            raise Refused(f"exception {exception.name} exists already; only values can be appended to it")
        else:
            exceptions[exception.name] = replace(known, values=known.values + exception.values)
    return tuple(exceptions.values())


def replaced(rule: Rule, item: Item) -> Rule:
    """Return the rule with what the item replaces. Raises Refused."""
    rule = _with_texts(
        rule, {key: item.text(key) for key in ("condition", "output", "desc", "priority") if key in item.replace}
    )
    if "tags" in item.replace:
        rule = replace(rule, tags=unique(item.texts("tags")))
    if "enabled" in item.replace:
        rule = replace(rule, enabled=item.text("enabled") in TRUE)
    return replace(rule, exceptions=exceptions_of(item)) if "exceptions" in item.replace else rule


def exceptions_of(item: Item) -> tuple[RuleException, ...]:
    """Return the item's exceptions. Raises Refused."""
    found = item.map.get("exceptions")
    if found is None:
        return ()
    if not isinstance(found, list):
        raise Refused(f"found {kind_of(found)} under exceptions, expected a list")
    return tuple(_exception(exception) for exception in found)


def _exception(exception: YamlTree) -> RuleException:
    if not isinstance(exception, YamlMap) or not isinstance(name := exception.get("name"), str) or not name:
        raise Refused("an exception without a name")
    values = exception.get("values")
    if values is not None and not isinstance(values, list):
        raise Refused(f"exception {name}: found {kind_of(values)} under values, expected a list")
    comps = _names(exception, "comps")
    comps = comps.strip() if isinstance(comps, str) else comps and tuple(comp.strip() for comp in comps)
    return RuleException(name, _names(exception, "fields"), comps, tuple(_value(value, name) for value in values or ()))


def _names(exception: YamlMap, key: str) -> str | tuple[str, ...] | None:
    value = exception.get(key)
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Refused(f"found {kind_of(value)} under {key}, expected a text or a list")
    return tuple(_text(item, key) for item in value)


def _value(value: YamlTree, name: str) -> str | tuple[str | tuple[str, ...], ...]:
    if isinstance(value, list):
        return tuple(
            tuple(_text(inner, f"exception {name}") for inner in item)
            if isinstance(item, list)
            else _text(item, f"exception {name}")
            for item in value
        )
    return _text(value, f"exception {name}")


def _text(value: YamlTree, where: str) -> str:
    if not isinstance(value, str):
        raise Refused(f"found {kind_of(value)} in {where}, expected a text")
    return value


def require_fields(exception: RuleException) -> None:
    """Raise Refused where an exception that is new does not say which fields it compares."""
    fields, comps = exception.fields, exception.comps
    if fields is None:
        raise Refused(f"exception {exception.name} has no fields")
    if comps is not None and isinstance(comps, str) != isinstance(fields, str):
        raise Refused(f"exception {exception.name}: fields and comps are not of one form")


def unique(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts without repetitions, in their order."""
    return tuple(dict.fromkeys(texts))


def kind_of(value: YamlTree) -> str:
    """Return words for what was found, for errors."""
    if isinstance(value, YamlMap):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"the text {value[:40]!r}"
