"""Every program and subcommand exists: it is in a list that says where it comes from.

Owns the lists (``data/tools.yaml``, ``aws.json``, ``gcloud.json``) and finding
what a command runs, wrappers like ``sudo`` looked through. Refuses to judge
whether the program helps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml

from exporter.catalog.catalog import Catalog
from exporter.lint.finding import Finding
from exporter.lint.shell import Script, scripts
from exporter.lint.words import simple_commands

_FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_]\w*)\s*\(\)", re.MULTILINE)
_EXPANDED = ("$", "`")
_KUBECTL_VALUED = frozenset(
    {"-n", "--namespace", "--context", "--kubeconfig", "--as", "-o", "--request-timeout", "-l", "-f"}
)
_VALUED_BEFORE: Mapping[str, frozenset[str]] = {
    "kubectl": _KUBECTL_VALUED,
    "ctr": frozenset({"-n", "--namespace", "-a", "--address"}),
    "nerdctl": frozenset({"-n", "--namespace", "-a", "--address"}),
    "crictl": frozenset({"-r", "-i", "-t", "--runtime-endpoint", "--image-endpoint", "--timeout"}),
    "docker": frozenset({"-H", "--host", "-c", "--context", "-l"}),
    "aws": frozenset({"--region", "--profile", "--output", "--query", "--endpoint-url"}),
    "git": frozenset({"-C", "-c", "--git-dir", "--work-tree"}),
    "nft": frozenset({"-f", "-I", "-D"}),
    "gh": frozenset({"-R", "--repo"}),
}
"""Options that take a word of their own and may stand before the subcommand."""
_NO_SUBCOMMAND = frozenset({"--version", "--help", "-h", "-V", "-v", "version"})


@dataclass(frozen=True, slots=True)
class Tools:
    """What advice may call."""

    origin: Mapping[str, str]
    """Program to where it comes from."""
    subcommands: Mapping[str, frozenset[str]]
    """Program, or program and subcommand, to the subcommands that follow."""
    wrappers: Mapping[str, frozenset[str]]
    """Programs that run another, with their options that take a word."""
    aws: Mapping[str, Mapping[str, str]]
    """Service to operation to options."""
    aws_extra: Mapping[str, frozenset[str]]
    aws_extra_options: Mapping[str, frozenset[str]]
    aws_options: frozenset[str]
    gcloud: Mapping[str, str]
    """Command to options, empty where they are not known."""


@lru_cache(maxsize=1)
def known_tools() -> Tools:
    """Return the lists, read once."""
    data = resources.files("exporter.lint").joinpath("data")
    table = yaml.safe_load(data.joinpath("tools.yaml").read_text(encoding="utf-8"))
    return Tools(
        origin={name: origin for origin, names in table["programs"].items() for name in names.split()},
        subcommands=_sets(table["subcommands"]),
        wrappers=_sets(table["wrappers"]),
        aws=json.loads(data.joinpath("aws.json").read_text(encoding="utf-8")),
        aws_extra=_sets(table["aws_extra"]),
        aws_extra_options=_sets(table["aws_extra_options"]),
        aws_options=frozenset(table["aws_global_options"].split()),
        gcloud=json.loads(data.joinpath("gcloud.json").read_text(encoding="utf-8")),
    )


def _sets(table: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {key: frozenset((words or "").split()) for key, words in table.items()}


def check_tools(catalog: Catalog) -> Iterator[Finding]:
    """Yield programs, subcommands and options of cloud CLIs that are in no list."""
    for script in scripts(catalog, values="plain"):
        for message in unknown_in(script):
            yield Finding(script.place, script.owner, message)


def unknown_in(script: Script) -> Iterator[str]:
    """Yield what a script calls that is in no list."""
    own = frozenset(_FUNCTION.findall(script.text))
    for words in simple_commands(script.text):
        yield from _unknown(words, own)


def _unknown(words: list[str], own: Set[str]) -> Iterator[str]:
    tools = known_tools()
    program = words[0].rsplit("/", 1)[-1]
    if program in own or words[0].startswith(_EXPANDED):
        return
    if program not in tools.origin:
        yield f"{program} is not in the list of known tools (data/tools.yaml: the program with where it comes from)"
    elif program == "aws":
        yield from _unknown_aws(words, tools)
    elif program == "gcloud":
        yield from _unknown_gcloud(words, tools)
    elif program in tools.subcommands:
        yield from _unknown_subcommand(words, program, tools)
    if inner := _run_by(words, program, tools):
        yield from _unknown(inner, own)


def _run_by(words: list[str], program: str, tools: Tools) -> list[str]:
    """The command that this one runs, on the host or in a container; empty where it runs none."""
    if program in tools.wrappers:
        return _inner(words, tools.wrappers[program], program)
    if program == "kubectl" and "--" in words and {"exec", "debug"} & set(words):
        return words[words.index("--") + 1 :]
    return []


def _inner(words: list[str], valued: frozenset[str], program: str) -> list[str]:
    """The command that a wrapper runs; empty where it runs none."""
    if program == "command" and len(words) > 1 and words[1] in {"-v", "-V"}:
        return []
    at = 1
    while at < len(words) and (words[at].startswith("-") or re.match(r"[A-Za-z_]\w*=", words[at])):
        if words[at] == "--":
            at += 1
            break
        at += 2 if words[at] in valued else 1
    if program in {"timeout", "chroot"}:
        at += 1
    return words[at:]


def _following(words: list[str], program: str) -> list[str]:
    """Words after the program, options before the subcommand left out."""
    valued = _VALUED_BEFORE.get(program, frozenset())
    at = 1
    while at < len(words) and words[at].startswith("-") and words[at] not in _NO_SUBCOMMAND:
        at += 2 if words[at] in valued else 1
    return words[at:]


def _unknown_subcommand(words: list[str], program: str, tools: Tools) -> Iterator[str]:
    known = tools.subcommands[program]
    following = _following(words, program)
    if not following or following[0] in _NO_SUBCOMMAND or following[0].startswith(_EXPANDED):
        return
    if following[0] not in known:
        yield f"{program} has no subcommand {following[0]!r} in the list of known tools (data/tools.yaml)"
        return
    nested = f"{program} {following[0]}"
    second = following[1] if len(following) > 1 and not following[1].startswith("-") else ""
    if nested in tools.subcommands and second and second not in tools.subcommands[nested]:
        yield f"{nested} has no subcommand {second!r} in the list of known tools (data/tools.yaml)"


def _unknown_aws(words: list[str], tools: Tools) -> Iterator[str]:
    following = _following(words, "aws")
    if len(following) < 2:
        if following[:1] not in ([], ["help"]):
            yield f"aws {following[0]} without an operation"
        return
    service, operation = following[0], following[1]
    if f"aws {service}" in tools.subcommands:
        if operation not in tools.subcommands[f"aws {service}"]:
            yield f"aws {service} has no command {operation!r}"
        return
    if service not in tools.aws:
        yield f"aws {service}: the service is not in the table (tools/index_aws.py, SERVICES)"
        return
    if operation == "wait" or operation in tools.aws_extra.get(service, frozenset()):
        return
    if operation not in tools.aws[service]:
        yield f"aws {service} has no operation {operation!r}"
        return
    known = frozenset(tools.aws[service][operation].split()) | tools.aws_options
    known |= tools.aws_extra_options.get(f"{service} {operation}", frozenset())
    for word in following[2:]:
        option = word.split("=")[0].removeprefix("--")
        if word.startswith("--") and option and option not in known and option.removeprefix("no-") not in known:
            yield f"aws {service} {operation} has no option --{option}"


def gcloud_path(words: list[str], known: Mapping[str, str] | Set[str]) -> str:
    """Return the words of a gcloud command that are a command's name, without a release track; empty where none are."""
    names = [word for word in words[1:] if not word.startswith("-")]
    if names[:1] and names[0] in {"alpha", "beta", "preview"}:
        names = names[1:]
    for length in range(min(len(names), 7), 0, -1):
        if " ".join(names[:length]) in known:
            return " ".join(names[:length])
    return ""


def _unknown_gcloud(words: list[str], tools: Tools) -> Iterator[str]:
    path = gcloud_path(words, tools.gcloud)
    if not path:
        yield f"gcloud has no command {' '.join(words[1:5])!r}"
        return
    options = tools.gcloud[path]
    if not options:
        return
    known = frozenset(options.split()) | _GCLOUD_WIDE
    for word in words:
        option = word.split("=")[0].removeprefix("--")
        if word.startswith("--") and option and option not in known and option.removeprefix("no-") not in known:
            yield f"gcloud {path} has no option --{option}"


_GCLOUD_WIDE = frozenset(
    """access-token-file account billing-project configuration flags-file flatten format help
    impersonate-service-account log-http project quiet trace-token user-output-enabled verbosity filter limit page-size
    sort-by uri async""".split()  # noqa: SIM905 - read more easily than a list
)
"""Options that every gcloud command takes, and those of every list."""
