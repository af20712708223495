"""Reading a condition: Falco's grammar (falcosecurity/libs, ``userspace/libsinsp/filter/parser.h``).

Owns the grammar; the words are ``tokens.py``'s. Refuses to know which fields,
macros and lists there are.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.falco import tokens
from exporter.falco.nodes import (
    LIST_OPERATORS,
    MODIFIERS,
    NUMBER_OPERATORS,
    SYMBOL_OPERATORS,
    TRANSFORMERS,
    WORD_OPERATORS,
    And,
    Call,
    Comparison,
    Field,
    Macro,
    Node,
    Not,
    Operand,
    Operands,
    Or,
    Value,
    Values,
)
from exporter.falco.tokens import ConditionError, Tokens

_DEPTH_LIMIT = 60
"""Brackets within brackets; Falco's own limit is about 200, and no rule of its projects has more than 5."""
_CALLS = tuple(f"{name}(" for name in TRANSFORMERS)


def parse(text: str) -> Node:
    """Return the condition. Raises ConditionError for what Falco would not load, and above 60 nested brackets."""
    if not text:
        raise ConditionError("the condition is empty")
    parser = _Parser(text)
    node = parser.disjunction()
    if parser.tokens.at != len(text):
        raise parser.tokens.fail("'and', 'or' or the end")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = Tokens(text)
        self.depth = 0

    def disjunction(self) -> Node:
        children = self._joined("or", self.conjunction)
        return Or(children) if len(children) > 1 else children[0]

    def conjunction(self) -> Node:
        children = self._joined("and", self.negation)
        return And(children) if len(children) > 1 else children[0]

    def _joined(self, word: str, part: Callable[[], Node]) -> tuple[Node, ...]:
        self.tokens.blank()
        children = [part()]
        self.tokens.blank()
        while self.tokens.take(word):
            if self.tokens.blank():
                children.append(part())
            elif self.tokens.take("("):
                children.append(self.embedded())
            else:
                raise self.tokens.fail(f"a blank or '(' after {word!r}")
            self.tokens.blank()
        return tuple(children)

    def negation(self) -> Node:
        self.tokens.blank()
        negated = False
        while self.tokens.match(tokens.NOT):
            negated = not negated
        if self.tokens.take("not("):
            negated = not negated
            child = self.embedded()
        else:
            child = self.check()
        return Not(child) if negated else child

    def embedded(self) -> Node:
        """Read what stands in brackets, the first of which is already read."""
        self._deeper()
        node = self.disjunction()
        self.depth -= 1
        self.tokens.expect(")")
        return node

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEPTH_LIMIT:
            raise ConditionError(f"more than {_DEPTH_LIMIT} brackets within brackets")

    def check(self) -> Node:
        self.tokens.blank()
        if self.tokens.take("("):
            return self.embedded()
        left = self.field() or self.call()
        if left is not None:
            return self.comparison(left)
        name = self.tokens.match(tokens.IDENTIFIER)
        if name is None:
            raise self.tokens.fail("a bracket, a field or a macro's name")
        return Macro(name)

    def field(self) -> Field | None:
        name = self.tokens.match(tokens.FIELD)
        return None if name is None else Field(name, self.argument())

    def argument(self) -> str | None:
        if not self.tokens.take("["):
            return None
        argument = self.tokens.quoted()
        argument = self.tokens.match(tokens.ARGUMENT) if argument is None else argument
        if argument is None:
            raise self.tokens.fail("a field's argument, quoted or without blanks, quotes and brackets")
        self.tokens.expect("]")
        return argument

    def call(self) -> Call | None:
        name = self.tokens.take_any(_CALLS)
        if name is None:
            return None
        self._deeper()
        arguments = [self.operand()]
        self.tokens.blank()
        while self.tokens.take(","):
            arguments.append(self.operand())
            self.tokens.blank()
        self.depth -= 1
        self.tokens.expect(")")
        return Call(name[:-1], tuple(arguments), self.argument())

    def operand(self) -> Operand:
        self.tokens.blank()
        number = self.tokens.match(tokens.NUMBER)
        if number is not None:
            return Value(number)
        quoted = self.tokens.quoted()
        if quoted is not None:
            return Value(quoted, quoted=True)
        if self.tokens.take("("):
            return self._operands()
        found = self.call() or self.field()
        if found is None:
            raise self.tokens.fail("a field, a transformer, a quoted text, a number or a list")
        return found

    def _operands(self) -> Operands:
        self._deeper()
        items: list[Operand] = []
        self.tokens.blank()
        while not self.tokens.take(")"):
            if items:
                self.tokens.expect(",")
            if self.tokens.sees(tokens.OPENING):
                raise self.tokens.fail("no list within a list")
            items.append(self.operand())
            self.tokens.blank()
        self.depth -= 1
        return Operands(tuple(items))

    def comparison(self, left: Field | Call) -> Comparison:
        self.tokens.blank()
        if self.tokens.take("exists"):
            return Comparison(left, "exists")
        operator = self.tokens.take_any(NUMBER_OPERATORS)
        if operator:
            return Comparison(left, operator, self.right_call() or self._number())
        operator = self.tokens.take_any(SYMBOL_OPERATORS)
        blank = operator is not None and self.tokens.blank()
        if operator is None:
            operator = self.tokens.take_any(WORD_OPERATORS, blank_after=True)
            blank = True
        if operator:
            modifier = self._modifier() if blank else None
            right = self.list_value() if modifier else self.right_call() or self.value()
            return Comparison(left, operator, right, modifier)
        operator = self.tokens.take_any(LIST_OPERATORS)
        if operator is None:
            raise self.tokens.fail("a comparison operator")
        return Comparison(left, operator, self.list_value(call=True))

    def _modifier(self) -> str | None:
        """Read ``oneof`` and its like, if a list follows; else it is a value."""
        start = self.tokens.at
        word = self.tokens.take_any(MODIFIERS, blank_after=True)
        keyword = self.tokens.sees(tokens.KEYWORD)
        if word and not keyword and (self.tokens.sees(tokens.OPENING) or self.tokens.sees(tokens.IDENTIFIER)):
            return word
        self.tokens.at = start
        return None

    def right_call(self) -> Call | None:
        self.tokens.blank()
        if not self.tokens.take("val("):
            return self.call()
        self.tokens.blank()
        found = self.field()
        if found is None:
            raise self.tokens.fail("a field within val()")
        self.tokens.blank()
        self.tokens.expect(")")
        return Call("val", (found,), self.argument())

    def _number(self) -> Value:
        self.tokens.blank()
        number = self.tokens.match(tokens.NUMBER)
        if number is None:
            raise self.tokens.fail("a number or a field with a transformer")
        return Value(number)

    def value(self) -> Value:
        self.tokens.blank()
        quoted = self.tokens.quoted()
        if quoted is not None:
            return Value(quoted, quoted=True)
        bare = self.tokens.match(tokens.BARE)
        if bare is None:
            raise self.tokens.fail("a value; quote it where it holds blanks, brackets, quotes, commas or =")
        return Value(bare)

    def list_value(self, *, call: bool = False) -> Value | Values | Call:
        self.tokens.blank()
        if self.tokens.take("("):
            return self._values()
        found = self.right_call() if call else None
        if found is not None:
            return found
        name = self.tokens.match(tokens.IDENTIFIER)
        if name is None:
            raise self.tokens.fail("a list in brackets or a list's name")
        return Value(name)

    def _values(self) -> Values:
        self.tokens.blank()
        items: list[Value] = []
        if not self.tokens.take(")"):
            items.append(self.value())
            self.tokens.blank()
            while self.tokens.take(","):
                items.append(self.value())
                self.tokens.blank()
            self.tokens.expect(")")
        return Values(tuple(items))
