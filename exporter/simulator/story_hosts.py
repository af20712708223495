# ruff: noqa: S108 - paths that alerts name, opened by nobody
"""What happens on hosts, outside containers."""

from __future__ import annotations

from collections.abc import Mapping

_DB = "db-1"
HOST = {
    "user.name": "root",
    "user.uid": "0",
    "user.loginuid": "-1",
    "user.loginname": "<NA>",
    "group.gid": "0",
    "group.name": "root",
    "proc.tty": "0",
    "proc.cwd": "/",
    "evt.res": "SUCCESS",
    "evt.arg.flags": "EXE_WRITABLE|EXE_LOWER_LAYER",
    "container.id": "host",
    "container.name": "host",
    "container.start_ts": "0",
}
CONNECTION = {"fd.type": "ipv4", "fd.l4proto": "tcp", "evt.type": "connect"}

HOST_STORY: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "Run shell untrusted",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "user.name": "postgres",
            "user.uid": "105",
            "proc.name": "sh",
            "proc.exepath": "/usr/bin/dash",
            "proc.cmdline": "sh -c id",
            "proc.pname": "postgres",
            "proc.pexe": "/usr/lib/postgresql/15/bin/postgres",
            "proc.pexepath": "/usr/lib/postgresql/15/bin/postgres",
            "proc.pcmdline": "postgres -D /var/lib/postgresql/15/main",
            "proc.aname[2]": "systemd",
        },
    ),
    (
        "System user interactive",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "user.name": "www-data",
            "user.uid": "33",
            "user.loginuid": "1000",
            "proc.name": "whoami",
            "proc.exepath": "/usr/bin/whoami",
            "proc.cmdline": "whoami",
            "proc.pname": "bash",
            "proc.tty": "34817",
        },
    ),
    (
        "Search Private Keys or Passwords",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "user.loginuid": "1000",
            "proc.name": "grep",
            "proc.exepath": "/usr/bin/grep",
            "proc.cmdline": "grep -r BEGIN RSA PRIVATE /home",
            "proc.pname": "bash",
            "proc.tty": "34816",
        },
    ),
    (
        "Find AWS Credentials",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "user.loginuid": "1000",
            "user.loginname": "jane",
            "proc.name": "find",
            "proc.exepath": "/usr/bin/find",
            "proc.cmdline": "find / -name .aws/credentials",
            "proc.pname": "bash",
            "proc.pcmdline": "bash",
            "proc.tty": "34816",
        },
    ),
    (
        "Execution from /dev/shm",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "fd.name": "/dev/shm/.x",
            "proc.name": ".x",
            "proc.exepath": "/dev/shm/.x",
            "proc.cmdline": ".x --daemon",
            "proc.pname": "bash",
            "proc.cwd": "/dev/shm/",
        },
    ),
    (
        "Fileless execution via memfd_create",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "proc.name": "3",
            "proc.exepath": "memfd:kworker",
            "proc.cmdline": "kworker",
            "proc.pname": "python3",
            "proc.sname": "sshd",
        },
    ),
    (
        "PTRACE attached to process",
        _DB,
        HOST
        | {
            "evt.type": "ptrace",
            "user.loginuid": "1000",
            "proc.name": "gdb",
            "proc.exepath": "/usr/bin/gdb",
            "proc.cmdline": "gdb -p 812",
            "proc.pname": "bash",
            "proc.pcmdline": "bash",
        },
    ),
    (
        "Remove Bulk Data from Disk",
        _DB,
        HOST
        | {
            "evt.type": "execve",
            "fd.name": "<NA>",
            "proc.name": "shred",
            "proc.exepath": "/usr/bin/shred",
            "proc.cmdline": "shred -u /var/lib/postgresql/backup.tar",
            "proc.pname": "bash",
        },
    ),
    (
        "Disallowed SSH Connection Non Standard Port",
        _DB,
        HOST
        | CONNECTION
        | {
            "fd.name": "192.0.2.10:51514->198.51.100.77:443",
            "fd.lport": "51514",
            "fd.rport": "443",
            "proc.name": "ssh",
            "proc.exepath": "/usr/bin/ssh",
            "proc.cmdline": "ssh -p 443 relay.example.net",
            "proc.pname": "bash",
        },
    ),
    (
        "Payroll export outside office hours",
        _DB,
        HOST
        | {
            "evt.type": "openat",
            "fd.name": "/srv/payroll/2024-10.csv",
            "user.name": "jane",
            "user.uid": "1000",
            "user.loginuid": "1000",
            "proc.name": "payroll",
            "proc.exepath": "/opt/payroll/bin/payroll",
            "proc.cmdline": "payroll export --month 2024-10",
            "proc.pname": "cron",
        },
    ),
)
"""Rule, host and the values of its fields."""
