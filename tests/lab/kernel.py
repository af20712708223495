"""What only the real kernel has, lent to a host and taken back."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.places.host import Host


@contextlib.contextmanager
def ext4(place: Host, path: str, megabytes: int = 32) -> Iterator[str]:
    """Mount a fresh ext4 on a folder of a host, which keeps its files; yield the loop device, e.g. ``/dev/loop3``.

    The host's own root is an overlay, which has no attributes (``chattr``) and cannot be made read-only.
    """
    with tempfile.NamedTemporaryFile(prefix="lab-disk-", dir="/var/tmp") as image:
        os.truncate(image.name, megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image.name], check=True)
        done = subprocess.run(["losetup", "-f", "--show", image.name], capture_output=True, text=True, check=True)
        device = done.stdout.strip()
        number = os.minor(Path(device).stat().st_rdev)
        try:
            place.run(
                f"[ -e {device} ] || mknod {device} b 7 {number}; mkdir -p /mnt/.lab {path}; mount {device} /mnt/.lab; "
                f"cp -a {path}/. /mnt/.lab/; umount /mnt/.lab; mount {device} {path}"
            )
            # Those that had files open there go on with the new ones.
            place.run("systemctl try-restart systemd-journald rsyslog 2>/dev/null || true")
            yield device
            place.run(f"umount -l {path}")
        finally:
            subprocess.run(["losetup", "-d", device], check=False)
