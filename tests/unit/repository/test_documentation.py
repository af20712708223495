"""The documentation can be followed: commands exist, blocks are what they say, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from exporter.cli import build_parser
from exporter.commands.settings import config_from
from exporter.config.loader import load_config
from exporter.errors import ConfigError
from exporter.web.web_config import read_web_config

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = "falco-report-exporter "
# What a command is made of where a reader puts something of their own.
PLACES = {"RULES_FILE…": "rules.yaml", "DIR": "dir", "bash|zsh|tcsh": "bash"}


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in a language."""
    tokens = MarkdownIt().parse(page.read_text("utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def commands(page: Path) -> Iterator[str]:
    """Yield each of our commands: in shell blocks, in indented blocks and in code spans."""
    tokens = MarkdownIt().parse(page.read_text("utf-8"))
    code = [
        token.content for token in tokens if token.type == "code_block" or (token.type, token.info) == ("fence", "sh")
    ]
    spans = [child.content for token in tokens for child in token.children or () if child.type == "code_inline"]
    for line in "\n".join(code).replace("\\\n", " ").splitlines():
        found = line.partition("#")[0].partition(COMMAND)[2]
        if found and " install " not in line and "docker" not in line and "kubectl" not in line and "helm" not in line:
            yield re.split(r"[|>;]", found)[0].strip()
    yield from (span.removeprefix(COMMAND) for span in spans if span.startswith(COMMAND))


COMMANDS = sorted({(page.name, command) for page in PAGES for command in commands(page) if command})


def test_there_are_commands() -> None:
    """The parametrization below has something to try."""
    assert len(COMMANDS) > 12


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_is_valid(page: str, command: str) -> None:
    """Every flag and argument exists, and settings fit together."""
    words = [PLACES.get(word, word) for word in shlex.split(command) if word != "…"]
    given = build_parser().parse_args(words)
    if given.command in {"run", "check"}:
        config_from(given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_blocks_are_yaml(page: Path) -> None:
    """Each can be pasted."""
    for block in blocks(page, "yaml"):
        assert isinstance(yaml.safe_load(block), dict | list), block


def test_settings_are_settings(tmp_path: Path) -> None:
    """The blocks of docs/settings.md are a settings file together, those of exposing.md a web configuration file."""
    file = tmp_path / "settings.yaml"
    for block in blocks(ROOT / "docs" / "settings.md", "yaml"):
        for number, path in enumerate(sorted(set(re.findall(r"/etc/[\w./-]+", block)))):
            own = tmp_path / f"file-{number}"  # the reader's files
            own.write_text("a=b\n", "utf-8")
            block = block.replace(path, str(own))  # noqa: PLW2901
        file.write_text(block, "utf-8")
        load_config({"http.address": "127.0.0.1:2801"}, {}, file)
    [block] = blocks(ROOT / "docs" / "exposing.md", "yaml")
    file.write_text(block, "utf-8")
    with pytest.raises(ConfigError, match="bcrypt"):  # the password and the certificates are the reader's
        read_web_config(file)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return a page's anchors as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"\]\([^)]*\)", "", heading).lower() for heading in headings]
    return frozenset(re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist, and anchors on them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name}: {target}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    """A page that nobody finds is not read."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([\w-]+\.md)", index))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} == listed
