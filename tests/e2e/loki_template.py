"""The part of Go's templates that our LogQL uses, for the stand-in for Loki.

``if``, ``else``, ``range`` and ``end``; fields; ``add``, ``sub``, ``fromJson``,
``date``, ``unixEpochMillis``, ``__line__`` and ``__timestamp__``. Anything else
is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[()|]|[^\s()|]+')


@dataclass
class Block:
    """What stands between ``if`` or ``range`` and ``end``."""

    word: str = ""
    expression: str = ""
    content: list[str | Block] = field(default_factory=list)
    otherwise: list[str | Block] = field(default_factory=list)


@dataclass(frozen=True)
class Values:
    """What a template can ask for."""

    fields: Mapping[str, str]
    line: str
    time_ns: int
    dot: Any = None


def render(template: str, fields: Mapping[str, str], line: str, time_ns: int) -> str:
    """Return the text that a template makes of a line. Raises ValueError for what is not understood."""
    return _write(_parse(template), Values(fields, line, time_ns))


def _parse(template: str) -> list[str | Block]:
    stack, current, position = [], Block(), 0
    target, root = current.content, current
    for action in _ACTION.finditer(template):
        target.append(template[position : action.start()])
        position = action.end()
        word, _, rest = action[1].partition(" ")
        if word in {"if", "range"}:
            block = Block(word, rest)
            target.append(block)
            stack.append((current, target))
            current, target = block, block.content
        elif word == "else" and not rest:
            target = current.otherwise
        elif word == "end":
            current, target = stack.pop()
        else:
            target.append(Block("value", action[1]))
    target.append(template[position:])
    if stack:
        raise ValueError("a block without end")
    return root.content


def _write(content: list[str | Block], values: Values) -> str:
    return "".join(part if isinstance(part, str) else _write_block(part, values) for part in content)


def _write_block(block: Block, values: Values) -> str:
    value = _evaluate(block.expression, values)
    if block.word == "value":
        return str(value)
    if block.word == "if":
        return _write(block.content if value else block.otherwise, values)
    return "".join(_write(block.content, Values(values.fields, values.line, values.time_ns, item)) for item in value)


def _evaluate(expression: str, values: Values) -> Any:
    tokens = _TOKEN.findall(expression)
    value = _pipeline(tokens, values)
    if tokens:
        raise ValueError(f"not understood: {expression}")
    return value


def _pipeline(tokens: list[str], values: Values) -> Any:
    value = _call(tokens, values, ())
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        value = _call(tokens, values, (value,))
    return value


def _call(tokens: list[str], values: Values, last: tuple[Any, ...]) -> Any:
    name, operands = tokens.pop(0), []
    if name == "(" or name.startswith((".", '"')) or name.isdigit():
        return _operand(name, tokens, values)
    while tokens and tokens[0] not in {")", "|"}:
        operands.append(_operand(tokens.pop(0), tokens, values))
    return _apply(name, (*operands, *last), values)


def _operand(token: str, tokens: list[str], values: Values) -> Any:
    if token == "(":
        value = _pipeline(tokens, values)
        tokens.pop(0)
        return value
    if token == ".":
        return values.dot
    if token.startswith("."):
        return values.fields.get(token[1:], "")
    if token.startswith('"'):
        return json.loads(token)
    return int(token) if token.isdigit() else _apply(token, (), values)


def _apply(name: str, operands: tuple[Any, ...], values: Values) -> Any:
    functions: dict[str, Callable[..., Any]] = {
        "__line__": lambda: values.line,
        "__timestamp__": lambda: values.time_ns,
        "unixEpochMillis": lambda time_ns: str(time_ns // 1_000_000),
        "add": lambda first, second: int(first) + int(second),
        "sub": lambda first, second: int(first) - int(second),
        "fromJson": json.loads,
        "date": _date,
    }
    if name not in functions:
        raise ValueError(f"no function that the stand-in understands: {name}")
    return functions[name](*operands)


def _date(shape: str, time_ns: int) -> str:
    """Go's reference time in the shapes that we use."""
    whole, nanoseconds = divmod(time_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(whole, UTC)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    for part, text in (
        ("2006-01-02", f"{moment:%Y-%m-%d}"),
        ("15:04:05", f"{moment:%H:%M:%S}"),
        (".999999999", fraction),
        ("MST", "UTC"),
    ):
        shape = shape.replace(part, text)
    return shape
