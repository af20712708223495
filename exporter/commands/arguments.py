"""Arguments of each command.

Owns flags and help texts; the commands' modules are imported only when they
run, so that ``--help`` and completion answer at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from exporter.commands import completion, examples
from exporter.commands.parser import HelpAll, Parser
from exporter.commands.words import to_count, to_priority, to_seconds
from exporter.config.loader import FILE_VARIABLE, TARGETS_VARIABLE, load_config
from exporter.config.model import Config, Incidents
from exporter.config.options import Option, options
from exporter.config.values import from_text
from exporter.render.formats import FORMATS, LENGTHS
from exporter.times import EXPECTED
from exporter.verdict.judgement import VERDICTS

Commands = Any
"""argparse's sub-parsers, whose type argparse keeps private."""

_PRECEDENCE = f"""\
Settings come from flags, then environment variables, then the YAML file, then
defaults. Every flag --SECTION.SOME-NAME is FALCO_REPORT_EXPORTER_SECTION_SOME_NAME
in the environment and `section: {{some_name: …}}` in the file (--config, or
{FILE_VARIABLE}). {TARGETS_VARIABLE} takes several
addresses with commas. OTEL_* variables work as OpenTelemetry documents them.
"""
_COMMON = frozenset(
    {
        "http.address", "json_lines.file", "otlp.endpoint", "queue.directory", "web.listen_address",
        "history.directory", "web.config_file", "metrics.extra_labels", "catalog.directories", "log.level",
    }
)  # fmt: skip
"""Settings that ``--help`` shows."""


def _path(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *names: str, **options_: Any) -> None:
    completion.complete_files(parser.add_argument(*names, **options_))


