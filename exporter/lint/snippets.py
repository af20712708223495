"""Snippets parse in their format, whatever the alert's values.

Owns the formats that Python or bash can read; what only the program itself
can check is checked with it by the end-to-end tests.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping

import yaml

from exporter.catalog.catalog import Catalog
from exporter.catalog.steps import ChangeStep
from exporter.catalog.template import Absent
from exporter.escaping import FORMATS, Unembeddable
from exporter.lint.finding import Finding
from exporter.lint.samples import VALUES
from exporter.lint.shell import Script, syntax_errors
from exporter.lint.walk import changes

_AUDIT = re.compile(r"(?:-[abcdefkprwADFSiqr]|--(?:backlog_wait_time|loginuid-immutable|reset-lost))\b.*\Z")
_SYSCTL = re.compile(r"-?[a-z0-9_*./-]+ ?= ?\S.*\Z")


class YamlLoader(yaml.SafeLoader):
    """YAML as yaml-cpp and Go's libraries read it: a lone ``=`` is a text (Falco's ``comps: [=]``)."""


YamlLoader.add_constructor("tag:yaml.org,2002:value", lambda _, node: str(node.value))


def _yaml(text: str) -> None:
    list(yaml.load_all(text, Loader=YamlLoader))


def _ini(text: str) -> None:
    configparser.RawConfigParser(strict=True, allow_no_value=True, interpolation=None).read_string(text)


def _systemd(text: str) -> None:
    configparser.RawConfigParser(strict=False, allow_no_value=False, interpolation=None, delimiters=("=",)).read_string(
        text
    )


def _audit(text: str) -> None:
    _lines(text, _AUDIT, "an audit rule (-a, -w, …)")


def _sysctl(text: str) -> None:
    _lines(text, _SYSCTL, "key = value")


def _lines(text: str, pattern: re.Pattern[str], expected: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith(("#", ";")) and not pattern.match(line):
            raise ValueError(f"line {number}: found {line!r}, expected {expected}")


def _nothing(_: str) -> None:
    """Only the program that reads the format can tell (see tests/e2e)."""


PARSERS: Mapping[str, Callable[[str], object]] = {
    "yaml": _yaml,
    "falco": _yaml,
    "json": json.loads,
    "toml": tomllib.loads,
    "ini": _ini,
    "apache": _nothing,
    "nginx": _nothing,
    "postgresql": _nothing,
    "systemd": _systemd,
    "audit": _audit,
    "sysctl": _sysctl,
    "sh": _nothing,
    "apparmor": _nothing,
    "conf": _nothing,
    "crontab": _nothing,
    "dockerfile": _nothing,
    "hcl": _nothing,
    "limits": _nothing,
    "logrotate": _nothing,
    "modprobe": _nothing,
    "nft": _nothing,
    "pam": _nothing,
    "rego": _nothing,
    "rsyslog": _nothing,
    "ssh_config": _nothing,
    "sshd_config": _nothing,
    "sudoers": _nothing,
    "text": _nothing,
    "udev": _nothing,
}
"""Formats that a snippet may have, with what raises when it is none."""


def rendered_contents(change: ChangeStep) -> Iterator[tuple[str, str]]:
    """Yield the content with plain and, where the format quotes, hostile values: the values' name and the text."""
    for name in ("plain", "hostile", "hidden"):
        if name != "plain" and change.format not in {*FORMATS, "falco"}:
            continue
        try:
            yield name, change.content.render(VALUES[name](change.condition.only))
        except (Absent, Unembeddable):
            continue


def check_snippets(catalog: Catalog) -> Iterator[Finding]:
    """Yield snippets of a format that is not known, or that do not parse in it."""
    shell = []
    for owned, change in changes(catalog):
        parser = PARSERS.get(change.format)
        if parser is None:
            message = f"format {change.format!r} is not known; expected one of {', '.join(sorted(PARSERS))}"
            yield Finding(change.place, owned.owner, message)
            continue
        for name, text in rendered_contents(change):
            if change.format == "sh":
                shell.append(Script(change.place, owned.owner, text))
            elif message := _parse_error(parser, text):
                yield Finding(change.place, owned.owner, f"not {change.format} with {name} values: {message}")
    for script, message in syntax_errors(shell):
        yield Finding(script.place, script.owner, f"not sh: {message}")


def _parse_error(parser: Callable[[str], object], text: str) -> str:
    try:
        parser(text)
    except (ValueError, yaml.YAMLError, configparser.Error) as exc:
        return " ".join(str(exc).split())
    return ""
