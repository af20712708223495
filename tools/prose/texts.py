"""Write what the program says, one text a paragraph, for the prose check: ``python -m tools.prose.texts > FILE``.

Takes error messages, log lines, help, HELP texts and sentences of reports
from the code: every string literal of three words or more that is not a
docstring or a script, with what is computed replaced by ``x``; what dashboards
and pages say, in attributes too; the annotations of alert rules; and the
catalog's texts.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORDS = re.compile(r"[A-Za-z][a-z]+ [a-z]+[ ,.;:].*[a-z]")
MARKUP = re.compile(r"<[^>]*>|{{.*?}}|{%.*?%}")
ATTRIBUTE = re.compile(r'\b(?:alt|aria-label|placeholder|title)="([^"]+)"')
"""Attributes that a person is shown or read out."""
JAVASCRIPT_TEXT = re.compile(r'"([^"\n]+)"')
# Keys of the catalog whose values are code, addresses or names.
NOT_PROSE = {
    "lists",
    "macros",
    "run",
    "undo",
    "when",
    "content",
    "check",
    "load",
    "url",
    "use",
    "with",
    "needs",
    "except",
    "rule",
}


def literals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string literal that is not a docstring, of an attribute neither."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside_f_strings = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    skipped = docstrings | inside_f_strings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def catalog_texts(value: object, key: str = "") -> Iterator[str]:
    """Yield the texts of a catalog file that a person reads."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in NOT_PROSE:
                yield from catalog_texts(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from catalog_texts(inner, key)
    elif isinstance(value, str):
        yield value


def without_code(markup: str) -> str:
    """Replace what a template computes by ``x``."""
    return MARKUP.sub(" x ", markup)


def code_texts() -> Iterator[tuple[str, str]]:
    """Yield what the program and the dashboards say."""
    for file in sorted([*(ROOT / "exporter").rglob("*.py"), *(ROOT / "dashboards" / "generator").glob("*.py")]):
        if "_proto" not in file.parts:
            for line, text in literals(ast.parse(file.read_text("utf-8"))):
                yield f"{file.relative_to(ROOT)}:{line}", text


def page_texts() -> Iterator[tuple[str, str]]:
    """Yield what the pages and their script say."""
    for file in sorted((ROOT / "exporter").rglob("templates/*.html")):
        for number, markup in enumerate(file.read_text("utf-8").splitlines(), 1):
            for text in (markup, *ATTRIBUTE.findall(markup)):
                yield f"{file.relative_to(ROOT)}:{number}", without_code(text)
    for file in sorted((ROOT / "exporter" / "web" / "static").glob("*.js")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            for text in JAVASCRIPT_TEXT.findall(line):
                yield f"{file.relative_to(ROOT)}:{number}", text


def alert_texts() -> Iterator[tuple[str, str]]:
    """Yield what alert rules say."""
    for file in sorted((ROOT / "dashboards" / "alerts").glob("*.rules.yaml")):
        groups = yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)["groups"]
        for rule in [rule for group in groups for rule in group["rules"]]:
            for name, text in rule.get("annotations", {}).items():
                yield f"{file.relative_to(ROOT)}: {rule['alert']}.{name}", without_code(text)


def all_texts() -> Iterator[tuple[str, str]]:
    """Yield each text with where it stands."""
    yield from code_texts()
    yield from page_texts()
    yield from alert_texts()
    for file in sorted((ROOT / "exporter" / "catalog" / "data").rglob("*.yaml")):
        for text in catalog_texts(yaml.load(file.read_text("utf-8"), yaml.CSafeLoader)):
            yield str(file.relative_to(ROOT)), text


def main() -> None:
    """Print each text once, after its place."""
    seen = set()
    for place, text in all_texts():
        plain = " ".join(text.split())
        if plain not in seen and WORDS.search(plain) and "    falco-report-exporter " not in text and "$(" not in text:
            seen.add(plain)
            print(f"`{place}`\n\n{plain}\n")


if __name__ == "__main__":
    main()
