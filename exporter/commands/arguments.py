"""Arguments of each command.

Owns flags and help texts; the commands' modules are imported only when they
run, so that ``--help`` and completion answer at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exporter.commands import completion, examples
from exporter.commands.settings import OF_HISTORY, OF_RECEIVER, add_path, add_settings, config_from
from exporter.commands.words import to_count, to_priority, to_seconds
from exporter.config.model import Incidents
from exporter.render.formats import FORMATS, LENGTHS
from exporter.times import EXPECTED
from exporter.verdict.judgement import VERDICTS

Commands = Any
"""argparse's sub-parsers, whose type argparse keeps private."""


def add_run(commands: Commands) -> None:
    """Add ``run``."""
    parser = commands.add_parser(
        "run",
        help="run the exporter",
        description="Run until SIGTERM or Ctrl-C. SIGHUP reads the settings again.",
    )
    add_settings(parser, examples.RUN)
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
    add_settings(parser, examples.DEMO)
    parser.set_defaults(start=_demo)


def _demo(given: argparse.Namespace) -> int:
    from exporter.commands.demo import demo

    return demo(config_from(given, demo=True), once=given.once, rate=given.rate)


def add_check(commands: Commands) -> None:
    """Add ``check``."""
    parser = commands.add_parser(
        "check",
        help="check the configuration and try every connection",
        description="Validate the configuration and the catalog, then try every source, listener, OTLP endpoint, queue "
        "and file. Exits 1 when one does not work, and says what to do.",
    )
    add_settings(parser, examples.SAME)
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
    add_settings(parser, examples.SAME, OF_RECEIVER)
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
        add_path(
            parser, flag, type=Path, metavar="FILE",
            help=f"Falco's {what}, where the receiver asks for client certificates (PEM)",
        )  # fmt: skip
    add_settings(parser, examples.TEST_ALERT, OF_RECEIVER)
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
    add_settings(parser, examples.DIGEST, OF_HISTORY)
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
    add_settings(parser, examples.TUNE, OF_HISTORY)
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
    add_path(
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
    add_path(parser, "files", nargs="*", type=Path, metavar="FILE", help="files of alerts (default: standard input)")
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
        "--summary",
        action="store_true",
        help="print a table of rules, places and verdicts instead of a report per alert",
    )
    parser.add_argument(
        "--incidents",
        action="store_true",
        help="print the incidents that the alerts form instead of a report per alert",
    )
    parser.add_argument(
        "--window", type=to_seconds, default=Incidents().window_seconds, metavar="SECONDS",
        help="with --incidents: join alerts within this window (default: %(default)g)",
    )  # fmt: skip
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
    add_path(coverage, "rules_files", nargs="+", type=Path, metavar="RULES_FILE", help="Falco rules files")
    coverage.add_argument(
        "--min",
        type=float,
        default=100.0,
        metavar="PERCENT",
        help="exit 1 if a smaller share of the rules has an entry (default: 100)",
    )
    add_path(
        coverage,
        "--proven",
        type=Path,
        metavar="DIR",
        help="results of tests/lab: also count the commands that were run there",
    )
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
