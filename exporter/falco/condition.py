"""Falco's conditions: parse, print and evaluate them.

Owns nothing itself: the one place to import from. The parts are the words
(``tokens.py``), the grammar (``parser.py``), the nodes (``nodes.py``) and the
evaluation (``evaluation.py``).
"""

from exporter.falco.comparisons import address_of
from exporter.falco.evaluation import Evaluation, Lookup, compile_condition
from exporter.falco.nodes import (
    LIST_OPERATORS,
    NUMBER_OPERATORS,
    SYMBOL_OPERATORS,
    WORD_OPERATORS,
    And,
    Call,
    Comparison,
    Field,
    Macro,
    Node,
    Not,
    Or,
    Value,
    Values,
    fields_of,
    to_text,
    walk,
)
from exporter.falco.parser import parse
from exporter.falco.tokens import ConditionError

__all__ = [
    "LIST_OPERATORS",
    "NUMBER_OPERATORS",
    "SYMBOL_OPERATORS",
    "WORD_OPERATORS",
    "And",
    "Call",
    "Comparison",
    "ConditionError",
    "Evaluation",
    "Field",
    "Lookup",
    "Macro",
    "Node",
    "Not",
    "Or",
    "Value",
    "Values",
    "address_of",
    "compile_condition",
    "fields_of",
    "parse",
    "to_text",
    "walk",
]
