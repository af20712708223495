"""The systemd unit is accepted and hardened, and `make install` installs a program that runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import program

# Two of them install from the package index.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1300)]
ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program installed below a prefix of its own, with its unit."""
    directory = tmp_path_factory.mktemp("prefix")
    subprocess.run(["make", "-C", ROOT, "install", f"PREFIX={directory}"], check=True, capture_output=True, timeout=600)
    return directory


def test_the_installed_command_runs_without_the_checkout(prefix: Path, tmp_path: Path) -> None:
    """It starts from any directory, whatever Python variables the caller has, and reads its own packages."""
    command = [prefix / "bin" / "falco-report-exporter", "demo", "--once"]
    environment = {"PYTHONPATH": "/nowhere", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "falco_rule_events_total" in done.stdout


def test_systemd_accepts_the_unit_and_its_drop_in(prefix: Path, tmp_path: Path) -> None:
    """Every key is known, the command exists, and the drop-in for Falco's socket fits."""
    unit = tmp_path / "falco-report-exporter.service"
    unit.write_bytes((prefix / "lib/systemd/system/falco-report-exporter.service").read_bytes())
    for dropin in (None, "falco-socket.conf"):
        if dropin:
            directory = tmp_path / f"{unit.name}.d"
            directory.mkdir()
            (directory / dropin).write_bytes((UNITS / dropin).read_bytes())
        done = subprocess.run([program("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
        ours = [line for line in done.stderr.splitlines() if "falco" in line]
        assert (done.returncode, ours) == (0, [])


def test_systemd_accepts_the_drop_in_for_falcos_unit(tmp_path: Path) -> None:
    """It goes to Falco's unit, whatever that is like: here to one that does nothing."""
    unit = tmp_path / "falco-modern-bpf.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n", "utf-8")
    directory = tmp_path / f"{unit.name}.d"
    directory.mkdir()
    (directory / "falco-socket-group.conf").write_bytes((UNITS / "falco-socket-group.conf").read_bytes())
    done = subprocess.run([program("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "falco" in line]) == (0, [])


def test_group_and_directories_are_made(prefix: Path, tmp_path: Path) -> None:
    """systemd's own tools read the files for the group and for the directories of Falco's socket and alerts."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    made = prefix / "lib"
    for tool, file in (
        ("systemd-sysusers", made / "sysusers.d/falco-report-exporter.conf"),
        ("systemd-tmpfiles", made / "tmpfiles.d/falco-report-exporter.conf"),
    ):
        create = ["--create"] if tool == "systemd-tmpfiles" else []
        done = subprocess.run(
            [program(tool), *create, f"--root={root}", file], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.count("falco-report-exporter.conf")) == (0, 0), done.stderr
    group = next(line for line in (root / "etc/group").read_text("utf-8").splitlines() if line.startswith("falco:"))
    for directory in ("run/falco", "var/log/falco"):
        found = (root / directory).stat()
        assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o750, 0, int(group.split(":")[2]))


@pytest.mark.parametrize("dropin", ["", "falco-socket.conf"])
def test_the_unit_is_hardened(prefix: Path, tmp_path: Path, dropin: str) -> None:
    """systemd's own measure of exposure is at most 2.0 of 10, with the drop-in too: what comes later wins."""
    unit = tmp_path / "falco-report-exporter.service"
    text = (prefix / "lib/systemd/system/falco-report-exporter.service").read_text("utf-8")
    unit.write_text(text + ((UNITS / dropin).read_text("utf-8") if dropin else ""), "utf-8")
    done = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=true", "--no-pager", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= 2.0


def test_a_package_can_be_staged_and_removed(tmp_path: Path) -> None:
    """Below DESTDIR nothing names DESTDIR; uninstall leaves no file of ours."""
    stage = tmp_path / "stage"
    variables = ["PREFIX=/usr", f"DESTDIR={stage}"]
    subprocess.run(["make", "-C", ROOT, "install", *variables], check=True, capture_output=True, timeout=600)
    for path in stage.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert str(stage).encode() not in path.read_bytes(), path
    for file in ("bash-completion/completions/falco-report-exporter", "zsh/site-functions/_falco-report-exporter"):
        assert "_ARGCOMPLETE" in (stage / "usr/share" / file).read_text(encoding="utf-8")
    subprocess.run(["make", "-C", ROOT, "uninstall", *variables], check=True, capture_output=True)
    assert [path for path in stage.rglob("*") if not path.is_dir()] == []


def test_the_example_settings_are_settings(tmp_path: Path) -> None:
    """The example, with every commented setting switched on, is a valid configuration."""
    from exporter.config.loader import load_config

    text = (UNITS / "config.yaml").read_text("utf-8")
    whole = re.sub(r"^# (?=\w+:$|  \w)", "", text, flags=re.MULTILINE)
    file = tmp_path / "config.yaml"
    for name, content in (("as shipped", text), ("all switched on", whole)):
        file.write_text(content, encoding="utf-8")
        assert load_config({}, {}, file).http.address == "127.0.0.1:2801", name
    assert load_config({}, {}, file).otlp.endpoint == "http://127.0.0.1:4317"
