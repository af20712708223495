"""Cloud Functions and KMS: code that runs as somebody else, and keys that are made or destroyed."""

from __future__ import annotations

from base64 import b64encode
from copy import deepcopy
from hashlib import md5
from typing import Any
from urllib.parse import quote

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, MISSING, SECONDS, Policy, Project
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

SERVICE = "google.cloud.functions.v1.CloudFunctionsService"
FUNCTION = {
    "GCP cloud function created": f"{SERVICE}.CreateFunction",
    "GCP cloud function modified": f"{SERVICE}.UpdateFunction",
}
DELETED = "GCP cloud function deleted"
RING = "projects/shop-prod/locations/europe-west1/keyRings/main"
KEY = {
    "GCP KMS created": ("CreateCryptoKey", f"{RING}/cryptoKeys/k"),
    "GCP KMS updated": ("UpdateCryptoKey", f"{RING}/cryptoKeys/k"),
    "GCP KMS keyring created": ("CreateKeyRing", RING),
}
DESTROYED = "GCP KMS deleted"
RULES = (*FUNCTION, DELETED, *KEY, DESTROYED)
GOOGLE = ("logging", "iam", "cloudfunctions", "storage", "cloudkms")
NAME = "projects/shop-prod/locations/europe-west1/functions/resize"
SOURCES = "gcf-sources-123-europe-west1"
ID = "3e94d742-f61f-42a1-90f8-c42f3d9926dc"
OTHER = f"resize-other-{ID}"
"""The folder of another function, whose name begins with this one's."""
AT = "/{v}/projects/{p}/locations/{l}"


class Function(Project):
    """A project with the source of the function ``resize``."""

    def __init__(self, google: Vendor, method: str) -> None:
        super().__init__(google, method, NAME)
        sources = {folder: archive(folder) for folder in (f"resize-{ID}", OTHER)}
        self.anybody = ("roles/cloudfunctions.invoker", "allUsers")
        self.policy = Policy(self.anybody)
        about = {"name": NAME, "environment": "GEN_1", "state": "ACTIVE"}
        more = {"status": "ACTIVE", "runtime": "python312", "entryPoint": "steal", "versionId": "1"}
        more |= {
            "serviceAccountEmail": "owner@shop-prod.iam.gserviceaccount.com",
            "httpsTrigger": {"url": "https://x.example/"},
        }
        self.on(
            f"GET {AT}/functions/{{f}}",
            lambda request: about if request.path.startswith("/v2") else {"name": NAME} | more,
        )
        self.on(f"GET {AT}/functions/{{f}}:getIamPolicy", self.policy.get)
        self.on(f"POST {AT}/functions/{{f}}:setIamPolicy", self.policy.put)
        self.on(
            "GET /storage/v1/b/{b}/o/{o}",
            lambda request: Reply(b"zip") if request.query.get("alt") == "media" else of_path(sources, request),
        )
        self.on("GET /storage/v1/b", lambda _: {"items": [{"name": SOURCES, "kind": "storage#bucket"}]})
        self.on("GET /storage/v1/b/{b}/o", lambda request: listed(request, sources))


def archive(folder: str) -> dict[str, str]:
    """A function's source as the bucket has it."""
    source = {"name": f"{folder}/version-1/function-source.zip", "bucket": SOURCES, "kind": "storage#object"}
    source |= {"size": "3", "generation": "1", "metageneration": "1", "contentType": "application/zip"}
    source["md5Hash"] = b64encode(md5(b"zip", usedforsecurity=False).digest()).decode()
    link = f"/storage/v1/b/{SOURCES}/o/{quote(source['name'], safe='')}?alt=media"
    return {**source, "mediaLink": f"https://storage.googleapis.com{link}"}


def of_path(sources: dict[str, dict[str, str]], request: Request) -> Any:
    """The source whose name is asked for."""
    return next((each for each in sources.values() if each["name"] == request.parameters["o"]), MISSING)


def listed(request: Request, sources: dict[str, dict[str, str]]) -> Any:
    """The objects under a prefix, or the folders that they are in."""
    prefix = request.query.get("prefix", "")
    found = {folder: each for folder, each in sources.items() if each["name"].startswith(prefix)}
    if "/" in prefix or not request.query.get("delimiter"):
        return {"items": [*found.values()]}
    return {"prefixes": [f"{folder}/" for folder in found]}


