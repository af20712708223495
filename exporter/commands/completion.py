"""Completion in a shell: scripts that ask the program, and what it answers where argparse knows no choices.

Owns the command that prints the script of a shell, and the candidates: names of rules, event sources
and priorities. The shell starts the program at each Tab with ``_ARGCOMPLETE``
set; quoting is argcomplete's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

_HOW_TO_INSTALL = """\
`make install` has installed it for every user. Otherwise run this once and start a new shell:
  bash  falco-report-exporter completion bash >> ~/.bashrc
  zsh   (echo 'autoload -Uz compinit && compinit'; falco-report-exporter completion zsh) >> ~/.zshrc
  fish  falco-report-exporter completion fish > ~/.config/fish/completions/falco-report-exporter.fish
"""


def add_completion(commands: Any) -> None:
    """Add ``completion``."""
    parser = commands.add_parser(
        "completion",
        help="print a shell completion script",
        description="Print a script that completes commands, settings, files and the names of rules.",
        epilog=_HOW_TO_INSTALL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish", help="the shell to complete in"
    )
    parser.set_defaults(start=_print_script)


def _print_script(given: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    if given.shell == "zsh":
        print(resources.files("exporter.commands").joinpath("completion.zsh").read_text(encoding="utf-8"))
    else:
        print(shellcode(["falco-report-exporter"], shell=given.shell))
    return 0


def answer(parser: argparse.ArgumentParser) -> None:
    """Write the candidates for what the shell has so far, and end the process.

    Flags appear when a dash is typed. What has no candidates is completed as a file only where it is one.
    """
    import argcomplete

    _offer_files_for_files_only(parser)
    argcomplete.autocomplete(parser, always_complete_options=False, validator=_begins)


def _begins(candidate: str, typed: str) -> bool:
    """Rules are known by their name in any case."""
    return candidate.casefold().startswith(typed.casefold())


def _offer_files_for_files_only(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _offer_files_for_files_only(below)
        elif action.choices is None and not hasattr(action, "completer") and not hasattr(action, _IS_A_FILE):
            complete_with(action, _nothing)


_IS_A_FILE = "is_a_file"


def complete_files(action: argparse.Action) -> None:
    """Let the argument's values be completed as files and directories."""
    setattr(action, _IS_A_FILE, True)


def complete_with(action: argparse.Action, completer: Callable[..., Iterable[str]]) -> None:
    """Let the argument's values be completed by a function that takes argcomplete's keywords."""
    action.completer = completer  # type: ignore[attr-defined]


def _nothing(**_: Any) -> Iterable[str]:
    return ()


def rule_names(*, parsed_args: argparse.Namespace, **_: Any) -> Iterable[str]:
    """Return the name of every rule that has advice: the official ones, and those of ``--catalog.directories``."""
    from exporter.catalog.index import official_rules

    own = {name for directory in getattr(parsed_args, "directories", ()) for name in _names_in(directory)}
    return sorted(own | {facts.rule for facts in official_rules()})


def _names_in(directory: Path) -> Iterable[str]:
    """Yield the rules of a directory's catalog files; a file that is not right has none here, `validate` says why."""
    import yaml

    for file in sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")]):
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        entries = document.get("entries") if isinstance(document, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("rule"), str):
                yield entry["rule"]


def sources(**_: Any) -> Iterable[str]:
    """Return the event sources that official rules have."""
    from exporter.catalog.index import official_rules

    return sorted({facts.source for facts in official_rules()})


def priorities(**_: Any) -> Iterable[str]:
    """Return Falco's priorities, as they are typed."""
    from exporter.alert import Priority

    return [each.label.lower() for each in Priority if each is not Priority.UNKNOWN]
