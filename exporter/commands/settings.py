"""The settings as flags of a command: which are shown first, and what was given.

Owns the flags' form; what a setting is stands in ``config/options.py``.
"""

from __future__ import annotations

import argparse
import os
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

from exporter.commands.completion import complete_files
from exporter.commands.parser import HelpAll, Parser
from exporter.config.loader import FILE_VARIABLE, TARGETS_VARIABLE, load_config
from exporter.config.model import Config
from exporter.config.options import Option, options
from exporter.config.values import from_text

_PRECEDENCE = f"""\
Settings come from flags, then environment variables, then the YAML file, then
defaults. Every flag --SECTION.SOME-NAME is FALCO_REPORT_EXPORTER_SECTION_SOME_NAME
in the environment and `section: {{some_name: …}}` in the file (--config, or
{FILE_VARIABLE}). {TARGETS_VARIABLE} takes several
addresses with commas. OTEL_* variables work as OpenTelemetry documents them.
"""
OF_RUN = frozenset(
    {
        "targets", "http.address", "json_lines.file", "otlp.endpoint", "queue.directory", "web.listen_address",
        "history.directory", "web.config_file", "metrics.extra_labels", "catalog.directories", "log.level",
    }
)  # fmt: skip
"""Settings that ``--help`` shows of the commands that run the exporter or try all of it."""
OF_HISTORY = frozenset({"history.directory", "catalog.directories", "log.level"})
"""Those of the commands that read the history."""
OF_RECEIVER = frozenset({"http.address", "web.listen_address", "web.config_file", "log.level"})
"""Those of the commands that ask a running exporter."""
_WIDTH = 79


def add_path(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str, **options_: Any) -> None:
    """Add an argument whose value is completed with the names of files."""
    complete_files(parser.add_argument(*names, **options_))


def add_settings(parser: Parser, shown: str, common_settings: frozenset[str] = OF_RUN) -> None:
    """Add every setting; ``--help`` shows the common ones and the examples, ``--help-all`` all of them."""
    parser.description = textwrap.fill(parser.description or "", _WIDTH)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "%(prog)s [SETTING …]"
    parser.epilog = f"{shown}\n{_PRECEDENCE}"
    parser.add_argument("--help-all", action=HelpAll, help="show every setting and exit")
    common = parser.add_argument_group("common settings")
    add_path(common, "--config", type=Path, metavar="FILE", help="read settings from this YAML file")
    groups: dict[str, argparse._ArgumentGroup] = {}
    if "targets" not in common_settings:
        groups["general"] = parser.add_less_common_group("general")
    groups.get("general", common).add_argument(
        "--target", action="append", dest="targets", metavar="ADDRESS",
        help="a Falco gRPC server, unix:///PATH or HOST:PORT; repeat for several "
        "(default: unix:///run/falco/falco.sock)",
    )  # fmt: skip
    for option in options():
        section = option.path[0] if len(option.path) > 1 else "general"
        is_common = option.key in common_settings
        if not is_common and section not in groups:
            groups[section] = parser.add_less_common_group(section)
        _add_option(common if is_common else groups[section], option)


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    help_text = option.help_text
    if option.default_text:
        help_text += f" (default: {option.default_text})"
    keywords: dict[str, Any] = {"dest": option.key, "default": None, "help": help_text.replace("%", "%%")}
    if option.kind is bool:
        group.add_argument(option.flag, action=argparse.BooleanOptionalAction, **keywords)
        return
    keywords["metavar"] = _placeholder(option)
    if option.choices:
        keywords |= {"choices": [choice for choice in option.choices if choice], "metavar": None}
    if option.many:
        keywords["action"] = "append"
    add = add_path if option.kind is Path else type(group).add_argument
    add(group, option.flag, type=partial(_convert, option), **keywords)


def _placeholder(option: Option) -> str:
    """Return the word for a value in the help: what its setting's name ends with, else its kind."""
    for ending in ("directory", "directories", "address", "endpoint", "seconds", "bytes"):
        if option.key.endswith(ending):
            return "DIRECTORY" if ending == "directories" else ending.upper()
    return {int: "N", float: "X", Path: "FILE"}.get(option.kind, "TEXT")


def _convert(option: Option, text: str) -> Any:
    try:
        return from_text(text, option.kind, option.choices)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def config_from(given: argparse.Namespace, *, demo: bool = False) -> Config:
    """Return the settings that the command line, the environment and the file give. Raises ConfigError."""
    flags = {
        key: tuple(value) if isinstance(value, list) and key != "targets" else value
        for key, value in vars(given).items()
    }
    return load_config(flags, os.environ, given.config, demo=demo)
