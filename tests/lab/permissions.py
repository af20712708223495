"""Which permission each of Google's methods needs, and who has it.

From Google's reference of IAM permissions by method; a method that the table
does not have fails the scenario, so that none is let in unseen.
"""

from __future__ import annotations

import yaml

from tests.lab.programs import LAB

_SAME = """
bigquery.datasets.get
cloudkms.cryptoKeyVersions.get cloudkms.cryptoKeyVersions.list cloudkms.cryptoKeyVersions.restore
cloudkms.cryptoKeys.get cloudkms.cryptoKeys.getIamPolicy cloudkms.cryptoKeys.list cloudkms.keyRings.getIamPolicy
cloudfunctions.functions.get cloudfunctions.functions.getIamPolicy cloudfunctions.functions.setIamPolicy
compute.backendServices.list compute.firewalls.get compute.globalOperations.get
compute.instances.get compute.instances.resume compute.instances.start compute.instances.stop compute.instances.suspend
compute.projects.get compute.securityPolicies.list compute.urlMaps.list compute.zoneOperations.get
iam.roles.get iam.serviceAccounts.disable iam.serviceAccounts.enable iam.serviceAccounts.get
iam.serviceAccounts.getIamPolicy iam.serviceAccounts.undelete
logging.sinks.get logging.sinks.list logging.sinks.update
pubsub.subscriptions.get pubsub.subscriptions.list
storage.buckets.get storage.buckets.getIamPolicy storage.buckets.list storage.buckets.restore
storage.buckets.setIamPolicy storage.objects.get storage.objects.list
"""
"""Methods whose permission has the method's own name, ``projects``, ``locations`` and such left out."""
_OTHERS: dict[str, str] = {
    "bigquery.datasets.patch": "bigquery.datasets.get bigquery.datasets.update",
    "cloudkms.cryptoKeyVersions.patch": "cloudkms.cryptoKeyVersions.update",
    "cloudresourcemanager.projects.getIamPolicy": "resourcemanager.projects.getIamPolicy",
    "cloudresourcemanager.projects.setIamPolicy": "resourcemanager.projects.setIamPolicy",
    "compute.backendServices.aggregatedList": "compute.backendServices.list",
    "compute.firewalls.patch": "compute.firewalls.get compute.firewalls.update compute.networks.updatePolicy",
    "compute.globalOperations.wait": "compute.globalOperations.get",
    "compute.securityPolicies.aggregatedList": "compute.securityPolicies.list",
    "compute.urlMaps.aggregatedList": "compute.urlMaps.list",
    "compute.zoneOperations.wait": "compute.zoneOperations.get",
    "iam.roles.patch": "iam.roles.update",
    "iam.serviceAccounts.keys.disable": "iam.serviceAccountKeys.disable",
    "iam.serviceAccounts.keys.enable": "iam.serviceAccountKeys.enable",
    "iam.serviceAccounts.keys.list": "iam.serviceAccountKeys.list",
    "logging.entries.list": "logging.logEntries.list logging.privateLogEntries.list",
    "logging.sinks.patch": "logging.sinks.update",
    "pubsub.subscriptions.patch": "pubsub.subscriptions.update",
    "sql.backupRuns.insert": "cloudsql.backupRuns.create",
    "sql.backupRuns.list": "cloudsql.backupRuns.list",
    "sql.backups.getBackup": "cloudsql.backupRuns.get",
    "sql.backups.listBackups": "cloudsql.backupRuns.list",
    "sql.instances.get": "cloudsql.instances.get",
    "sql.instances.list": "cloudsql.instances.list",
    "sql.instances.patch": "cloudsql.instances.get cloudsql.instances.update",
    "sql.instances.restoreBackup": "cloudsql.backupRuns.get cloudsql.instances.restoreBackup",
    "sql.operations.cancel": "cloudsql.instances.export",
    "sql.operations.get": "cloudsql.instances.get",
    "sql.operations.list": "cloudsql.instances.get",
    "sql.users.list": "cloudsql.users.list",
    "sql.users.update": "cloudsql.users.update",
    "storage.buckets.patch": "storage.buckets.get storage.buckets.update",
    "storage.objects.bulkRestore": "storage.buckets.restore storage.objects.create storage.objects.restore",
}
NEEDS: dict[str, frozenset[str]] = {
    **{name: frozenset({name}) for name in _SAME.split()},
    **{name: frozenset(needed.split()) for name, needed in _OTHERS.items()},
}
_LEVELS = {"projects", "locations", "global"}


def needed(method: str) -> frozenset[str] | None:
    """Return the permissions of a method's id, e.g. ``iam.projects.serviceAccounts.get``; None where it is unknown."""
    service, *parts = method.split(".")
    if method in NEEDS:
        return NEEDS[method]
    named = [part for part in parts if part not in _LEVELS]
    for start in range(len(named) - 1):
        if found := NEEDS.get(".".join([service, *named[start:]])):
            return found
    return None


def responder(*names: str) -> frozenset[str]:
    """Return what the responders' roles of these names, ``look`` and ``contain``, include."""
    folder = LAB.parents[1] / "deploy/responder"
    roles = [yaml.safe_load((folder / f"gcp-{name}.yaml").read_text("utf-8")) for name in names]
    return frozenset[str]().union(*(role["includedPermissions"] for role in roles))
