"""The argument parser: help that begins with what most people set, and errors that name the nearest word.

Owns how help and usage errors look. Refuses to know which arguments there are
(see ``arguments.py``).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from exporter.errors import nearest

_UNRECOGNIZED = re.compile(r"unrecognized arguments: (.*)", re.DOTALL)
_INVALID_CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """argparse's parser with a second, shorter help for commands that have many settings."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False} | keywords)
        self._less_common: list[argparse._ArgumentGroup] = []

    def add_less_common_group(self, title: str) -> argparse._ArgumentGroup:
        """Return a new group that only ``--help-all`` shows."""
        group = self.add_argument_group(title)
        self._less_common.append(group)
        return group

    def format_help(self) -> str:
        """Return the help without the less common groups."""
        groups = self._action_groups
        self._action_groups = [group for group in groups if group not in self._less_common]
        try:
            return super().format_help()
        finally:
            self._action_groups = groups

    def format_help_all(self) -> str:
        """Return the help with every group."""
        return super().format_help()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; what a command does not know, that command says. Exits 2 on errors."""
        given, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flags = [word for word in unknown if word.startswith("-")]
            self._chosen(given).error(f"unrecognized arguments: {' '.join(flags or unknown)}")
        return given

    def _chosen(self, given: argparse.Namespace) -> argparse.ArgumentParser:
        """Return the parser of the command that was given, with its action."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                below = action.choices.get(str(getattr(given, action.dest, "")))
                return below._chosen(given) if isinstance(below, Parser) else self
        return self

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the nearest word that is known, then how to get help; exit 2."""
        self.exit(2, f"{self.prog}: {self._with_nearest(message)}\n{self.prog} --help shows how it is used.\n")

    def _with_nearest(self, message: str) -> str:
        if match := _UNRECOGNIZED.search(message):
            known = set(self._every_flag())
            named = [word + nearest(word.partition("=")[0], known) for word in match[1].split(" ")]
            return f"unknown argument: {' '.join(named)}"
        if match := _INVALID_CHOICE.search(message):
            choices = [choice.strip(" '") for choice in match[2].split(",")]
            choices += [flag for action in self._actions for flag in action.option_strings]
            return message.replace(f"'{match[1]}'", f"'{match[1]}'{nearest(match[1], choices)}", 1)
        return message

    def _every_flag(self) -> Iterator[str]:
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for parser in action.choices.values():
                    yield from parser._every_flag()


class HelpAll(argparse.Action):
    """``--help-all``: print every setting, and exit 0."""

    def __init__(self, option_strings: list[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        """Print and exit."""
        assert isinstance(parser, Parser)
        parser._print_message(parser.format_help_all(), sys.stdout)
        parser.exit()
