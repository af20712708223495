"""The SBOM says what was installed and the hashes that the lock allows for it."""

from __future__ import annotations

from typing import Any

import pytest

from tools.release.locked import with_hashes
from tools.release.run import ReleaseError

HASH = {"alg": "SHA-256", "content": "0" * 64}


def component(name: str, version: str, *hashes: dict[str, str]) -> dict[str, Any]:
    references = [{"type": "distribution", "url": "elsewhere", "hashes": list(hashes)}] if hashes else []
    return {"name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}", "externalReferences": references}


def test_each_component_gets_its_hashes_whatever_the_spelling_of_its_name() -> None:
    """Names are compared as PEP 503 normalises them."""
    joined = with_hashes(
        {"components": [component("Typing_Extensions", "4.1")]},
        {"components": [component("typing-extensions", "4.1", HASH)]},
    )
    assert joined["components"][0]["externalReferences"] == [
        {"type": "distribution", "url": "pkg:pypi/Typing_Extensions@4.1", "hashes": [HASH]}
    ]


@pytest.mark.parametrize("installed", [[], [component("a", "2")], [component("a", "1"), component("b", "1")]])
def test_a_component_too_many_too_few_or_in_another_version_is_an_error(installed: list[dict[str, Any]]) -> None:
    """The SBOM of something else than the lock is never written."""
    with pytest.raises(ReleaseError, match=r"differ: .*; run make lock"):
        with_hashes({"components": installed}, {"components": [component("a", "1", HASH)]})


def test_a_component_without_a_hash_is_an_error() -> None:
    """A pin without hashes does not get into a release."""
    with pytest.raises(ReleaseError, match="a has no hash"):
        with_hashes({"components": [component("a", "1")]}, {"components": [component("a", "1")]})
