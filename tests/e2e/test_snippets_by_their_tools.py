"""Every snippet of the catalog is read by the very program that it is for."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.catalog.steps import ChangeStep
from exporter.lint.snippets import rendered_contents
from exporter.lint.walk import changes
from tests.e2e.programs import program

pytestmark = pytest.mark.e2e


def run(*command: str, text: str = "", cwd: Path | None = None) -> str:
    """Run a checker; return what it complains of, empty where it is content."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", check=False, timeout=60, cwd=cwd
    )
    return f"{done.stdout}{done.stderr}".strip() or f"exit {done.returncode}" if done.returncode else ""


def visudo(text: str, directory: Path) -> str:
    path = directory / "sudoers"
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o440)
    return run(program("visudo", "/usr/sbin/visudo"), "-c", "-f", str(path))


def sshd(text: str, directory: Path) -> str:
    key = directory / "host_key"
    if not key.exists():
        run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    path = directory / "sshd_config"
    path.write_text(f"HostKey {key}\n{text}\n", encoding="utf-8")
    return run(program("sshd", "/usr/sbin/sshd"), "-t", "-f", str(path))


def ssh(text: str, directory: Path) -> str:
    path = directory / "ssh_config"
    path.write_text(text + "\n", encoding="utf-8")
    return run(program("ssh"), "-G", "-F", str(path), "example.net")


def nft(text: str, directory: Path) -> str:
    path = directory / "rules.nft"
    path.write_text(text + "\n", encoding="utf-8")
    return run(program("unshare"), "-rn", program("nft", "/usr/sbin/nft"), "-c", "-f", str(path))


def rsyslogd(text: str, directory: Path) -> str:
    path = directory / "rsyslog.conf"
    path.write_text(text + "\n", encoding="utf-8")
    return run(program("rsyslogd", "/usr/sbin/rsyslogd"), "-N1", "-f", str(path))


def logrotate(text: str, directory: Path) -> str:
    path = directory / "logrotate.conf"
    path.write_text(text + "\n", encoding="utf-8")
    return run(program("logrotate", "/usr/sbin/logrotate"), "-d", "-s", str(directory / "state"), str(path))


def systemd_analyze(text: str, directory: Path) -> str:
    """A drop-in is read as part of a unit; keys that systemd does not know are warnings, and faults here."""
    is_slice = "[Slice]" in text
    path = directory / ("example.slice" if is_slice else "example.service")
    unit = "[Unit]\nDescription=x\n" + ("" if is_slice else "[Service]\nExecStart=/bin/true\n")
    path.write_text(f"{unit}{text}\n", encoding="utf-8")
    command = [program("systemd-analyze"), "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "\n".join(line for line in done.stderr.split("\n") if path.name in line)


def hadolint(text: str, directory: Path) -> str:
    found = program("hadolint", str(Path(sys.executable).parent / "hadolint"))
    stage = "" if text.lstrip().startswith(("FROM", "#", "ARG")) else "FROM scratch\n"
    return run(found, "--failure-threshold", "error", "-", text=stage + text + "\n", cwd=directory)


def audit_syscalls(text: str, _: Path) -> str:
    """``auditctl`` loads what it checks; the names of system calls can be asked for without."""
    dump = subprocess.run([program("ausyscall"), "x86_64", "--dump"], capture_output=True, text=True, check=True)
    known = set(dump.stdout.split())
    named = {name for names in re.findall(r"-S (\S+)", text) for name in names.split(",")}
    return ", ".join(sorted(named - known - {"all"}))


def findmnt(text: str, directory: Path) -> str:
    path = directory / "fstab"
    path.write_text(text + "\n", encoding="utf-8")
    return run(program("findmnt"), "--verify", "--tab-file", str(path))


def shell(text: str, directory: Path) -> str:
    path = directory / "snippet.sh"
    path.write_text(text + "\n", encoding="utf-8")
    found = program("shellcheck", str(Path(sys.executable).parent / "shellcheck"))
    return run(found, "--norc", "-s", "sh", "-S", "error", str(path))


CHECKERS: dict[str, Callable[[str, Path], str]] = {
    "audit": audit_syscalls,
    "dockerfile": hadolint,
    "logrotate": logrotate,
    "nft": nft,
    "rsyslog": rsyslogd,
    "sh": shell,
    "ssh_config": ssh,
    "sshd_config": sshd,
    "sudoers": visudo,
    "systemd": systemd_analyze,
}


def snippets(matches: Callable[[ChangeStep], bool]) -> Iterator[tuple[str, str]]:
    """Yield place and content, as rendered, of every snippet that matches."""
    for _, change in changes(load_catalog()):
        if matches(change):
            for _, text in rendered_contents(change):
                yield change.place, text


@pytest.mark.parametrize("file_format", sorted(CHECKERS))
def test_the_program_itself_accepts_every_snippet(file_format: str, tmp_path: Path) -> None:
    """What the catalog has in this format is accepted by the format's own checker."""
    complaints = {
        place: complaint
        for place, text in snippets(lambda change: change.format == file_format)
        if (complaint := CHECKERS[file_format](text, tmp_path))
    }
    assert complaints == {}


BROKEN = {
    "audit": "-a always,exit -F arch=b64 -S no_such_call -k x",
    "dockerfile": "RUN\nNO SUCH",
    "logrotate": "/var/log/x {\n  maxsize=100M\n",
    "nft": "table inet x { chain",
    "rsyslog": 'action(type="no_such_module")',
    "sh": "if true; then",
    "ssh_config": "NoSuchOption yes",
    "sshd_config": "NoSuchOption yes",
    "sudoers": "alice ALL=(ALL",
    "systemd": "[Service]\nNoSuchKey=yes",
}


@pytest.mark.parametrize("file_format", sorted(CHECKERS))
def test_the_program_itself_refuses_what_is_broken(file_format: str, tmp_path: Path) -> None:
    """Each checker is strict enough to find a fault."""
    assert CHECKERS[file_format](BROKEN[file_format], tmp_path)


def test_file_system_tables_are_accepted(tmp_path: Path) -> None:
    """Lines for /etc/fstab pass findmnt's verification."""
    complaints = {
        place: complaint
        for place, text in snippets(lambda change: change.file == "/etc/fstab")
        if (complaint := findmnt(text, tmp_path))
    }
    assert complaints == {}


def test_kernel_settings_exist() -> None:
    """Every sysctl key is one that this kernel or its documentation knows."""
    named = [
        (place, key)
        for place, text in snippets(lambda change: change.format == "sysctl")
        for key in re.findall(r"^-?([a-z][\w./]+) ?=", text, re.MULTILINE)
    ]
    unknown = [
        (place, key)
        for place, key in named
        if key not in NOT_ON_EVERY_KERNEL and not Path("/proc/sys", key.replace(".", "/")).exists()
    ]
    assert unknown == []


NOT_ON_EVERY_KERNEL = {
    "kernel.kexec_load_disabled",
    "kernel.modules_disabled",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "net.core.bpf_jit_harden",
    "vm.memfd_noexec",
}
"""Documented by the kernel (Documentation/admin-guide/sysctl), but built in by configuration."""
