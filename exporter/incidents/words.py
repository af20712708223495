"""Words that say nothing of who acted: programs that everything descends from, names that everybody uses.

Owns the lists. What is in them never joins two alerts.
"""

from __future__ import annotations

ANCESTORS_OF_ALL = frozenset(
    {
        "agetty", "anacron", "ash", "atd", "bash", "busybox", "conmon", "containerd", "containerd-shim",
        "containerd-shim-runc-v2", "crio", "cron", "crond", "csh", "dash", "dbus-daemon", "docker", "docker-init",
        "dockerd", "doas", "dumb-init", "entrypoint.sh", "env", "fish", "gdm", "getty", "init", "initd", "ksh",
        "kubelet", "launchd", "login", "lxc-start", "node", "nohup", "perl", "podman", "python", "python2", "python3",
        "ruby", "run-parts", "runc", "runsv", "s6-supervise", "s6-svscan", "screen", "setsid", "sh", "snapd", "ssh",
        "sshd", "sshd-session", "start-stop-daemo", "su", "sudo", "supervisord", "systemd", "systemd-executor",
        "tcsh", "timeout", "tini", "tmux", "tmux: server", "udevd", "systemd-udevd", "unshare", "nsenter", "watch",
        "xargs", "zsh", "awk", "cat", "chmod", "cp", "curl", "find", "grep", "kubectl", "ls", "make", "mv", "rm", "sed",
        "tar", "tee", "wget", "apt", "apt-get", "dpkg", "dnf", "rpm", "yum", "apk", "ansible", "ansible-playboo",
    }
)  # fmt: skip
"""What any process may descend from; the kernel's 15 characters of a name."""
COMMON_OBJECTS = frozenset(
    {
        "admin", "api", "app", "application", "backend", "config", "controller", "default", "frontend", "kube-root-ca",
        "main", "nginx", "root", "server", "service", "test", "view", "web", "worker", "cluster-admin", "edit",
    }
)  # fmt: skip
"""Names of API objects that many clusters have many of."""
COMMON_PATHS = ("/dev/null", "/dev/pts/", "/dev/tty", "/dev/std", "/dev/fd", "/dev/tcp/", "/dev/udp/", "/dev/zero")
"""Beginnings of paths that everybody names."""