class Key(Project):
    """A project with the key ``k`` and its version 1."""

    def __init__(self, google: Vendor, method: str, resource: str, state: str) -> None:
        super().__init__(google, method, resource)
        self.version: dict[str, Any] = {"name": f"{RING}/cryptoKeys/k/cryptoKeyVersions/1", "state": state}
        policy = Policy(("roles/cloudkms.cryptoKeyEncrypterDecrypter", "user:eve@evil.example"))
        ring = f"{AT}/keyRings/{{r}}"
        key = {"name": f"{RING}/cryptoKeys/k", "purpose": "ENCRYPT_DECRYPT", "destroyScheduledDuration": "86400s"}
        self.on(f"GET {ring}:getIamPolicy", policy.get)
        self.on(f"GET {ring}/cryptoKeys", lambda _: {"cryptoKeys": [key]})
        self.on(f"GET {ring}/cryptoKeys/{{k}}", lambda _: key)
        self.on(f"GET {ring}/cryptoKeys/{{k}}:getIamPolicy", policy.get)
        versions = f"{ring}/cryptoKeys/{{k}}/cryptoKeyVersions"
        self.on(f"GET {versions}", lambda _: {"cryptoKeyVersions": [self.version]})
        self.on(f"GET {versions}/{{v2}}", lambda _: deepcopy(self.version))
        self.on(f"POST {versions}/{{v2}}:restore", lambda _: self.move("DESTROY_SCHEDULED", "DISABLED"))
        self.on(f"PATCH {versions}/{{v2}}", lambda _: self.move("DISABLED", "ENABLED"))

    def move(self, before: str, after: str) -> Any:
        """Change the version's state, as KMS allows it: a version must be restored before it is enabled."""
        if self.version["state"] not in (before, after):
            return Reply({"error": {"code": 400, "message": f"it is {self.version['state']}"}}, 400)
        self.version["state"] = after
        return deepcopy(self.version)


@pytest.mark.parametrize("rule", FUNCTION)
def test_a_function_is_made(google: Vendor, tell: Tell, rule: str) -> None:
    function = Function(google, FUNCTION[rule])
    fields = FIELDS | {"gcp.cloudfunctions.function": "resize"}
    with tell(fields, rule=rule, cloud=google.laptop) as report:
        function.read(report, NAME)
        state = lambda: function.policy.grants  # noqa: E731
        report.contain("Keep the functions", state=state, becomes=set(), shows=["steal", "owner@shop"], seconds=SECONDS)
        files = google.laptop.files()
        kept = [name for name in files if name.endswith("function-source.zip")]
        assert [OTHER in name for name in kept] == [False], "the source of another function was copied"
        function.freeze(report)
        report.undo(
            state=lambda: (function.policy.grants, function.caller["disabled"]),
            becomes=({function.anybody}, False),
            seconds=SECONDS,
        )
        if rule == next(iter(FUNCTION)):
            return
        # What somebody grants after the step stays after its undo.
        since = ("roles/cloudfunctions.viewer", "user:bob@example.com")
        function.policy.document["bindings"] = [{"role": since[0], "members": [since[1]]}]
        report.again("Keep the functions", undo=True, seconds=SECONDS)
        assert function.policy.grants == {function.anybody, since}


def test_a_function_is_deleted(google: Vendor, tell: Tell) -> None:
    function = Function(google, f"{SERVICE}.DeleteFunction")
    report = tell(FIELDS | {"gcp.cloudfunctions.function": "resize"}, rule=DELETED, cloud=google.laptop)
    function.read(report, NAME)
    report.look("Is its source still", shows=f"resize-{ID}/version-1/function-source.zip", hides=OTHER, seconds=SECONDS)


@pytest.mark.parametrize("rule", KEY)
def test_a_key_is_made(google: Vendor, tell: Tell, rule: str) -> None:
    key = Key(google, *KEY[rule], "ENABLED")
    fields = {"json.value[/resource/labels/crypto_key_id]": "k", "json.value[/resource/labels/key_ring_id]": "main"}
    report = tell(FIELDS | fields, rule=rule, cloud=google.laptop)
    key.read(report, RING)
    if rule == next(iter(KEY)):
        report.look("What is the key like", shows=["ENABLED", "86400s", "eve@evil.example"], seconds=SECONDS)


def test_a_key_is_destroyed(google: Vendor, tell: Tell) -> None:
    key = Key(google, "DestroyCryptoKeyVersion", f"{RING}/cryptoKeys/k/cryptoKeyVersions/1", "DESTROY_SCHEDULED")
    fields = FIELDS | {"json.value[/resource/labels/crypto_key_id]": "k"}
    with tell(fields, rule=DESTROYED, cloud=google.laptop) as report:
        key.read(report, RING)
        key.freeze(report)
        state = lambda: key.version["state"]  # noqa: E731
        report.recover("Restore the versions", state=state, becomes="ENABLED", shows="ENABLED", seconds=SECONDS)
        report.undo(state=lambda: key.caller["disabled"], becomes=False, seconds=SECONDS)
        key.version["state"] = "DESTROYED"
        report.again("Restore the versions", shows="DESTROYED", seconds=SECONDS)