def _add_settings(parser: Parser, shown: str) -> None:
    """Add every setting; ``--help`` shows the common ones and the examples, ``--help-all`` all of them."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "%(prog)s [SETTING …]"
    parser.epilog = f"{shown}\n{_PRECEDENCE}"
    parser.add_argument("--help-all", action=HelpAll, help="show every setting and exit")
    common = parser.add_argument_group("common settings")
    _path(common, "--config", type=Path, metavar="FILE", help="read settings from this YAML file")
    common.add_argument(
        "--target", action="append", dest="targets", metavar="ADDRESS",
        help="a Falco gRPC server, unix:///PATH or HOST:PORT; repeat for several "
        "(default: unix:///run/falco/falco.sock)",
    )  # fmt: skip
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options():
        section = option.path[0] if len(option.path) > 1 else "general"
        if option.key not in _COMMON and section not in groups:
            groups[section] = parser.add_less_common_group(section)
        _add_option(common if option.key in _COMMON else groups[section], option)


def _add_option(group: argparse._ArgumentGroup, option: Option) -> None:
    help_text = option.help_text
    if option.default not in (None, "", (), False):
        default = ",".join(map(str, option.default)) if option.many else option.default
        help_text += f" (default: {default})"
    keywords: dict[str, Any] = {"dest": option.key, "default": None, "help": help_text.replace("%", "%%")}
    if option.kind is bool:
        group.add_argument(option.flag, action=argparse.BooleanOptionalAction, **keywords)
        return
    keywords["metavar"] = _placeholder(option)
    if option.choices:
        keywords |= {"choices": [choice for choice in option.choices if choice], "metavar": None}
    if option.many:
        keywords["action"] = "append"
    add = _path if option.kind is Path else type(group).add_argument
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


def add_run(commands: Commands) -> None:
    """Add ``run``."""
    parser = commands.add_parser(
        "run",
        help="run the exporter",
        description="Run until SIGTERM or Ctrl-C. SIGHUP reads the settings again.",
    )
    _add_settings(parser, examples.RUN)
    parser.set_defaults(start=_run)


def _run(given: argparse.Namespace) -> int:
    from exporter.commands.run import run

    return run(lambda: config_from(given))


def add_demo(commands: Commands) -> None:
    """Add ``demo``."""
    parser = commands.add_parser(
        "demo",
        help="run against a simulated Falco",
        description="Start a simulated Falco on a unix socket and run the whole exporter against it.",
    )
    parser.add_argument(
        "--once", action="store_true",
        help="play the scenario, print the reference alert's report and the metrics, and exit",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=float, default=1.0, metavar="N", help="alerts per second after the scenario (default: 1)"
    )
    _add_settings(parser, examples.DEMO)
    parser.set_defaults(start=_demo)


def _demo(given: argparse.Namespace) -> int:
    from exporter.commands.demo import demo

    return demo(config_from(given, demo=True), once=given.once, rate=given.rate)


def add_check(commands: Commands) -> None:
    """Add ``check``."""
    parser = commands.add_parser(
        "check",
        help="check the configuration and try every connection",
        description="Validate the configuration and the catalog, then try each Falco target and the OTLP endpoint. "
        "Exits 1 when one does not work, and says what to do.",
    )
    _add_settings(parser, examples.SAME)
    parser.set_defaults(start=_check)


def _check(given: argparse.Namespace) -> int:
    from exporter.commands.check import check

    return check(config_from(given))


def add_health(commands: Commands) -> None:
    """Add ``health``."""
    parser = commands.add_parser(
        "health",
        help="ask a running exporter whether it is healthy (for HEALTHCHECK)",
        description="Ask /healthz of the exporter that runs with these settings on this host. "
        "Exits 1 when it is not healthy.",
    )
    _add_settings(parser, examples.SAME)
    parser.set_defaults(start=_health)


def _health(given: argparse.Namespace) -> int:
    from exporter.commands.health import health

    return health(config_from(given))


def add_test_alert(commands: Commands) -> None:
    """Add ``test-alert``."""
    parser = commands.add_parser(
        "test-alert",
        help="send a test alert to a running exporter, as Falco posts alerts",
        description="Post a test alert to the exporter that runs with these settings on this host, and say whether it "
        "was taken and counted and where its report is. Its verdict is `test`; nobody is paged. Exits 1 when it did "
        "not arrive, and says what to do.",
    )
    for flag, what in (("--client-cert", "certificate"), ("--client-key", "private key")):
        _path(
            parser, flag, type=Path, metavar="FILE",
            help=f"Falco's {what}, where the receiver asks for client certificates (PEM)",
        )  # fmt: skip
    _add_settings(parser, examples.TEST_ALERT)
    parser.set_defaults(start=_test_alert)


def _test_alert(given: argparse.Namespace) -> int:
    from exporter.commands.local_http import Credentials
    from exporter.commands.send_test import send_test_alert

    return send_test_alert(config_from(given), Credentials(given.client_cert, given.client_key))


def _add_span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", default="7d", metavar="TIME", help=f"start: {EXPECTED} (default: 7d)")
    parser.add_argument("--until", default="", metavar="TIME", help="end, not included (default: now)")


def add_digest(commands: Commands) -> None:
    """Add ``digest``."""
    parser = commands.add_parser(
        "digest",
        help="summarize a period from the history on disk",
        description="Print one page from the history: what fired, what is new and what grew, verdicts and incidents, "
        "noise and its cause, losses. The same history and period always give the same page.",
    )
    _add_span(parser)
    parser.add_argument(
        "--format",
        choices=("markdown", "html", "json"),
        default="markdown",
        help="form of the page (default: markdown)",
    )
    _add_settings(parser, examples.DIGEST)
    parser.set_defaults(start=_digest)


def _digest(given: argparse.Namespace) -> int:
    from exporter.commands.digest import digest

    return digest(config_from(given), since=given.since, until=given.until, form=given.format)


def add_tune(commands: Commands) -> None:
    """Add ``tune``."""
    parser = commands.add_parser(
        "tune",
        help="propose exceptions for Falco from the history on disk",
        description="Print the narrowest exceptions that would have removed most alerts that were not attacks, as one "
        "rules file. Each says what it would have hidden; none would have hidden a likely attack.",
    )
    _add_span(parser)
    parser.add_argument(
        "--format", choices=("rules", "helm", "json"), default="rules",
        help="rules: for /etc/falco/rules.d; helm: values with customRules; json: for programs (default: rules)",
    )  # fmt: skip
    parser.add_argument(
        "--minimum",
        type=to_count,
        default=10,
        metavar="N",
        help="minimum number of alerts that an exception removes (default: 10)",
    )
    parser.add_argument(
        "--limit", type=to_count, default=20, metavar="N", help="maximum number of exceptions (default: 20)"
    )
    _add_settings(parser, examples.TUNE)
    parser.set_defaults(start=_tune)


def _tune(given: argparse.Namespace) -> int:
    from exporter.commands.tune import tune

    return tune(
        config_from(given),
        span=(given.since, given.until),
        form=given.format,
        minimum=given.minimum,
        limit=given.limit,
    )


def _add_catalog_directories(parser: argparse.ArgumentParser) -> None:
    _path(
        parser, "--catalog.directories", dest="directories", action="append", type=Path, default=[],
        metavar="DIRECTORY", help="your own catalog files; repeat for several",
    )  # fmt: skip


def _add_form(parser: argparse.ArgumentParser, lengths: Iterable[str]) -> None:
    parser.add_argument(
        "--format", choices=tuple(FORMATS), default="text",
        help=f"{'; '.join([f'{form.name}: {form.purpose}' for form in FORMATS.values()])} (default: text)",
    )  # fmt: skip
    parser.add_argument(
        "--length", choices=tuple(lengths), default="",
        help=f"{'; '.join([f'{name}: {LENGTHS[name]}' for name in lengths])} "
        "(default: brief for text on a terminal, else full)",
    )  # fmt: skip


def add_report(commands: Commands) -> None:
    """Add ``report``."""
    parser = commands.add_parser(
        "report",
        help="print reports of alerts from files or standard input",
        description="Read Falco alerts in JSON and print a report of each. Reads JSON lines, arrays and "
        "pretty-printed JSON, also inside journald, syslog, Docker and Kubernetes log lines, also .gz.",
    )
    _path(parser, "files", nargs="*", type=Path, metavar="FILE", help="files of alerts (default: standard input)")
    _add_form(parser, tuple(LENGTHS))
    choice = parser.add_argument_group("which alerts")
    rule = choice.add_argument(
        "--rule", default="", metavar="NAME", help="only rules whose name contains this, in any case"
    )
    completion.complete_with(rule, completion.rule_names)
    priority = choice.add_argument("--priority", type=to_priority, metavar="WORD", help="only this priority and above")
    completion.complete_with(priority, completion.priorities)
    choice.add_argument(
        "--verdict", action="append", choices=VERDICTS, default=[], help="only this verdict; repeat for several"
    )
    choice.add_argument("--last", type=to_count, default=0, metavar="N", help="only the last N alerts of the input")
    parser.add_argument(
        "--incidents",
        action="store_true",
        help="print the incidents that the alerts form instead of a report per alert",
    )
    parser.add_argument(
        "--window", type=to_seconds, default=Incidents().window_seconds, metavar="SECONDS",
        help="with --incidents: join alerts within this window (default: %(default)s)",
    )  # fmt: skip
    choice.add_argument("--summary", action="store_true", help="print a table of rules, places and verdicts instead")
    _add_catalog_directories(parser)
    parser.set_defaults(start=_report)


def _report(given: argparse.Namespace) -> int:
    from exporter.commands.report import Request, report
    from exporter.commands.selection import Selection

    selection = Selection(given.rule, given.priority, frozenset(given.verdict), given.last)
    return report(
        Request(
            given.files, given.format, given.length, given.summary, selection, given.directories,
            incidents=given.incidents, window_seconds=given.window,
        )
    )  # fmt: skip


def add_catalog(commands: Commands) -> None:
    """Add ``catalog``."""
    parser = commands.add_parser("catalog", help="list, show and check the catalog of advice")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list every entry")
    source = listing.add_argument("--source", default="", help="only rules of this event source")
    completion.complete_with(source, completion.sources)
    show = actions.add_parser("show", help="print one rule's advice, with made-up values")
    rule = show.add_argument(
        "rule", metavar="RULE", help="the rule's name, or a part of it that only this rule has, in any case"
    )
    completion.complete_with(rule, completion.rule_names)
    _add_form(show, ("brief", "full"))
    validate = actions.add_parser("validate", help="check every entry, yours included")
    coverage = actions.add_parser("coverage", help="list the rules of these files that have no entry of their own")
    _path(coverage, "rules_files", nargs="+", type=Path, metavar="RULES_FILE", help="Falco rules files")
    coverage.add_argument(
        "--min",
        type=float,
        default=100.0,
        metavar="PERCENT",
        help="exit 1 if fewer of the rules have one (default: 100)",
    )
    _path(coverage, "--proven", type=Path, metavar="DIR", help="also count the commands that the lab has run")
    for action in (listing, show, validate, coverage):
        _add_catalog_directories(action)
        action.set_defaults(start=_catalog)


def _catalog(given: argparse.Namespace) -> int:
    from exporter.commands import catalog

    if given.action == "list":
        return catalog.list_entries(given.directories, source=given.source)
    if given.action == "show":
        return catalog.show(given.rule, given.format, given.length, given.directories)
    if given.action == "validate":
        return catalog.validate(given.directories)
    return catalog.coverage(given.rules_files, given.directories, minimum_percent=given.min, proven=given.proven)
