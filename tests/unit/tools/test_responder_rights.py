"""What `deploy/responder/` allows is what the steps name, and what they name is what their commands ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.steps import CommandStep
from tools.responder_rights import FOLDER, PROVIDERS, cloud_steps, contents, rights_of

_S3 = {
    "get-bucket-encryption": "GetEncryptionConfiguration",
    "put-bucket-encryption": "PutEncryptionConfiguration",
    "delete-bucket-encryption": "PutEncryptionConfiguration",
    "get-public-access-block": "GetBucketPublicAccessBlock",
    "put-public-access-block": "PutBucketPublicAccessBlock",
    "delete-public-access-block": "PutBucketPublicAccessBlock",
    "head-bucket": "ListBucket",
}
"""Calls whose right is not named after them (AWS' service authorization reference)."""
_GCLOUD = {
    "compute backend-services": "compute.backendServices",
    "compute firewall-rules": "compute.firewalls",
    "compute instances": "compute.instances",
    "compute project-info": "compute.projects",
    "compute security-policies": "compute.securityPolicies",
    "compute url-maps": "compute.urlMaps",
    "functions": "cloudfunctions.functions",
    "iam roles": "iam.roles",
    "iam service-accounts": "iam.serviceAccounts",
    "iam service-accounts keys": "iam.serviceAccountKeys",
    "kms keyrings": "cloudkms.keyRings",
    "kms keys": "cloudkms.cryptoKeys",
    "kms keys versions": "cloudkms.cryptoKeyVersions",
    "logging sinks": "logging.sinks",
    "projects": "resourcemanager.projects",
    "pubsub subscriptions": "pubsub.subscriptions",
    "sql backups": "cloudsql.backupRuns",
    "sql instances": "cloudsql.instances",
    "sql users": "cloudsql.users",
    "storage buckets": "storage.buckets",
}
_VERBS = {
    "add-iam-policy-binding": ("getIamPolicy", "setIamPolicy"),
    "describe": ("get",),
    "get-iam-policy": ("getIamPolicy",),
    "patch": ("update",),
    "remove-iam-policy-binding": ("getIamPolicy", "setIamPolicy"),
    "set-iam-policy": ("setIamPolicy",),
    "set-password": ("update",),
}
_OWN = {
    "compute firewall-rules update": {"compute.firewalls.update", "compute.networks.updatePolicy"},
    "kms keys versions enable": {"cloudkms.cryptoKeyVersions.update"},
    "logging read": {"logging.logEntries.list"},
    "sql backups restore": {"cloudsql.instances.restoreBackup", "cloudsql.backupRuns.list"},
    "sql operations cancel": {"cloudsql.instances.get"},
    "sql operations list": {"cloudsql.instances.get"},
    "storage cp": {"storage.objects.get", "storage.objects.list"},
    "storage ls": {"storage.buckets.list"},
    "storage restore": {"storage.buckets.restore", "storage.objects.restore"},
}
"""Commands whose rights do not follow from their names (Google's IAM permissions reference)."""


def aws_needs(text: str) -> Iterator[str]:
    """What a block's AWS calls need, in small letters."""
    for service, call in re.findall(r"\baws ([a-z0-9]+) ([a-z-]+)", text):
        if service == "sts":
            continue
        action = _S3.get(call, call.replace("-", ""))
        yield f"{service.removesuffix('api')}:{action}".lower()


def gcloud_needs(text: str) -> Iterator[str]:
    """What a block's gcloud commands need; not what it says."""
    for words in re.findall(r"\bgcloud ((?:[a-z-]+ )+)", re.sub(r'\becho "[^"]*"', "", text)):
        command = words.split()
        if command[0] in {"auth", "config"}:
            continue
        own = next((each for each in _OWN if words.startswith(f"{each} ")), "")
        if own:
            yield from _OWN[own]
            continue
        group = max((each for each in _GCLOUD if words.startswith(f"{each} ")), key=len)
        verb = words.removeprefix(f"{group} ").split()[0]
        yield from (f"{_GCLOUD[group]}.{each}" for each in _VERBS.get(verb, (verb,)))


@pytest.fixture(name="catalog", scope="module")
def the_catalog() -> Catalog:
    return load_catalog(())


@pytest.mark.parametrize("source", PROVIDERS.values())
def test_each_step_names_what_its_commands_need(catalog: Catalog, source: str) -> None:
    """Its own and those of its undo."""
    lacking = {}
    for step in cloud_steps(catalog, source):
        text = f"{step.run.text}\n{step.undo.text}"
        if source == "aws_cloudtrail":
            missing = set(aws_needs(text)) - {right.lower() for right in rights_of(step)}
        else:
            missing = set(gcloud_needs(text)) - rights_of(step)
        if missing:
            lacking[step.place] = (step.title.text, sorted(missing))
    assert not lacking


def test_no_step_of_aws_names_more(catalog: Catalog) -> None:
    """So the policies, which are made of what the steps name, allow nothing that no command needs."""
    spare = {}
    for step in cloud_steps(catalog, "aws_cloudtrail"):
        needs = set(aws_needs(f"{step.run.text}\n{step.undo.text}"))
        if more := {right for right in rights_of(step) if right.lower() not in needs}:
            spare[step.place] = (step.title.text, sorted(more))
    assert not spare


def test_no_step_says_its_rights_in_words_only(catalog: Catalog) -> None:
    """What is named is read: each cloud step of AWS and Google Cloud names at least one right."""
    unread = [step.place for source in PROVIDERS.values() for step in cloud_steps(catalog, source) if _is_unread(step)]
    assert not unread


def _is_unread(step: CommandStep) -> bool:
    return not rights_of(step)


def test_the_files_are_fresh(catalog: Catalog) -> None:
    """What is committed is what the steps name now."""
    there = {file.name: file.read_text("utf-8") for file in FOLDER.iterdir() if file.name.startswith(tuple(PROVIDERS))}
    assert there == contents(catalog), "run `python -m tools.responder_rights`"
