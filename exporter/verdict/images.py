"""Facts about images: full repositories, whatever way they are written.

Owns that ``nginx``, ``library/nginx`` and ``docker.io/library/nginx:1.27``
are one repository, and that ``docker.io/kubernetesio/kube-proxy`` is not
``registry.k8s.io/kube-proxy``. Refuses to know which repositories are whose:
lists in the signs' files say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from exporter.prose import Lookup

_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.(amazonaws\.com)(?:\.cn)?/")
_GKE = re.compile(r"[a-z0-9-]+-artifactregistry\.gcr\.io/gke-release/")
_POD_IMAGES = ("ka.req.pod.containers.image", "ka.req.pod.initContainers.image", "ka.req.pod.ephemeralContainers.image")
_DEBUG_IMAGE = "jevt.value[/requestObject/ephemeralContainers/0/image]"


def repository(image: str) -> str:
    """Return an image's full repository, without tag and digest; regions of ECR and of GKE's registry are left out."""
    name = image.strip().strip("'\"").partition("@")[0]
    head, _, last = name.rpartition("/")
    last = last.partition(":")[0]
    name = f"{head}/{last}" if head else last
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}" if name else ""
    if "." not in first and ":" not in first and first != "localhost":
        return f"docker.io/{name}"
    if first in {"index.docker.io", "registry-1.docker.io"}:
        name = f"docker.io{name[len(first) :]}"
    if first == "docker.io" and name.count("/") == 1:
        name = name.replace("docker.io/", "docker.io/library/")
    return _GKE.sub("gke.gcr.io/", _ECR.sub(r"\1.dkr.ecr.\2/", name))


def image_name(lookup: Lookup) -> str | None:
    """Return the container's full repository."""
    image = lookup("container.image.repository")
    return None if image is None else repository(image) or None


def image_last(lookup: Lookup) -> str | None:
    """Return the last element of the container's repository: what anyone can call an image."""
    name = lookup("image.name")
    return None if name is None else name.rsplit("/", 1)[-1]


def _pod_images(lookup: Lookup) -> list[str]:
    found = []
    for field in (*_POD_IMAGES, _DEBUG_IMAGE):
        value = lookup(field)
        if value is not None:
            found += [repository(item) for item in value.strip("()[]").split(",")]
    return [name for name in found if name]


def image_names(lookup: Lookup) -> str | None:
    """Return the full repositories that a pod is made of, as a list."""
    names = _pod_images(lookup)
    return f"({','.join(names)})" if names else None


def image_lasts(lookup: Lookup) -> str | None:
    """Return the last elements of those repositories, as a list."""
    names = [name.rsplit("/", 1)[-1] for name in _pod_images(lookup)]
    return f"({','.join(names)})" if names else None


def _is_in(name: str, known: frozenset[str]) -> bool:
    """Whether the repository, or a directory above it, is among those known."""
    while name:
        if name in known:
            return True
        name = name.rpartition("/")[0]
    return False


def image_in(lookup: Lookup, known: frozenset[str]) -> str | None:
    """Return ``yes`` or ``no``: whether the container's repository is in the list; ``no`` where none is known."""
    name = lookup("image.name")
    return "yes" if name is not None and _is_in(name, known) else "no"


def images_in(lookup: Lookup, known: frozenset[str]) -> str | None:
    """Return ``all``, ``some`` or ``none``: how many of a pod's repositories are in the list."""
    names = _pod_images(lookup)
    if not names:
        return None
    found = sum(_is_in(name, known) for name in names)
    return "all" if found == len(names) else "some" if found else "none"


FACTS: Mapping[str, tuple[Callable[[Lookup], str | None], tuple[str, ...]]] = {
    "image.name": (image_name, ("container.image.repository",)),
    "image.last": (image_last, ("container.image.repository",)),
    "images.names": (image_names, (*_POD_IMAGES, _DEBUG_IMAGE)),
    "images.lasts": (image_lasts, (*_POD_IMAGES, _DEBUG_IMAGE)),
}
OF_LISTS: Mapping[str, tuple[Callable[[Lookup, frozenset[str]], str | None], tuple[str, ...]]] = {
    "image.in": (image_in, ("container.image.repository",)),
    "images.in": (images_in, (*_POD_IMAGES, _DEBUG_IMAGE)),
}
