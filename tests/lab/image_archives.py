"""Container images made here, since no registry is asked: a docker-archive from a folder of files."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.programs import root_file_system

_APPLETS = (
    "sh ash ls cat cp mv rm mkdir touch chmod chown ln sleep echo printf id ps grep sed awk find head tail wc nc wget "
    "ip ping netstat env kill dd tar vi mount umount hostname stat date test true false sort uniq xargs base64 mknod"
)


def busybox_image(
    directory: Path, tag: str, *, command: Sequence[str] = ("sleep", "86400"), extra: Sequence[str] = ()
) -> Path:
    """Write an image with busybox and the programs of the lab's host that ``extra`` names; return its path."""
    root = root_file_system()
    files: dict[str, bytes | str] = {"bin/busybox": (root / "bin/busybox").read_bytes()}
    files |= {f"bin/{name}": "busybox" for name in _APPLETS.split()}
    files |= {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n",
        "etc/group": b"root:x:0:\nwww-data:x:33:\n",
        "tmp/.keep": b"",
        "var/log/.keep": b"",
        "root/.keep": b"",
    }
    for program in extra:
        for needed in [program, *_libraries(root, program)]:
            files[needed.lstrip("/")] = (root / needed.lstrip("/")).resolve().read_bytes()
    return docker_archive(directory, tag, files, command)


def with_libraries(program: str, name: str) -> dict[str, bytes | str]:
    """Return the files that run a program of this machine in an image under a name: it, its loader and libraries."""
    found: dict[str, bytes | str] = {name: Path(program).read_bytes()}
    for needed in _libraries(Path("/"), program):
        found[needed.lstrip("/")] = Path(needed).read_bytes()
    return found


def docker_archive(directory: Path, tag: str, files: Mapping[str, bytes | str], command: Sequence[str]) -> Path:
    """Write an image of one layer; ``files`` maps paths to content, a text being what a link points to."""
    layer = _layer(files)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin:/usr/bin:/usr/local/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]).encode()
    path = directory / (re.sub(r"[^A-Za-z0-9.]+", "-", tag) + ".tar")
    with tarfile.open(path, "w") as archive:
        for member, content in ((name, config), ("layer.tar", layer), ("manifest.json", manifest)):
            _add(archive, member, content)
    return path


def _layer(files: Mapping[str, bytes | str]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as layer:
        for path, content in sorted(files.items()):
            if isinstance(content, bytes):
                _add(layer, path, content, 0o755)
            else:
                link = tarfile.TarInfo(path)
                link.type, link.linkname = tarfile.SYMTYPE, content
                layer.addfile(link)
    return written.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


def _libraries(root: Path, program: str) -> list[str]:
    """The shared libraries and the loader of a program of the lab's host."""
    done = subprocess.run(["chroot", root, "ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(/[^ ]+) \(0x", done.stdout)
