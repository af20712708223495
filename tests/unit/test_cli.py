"""The command line: exit codes, errors, and what it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import build_parser, main
from exporter.config.options import options
from exporter.digest.formats import DIGEST_FORMATS
from exporter.tuning.files import TUNING_FORMS


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` lists the commands and exits 0."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for command in ("run", "demo", "check", "report", "catalog", "health", "completion"):
        assert f"\n    {command}" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the distribution's version."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"falco-report-exporter {__version__}\n"


def test_wrong_settings_exit_2_and_say_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every mistake in the file is named with its line and key, on standard error, with exit code 2."""
    file = tmp_path / "config.yaml"
    file.write_text("web:\n  listen_adress: ':1'\n", encoding="utf-8")
    assert main(["run", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}:2: web.listen_adress: unknown key 'listen_adress'" in said
    assert "listen_address" in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """Each shell gets a script that asks the program; what real shells make of it is in tests/e2e."""
    assert main(["completion", shell]) == 0
    assert "_ARGCOMPLETE" in capsys.readouterr().out


def test_completion_says_how_it_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """A line to paste for each shell, in the help."""
    with pytest.raises(SystemExit):
        main(["completion", "--help"])
    said = capsys.readouterr().out
    assert [shell for shell in ("bash", "zsh", "fish") if f"falco-report-exporter completion {shell}" not in said] == []


def test_the_bash_completion_parses(capsys: pytest.CaptureFixture[str]) -> None:
    """bash itself accepts the script."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=script.encode(), check=False).returncode == 0


def test_help_and_completion_import_nothing_heavy() -> None:
    """grpc, aiohttp and the SDK load only for commands that need them; grpc's settings come before grpc."""
    code = "import sys, exporter.cli as c; c.build_parser(); print([m for m in sys.modules if m in HEAVY])"
    code = code.replace("HEAVY", "('grpc', 'aiohttp', 'opentelemetry.sdk', 'google.protobuf')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_setting_is_a_flag_of_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``run --help-all`` is enough to work from: each setting with its meaning, and the precedence."""
    from exporter.config.options import options

    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit):
        build_parser().parse_args(["run", "--help-all"])
    shown = " ".join(capsys.readouterr().out.split())
    for option in options():
        assert option.flag in shown
        assert " ".join(option.help_text.split()) in shown
    assert "Settings come from flags, then environment variables, then the YAML file" in shown


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["rnu"], "run"),
        (["--verison"], "--version"),
        (["run", "--web.listen-adress", ":1"], "--web.listen-address"),
        (["report", "--formt", "text"], "--format"),
        (["catalog", "show", "x", "--lenght", "full"], "--length"),
        (["help", "rnu"], "run"),
        (["version"], "--version"),
        (["report", "--format", "markdwon"], "markdown"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_word(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands, flags and values that do not exist name the one that is most like them, and exit 2."""
    with pytest.raises(SystemExit) as caught:
        main(typed)
    assert caught.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_an_unknown_argument_is_answered_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the command whose help to read, and only what is wrong."""
    with pytest.raises(SystemExit):
        main(["run", "--web.listen-adress", ":1"])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "falco-report-exporter run: unknown argument: --web.listen-adress (did you mean --web.listen-address?)"
    )
    assert said[1] == "falco-report-exporter run --help shows how it is used."


def test_help_about_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """``help report`` is ``report --help``."""
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    shown = capsys.readouterr().out
    assert main(["help", "report"]) == 0
    assert capsys.readouterr().out == shown


def test_a_file_that_is_missing_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the number that the system has for it."""
    assert main(["run", "--config", "none.yaml"]) == 2
    said = "none.yaml: cannot be read: No such file or directory; expected a YAML file"
    assert capsys.readouterr().err == f"falco-report-exporter: {said}\n"


def test_no_arguments_show_the_whole_help(capsys: pytest.CaptureFixture[str]) -> None:
    """A first call shows what there is, and exits 2 since nothing was asked for; ``help`` shows the same."""
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert "\n    demo" in shown
    assert main(["help"]) == 0
    assert capsys.readouterr().out == shown


def test_help_begins_with_the_common_settings_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """``run --help`` fits on a screen or two; ``--help-all`` has every setting."""
    shown = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as caught:
            main(["run", flag])
        assert caught.value.code == 0
        shown[flag] = capsys.readouterr().out
    assert shown["--help"].index("common settings") < shown["--help"].index("examples:")
    assert "--grouping.window-seconds" not in shown["--help"]
    assert len(shown["--help"].splitlines()) < 60
    for option in options():
        assert option.flag in shown["--help-all"]


def test_grpc_writes_no_lines_of_its_own() -> None:
    """Lines in gRPC's own form would stand between ours; whoever looks for a fault in it can have them."""
    script = "import os; from exporter.cli import main; main(['help']); print(os.environ['GRPC_VERBOSITY'])"
    for given, expected in ((None, "NONE"), ("DEBUG", "DEBUG")):
        environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
        environment |= {} if given is None else {"GRPC_VERBOSITY": given}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.splitlines()[-1] == expected


def test_the_formats_that_are_offered_are_those_there_are() -> None:
    """Named once more where arguments are made, since what writes them is imported only when it runs."""
    (action,) = [action for action in build_parser()._actions if action.dest == "command"]
    assert isinstance(action.choices, dict)
    offered = {
        name: next(list(each.choices) for each in action.choices[name]._actions if each.dest == "format")
        for name in ("digest", "tune")
    }
    assert offered == {"digest": list(DIGEST_FORMATS), "tune": list(TUNING_FORMS)}
