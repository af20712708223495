"""The container image as an OCI archive, built by buildah from the Dockerfile."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from tools.release import archives
from tools.release.run import ReleaseError, output, say
from tools.release.source import Source


def image(source: Source, into: Path) -> None:
    """Write the image; without buildah say that it is missing, and raise ``ReleaseError`` in CI (``$CI``).

    Twice the same bytes only while the base image is the same: the Dockerfile names a tag.
    """
    buildah = shutil.which("buildah")
    if not buildah:
        missing = (
            "buildah: no such program, so there is NO CONTAINER IMAGE in this release; install buildah and run it again"
        )
        if os.environ.get("CI"):
            raise ReleaseError(missing)
        say(f"WARNING: {missing}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        named = Path(scratch) / "id"
        stamp = str(source.epoch)
        build = [
            "bud",
            "--format",
            "oci",
            "--layers=false",
            "--timestamp",
            stamp,
            "--build-arg",
            f"SOURCE_DATE_EPOCH={stamp}",
        ]
        label = ["--label", f"org.opencontainers.image.version={source.version}"]
        output([buildah, *build, *label, "--iidfile", named, "."], folder=source.tree)
        identifier = named.read_text("utf-8").strip()
        packed = Path(scratch) / "image.tar"
        try:
            output([buildah, "push", identifier, f"oci-archive:{packed}:{source.version}"])
        finally:
            output([buildah, "rmi", identifier])
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(packed) as archive:
            archive.extractall(unpacked, filter="data")
        # The archive that buildah writes has the time of the day in it.
        tar = archives.to_tar(unpacked, "", source.epoch)
    (into / f"{source.name}-{source.version}.oci.tar").write_bytes(tar)
