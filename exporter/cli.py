"""The command line: ``falco-report-exporter COMMAND``.

Owns arguments, exit codes and the only printing (with ``commands/``). Exit
codes: 0 done, 1 the answer is no (a check failed, a line was bad), 2 wrong
use or wrong configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from exporter import __version__
from exporter.commands import arguments, completion
from exporter.commands.parser import Parser
from exporter.commands.terminal import fit_encoding
from exporter.errors import ExporterError
from exporter.memory import tune_memory

_DESCRIPTION = """\
Turns every Falco alert into a Prometheus metric, an OpenTelemetry log record
and a report with mitigation advice.

  falco-report-exporter demo              see it work, without Falco
  falco-report-exporter check             check the configuration and every connection
  falco-report-exporter run               run beside Falco
  falco-report-exporter test-alert        do alerts arrive?
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command, for ``main`` and for completion in a shell."""
    parser = Parser(
        prog="falco-report-exporter", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", "-V", "-v", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    arguments.add_run(commands)
    arguments.add_demo(commands)
    arguments.add_check(commands)
    arguments.add_test_alert(commands)
    arguments.add_report(commands)
    arguments.add_digest(commands)
    arguments.add_tune(commands)
    arguments.add_catalog(commands)
    arguments.add_health(commands)
    completion.add_completion(commands)
    helping = commands.add_parser("help", help="show this help, or a command's")
    helping.add_argument("about", nargs="?", choices=list(commands.choices), metavar="COMMAND")
    helping.set_defaults(
        start=lambda given: print(commands.choices.get(given.about, parser).format_help(), end="") or 0
    )
    return parser


def _tune_grpc() -> None:
    """Let grpc poll with the thread that waits, not with threads of its own, and leave the log to this program.

    The first halves what an idle connection costs (docs/performance.md). The second keeps grpc's own lines, which
    are not in the log's format, off standard error; ours name the connection and the error. grpc reads the
    variables when it is imported, which is why no module below this one may be imported before.
    """
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if "_ARGCOMPLETE" in os.environ:
        completion.answer(build_parser())
    fit_encoding(sys.stdout, sys.stderr)
    words = sys.argv[1:] if argv is None else list(argv)
    if not words:
        print(build_parser().format_help(), end="", file=sys.stderr)
        return 2
    parser = build_parser()
    if words[0].startswith("-") and words[0] not in parser._option_string_actions:
        parser.error(f"unrecognized arguments: {words[0]}")
    given = parser.parse_args(words)
    _tune_grpc()
    tune_memory()
    try:
        return int(given.start(given))
    except ExporterError as exc:
        for line in str(exc).splitlines():
            print(f"{parser.prog}: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader went away (`| head`): nothing is wrong, and nothing more can be said.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130
