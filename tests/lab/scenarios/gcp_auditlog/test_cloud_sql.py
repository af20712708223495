"""Cloud SQL: a stolen service account takes a database out, opens it and deletes what could bring it back."""

from __future__ import annotations

from typing import Any

from tests.lab.places.laptop import Laptop
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project, entry
from tests.lab.standin import Reply, Request
from tests.lab.story import Story, Tell

USER = "GCP Cloud SQL database user modified or deleted"
BACKUP = "GCP Cloud SQL database backup deleted"
EXPORT = "GCP Cloud SQL database instance data exported"
DELETED = "GCP Cloud SQL database instance deleted"
CHANGED = "GCP Cloud SQL database instance modified or created"
RULES = (USER, BACKUP, EXPORT, DELETED, CHANGED)
GOOGLE = ("logging", "iam", "sqladmin")
SQL = "/sql/v1beta4/projects/{p}"
MISSING = Reply({"error": {"code": 404, "message": "not found", "errors": [{"reason": "userDoesNotExist"}]}}, 404)


class Database(Project):
    """A project with the instance ``db1``."""

    def __init__(self, google: Vendor, method: str, **payload: Any) -> None:
        super().__init__(google, method, "projects/shop-prod/instances/db1", **payload)
        self.passwords = {"postgres": "old"}
        self.networks = ["0.0.0.0/0", "192.0.2.0/24"]
        self.instances = {"db1"}
        self.restored: list[str] = []
        """Into which instances a backup was restored."""
        self.exports = {"op7": "RUNNING", "op6": "DONE"}
        self.backups = [{"id": "7", "status": "SUCCESSFUL", "instance": "db1", "description": "nightly"}]
        self.done: list[str] = []
        self.on(f"GET {SQL}/instances/{{i}}", self.instance)
        self.on(f"GET {SQL}/instances", lambda _: {"items": [about(name) for name in sorted(self.instances)]})
        self.on(f"PATCH {SQL}/instances/{{i}}", self.patch)
        self.on(f"GET {SQL}/instances/{{i}}/users", lambda _: {"items": [{"name": "postgres", "type": "BUILT_IN"}]})
        self.on(f"PUT {SQL}/instances/{{i}}/users", self.set_password)
        self.on(f"GET {SQL}/instances/{{i}}/backupRuns", lambda _: {"items": self.backups})
        self.on(f"POST {SQL}/instances/{{i}}/backupRuns", self.back_up)
        self.on(f"POST {SQL}/instances/{{i}}/restoreBackup", self.restore)
        self.on(f"GET {SQL}/backups", self.retained)
        self.on(f"GET {SQL}/backups/{{b}}", lambda _: self.retained(_)["backups"][0])
        self.on(f"GET {SQL}/operations", self.operations)
        self.on(f"GET {SQL}/operations/{{o}}", lambda _: operation("op1", "UPDATE", "DONE"))
        self.on(f"POST {SQL}/operations/{{o}}/cancel", self.cancel)

    def instance(self, request: Request) -> Any:
        """One instance, or 404."""
        name = request.parameters["i"]
        if name not in self.instances:
            return MISSING
        networks = [{"kind": "sql#aclEntry", "value": each} for each in self.networks]
        settings = {"settingsVersion": "1", "tier": "db-f1-micro", "ipConfiguration": {"authorizedNetworks": networks}}
        return {**about(name), "settings": settings}

    def patch(self, request: Request) -> Any:
        """Change the networks."""
        asked = request.json()["settings"]["ipConfiguration"]["authorizedNetworks"]
        self.networks = [each["value"] for each in asked]
        return operation("op1", "UPDATE", "DONE")

    def set_password(self, request: Request) -> Any:
        """Change a user's password; 404 where there is no such user."""
        if request.query["name"] not in self.passwords:
            return MISSING
        self.passwords[request.query["name"]] = request.json()["password"]
        self.done.append("UPDATE_USER")
        return operation("op1", "UPDATE_USER", "DONE")

    def back_up(self, request: Request) -> Any:
        """Take a backup."""
        about = {"id": "8", "status": "SUCCESSFUL", "instance": "db1"}
        self.backups.append({**about, "description": request.json()["description"]})
        return operation("op1", "BACKUP_VOLUME", "DONE")

    def restore(self, request: Request) -> Any:
        """Restore a backup into an instance."""
        self.instances.add(request.parameters["i"])
        self.restored.append(request.parameters["i"])
        return operation("op1", "RESTORE_VOLUME", "DONE")

    def retained(self, _: Request) -> Any:
        """The project's backups, the newest first; one failed."""
        ended = "2026-11-27T12:00:00Z", "2026-11-28T12:00:00Z"
        made = [("b1", "SUCCESSFUL", ended[0]), ("b2", "FAILED", ended[1])] if self.backups else []
        return {"backups": [retained(*each) for each in made]}

    def operations(self, _: Request) -> Any:
        """What was done to the instance."""
        exports = [operation(name, "EXPORT", status) for name, status in self.exports.items()]
        return {"items": exports + [operation("op1", kind, "DONE") for kind in self.done]}

    def cancel(self, request: Request) -> Any:
        """Cancel an export that runs."""
        if self.exports.get(request.parameters["o"]) != "RUNNING":
            return Reply({"error": {"code": 400, "message": "it has ended"}}, 400)
        self.exports[request.parameters["o"]] = "DONE"
        return {}


def about(name: str) -> dict[str, Any]:
    """An instance that runs."""
    made = {"name": name, "project": "shop-prod", "state": "RUNNABLE", "backendType": "SECOND_GEN"}
    return {**made, "instanceType": "CLOUD_SQL_INSTANCE", "databaseVersion": "POSTGRES_15", "region": "europe-west1"}


def retained(name: str, state: str, ended: str) -> dict[str, Any]:
    """A backup that outlives its instance."""
    about = {"name": f"projects/shop-prod/backups/{name}", "instance": "db1", "state": state, "type": "FINAL"}
    return {**about, "backupInterval": {"endTime": ended}}


def operation(name: str, kind: str, status: str) -> dict[str, Any]:
    """An operation of Cloud SQL."""
    about = {"kind": "sql#operation", "name": name, "operationType": kind, "status": status, "user": "mallory"}
    about |= {"startTime": "2026-11-28T12:00:00Z", "targetId": "db1", "targetProject": "shop-prod"}
    return {**about, "exportContext": {"uri": "gs://evil/dump.sql"}} if kind == "EXPORT" else about


def begin(tell: Tell, google: Vendor, rule: str) -> Story:
    return tell(FIELDS | {"gcp.cloudsql.databaseId": "shop-prod:db1"}, rule=rule, cloud=google.laptop)


def test_a_login_is_changed(google: Vendor, tell: Tell) -> None:
    db = Database(google, "cloudsql.users.update", request={"name": "postgres", "host": "%"})
    report = begin(tell, google, USER)
    db.read(report, "postgres")
    is_new = lambda: db.passwords["postgres"] != "old"  # noqa: E731
    report.contain("Replace the password", state=is_new, becomes=True, shows="UPDATE_USER", seconds=SECONDS)
    assert db.passwords["postgres"].encode() in {kept.strip() for kept in google.laptop.files().values()}
    db.passwords.clear()
    report.again("Replace the password", shows="404", seconds=SECONDS)
    assert db.passwords == {}


def test_only_the_logins_of_calls_that_succeeded_are_replaced(google: Vendor, tell: Tell) -> None:
    """One call was refused, one only looked, and a login whose name begins with another's is not that other."""
    db = Database(google, "cloudsql.users.update", request={"name": "app writer", "host": "%"})
    for user, method, code in (("postgres", "update", 7), ("batch", "get", 0)):
        payload = {"request": {"name": user}, "status": {"code": code}}
        db.entries.append(entry(f"cloudsql.users.{method}", "projects/shop-prod/instances/db1", payload))
    db.passwords |= {"app writer": "old", "app": "old", "batch": "old"}
    report = begin(tell, google, USER)
    db.read(report, "app writer")
    report.again("Replace the password", seconds=SECONDS)
    assert [name for name, password in db.passwords.items() if password != "old"] == ["app writer"]


def test_no_login_gets_an_empty_password(google: Vendor, tell: Tell) -> None:
    """A laptop without openssl."""
    db = Database(google, "cloudsql.users.update", request={"name": "postgres", "host": "%"})
    without(google.laptop, "openssl")
    report = begin(tell, google, USER)
    db.read(report)
    report.again("Replace the password", shows="openssl", seconds=SECONDS)
    assert db.passwords == {"postgres": "old"}


def without(laptop: Laptop, program: str) -> None:
    """Let a program fail as if it were not there."""
    laptop.run(f"mkdir -p ~/bin; printf '#!/bin/sh\\necho {program}: not found >&2; exit 127\\n' > ~/bin/{program}")
    laptop.run(f"chmod +x ~/bin/{program}")
    laptop.environment["PATH"] = f"{laptop.home}/bin:{laptop.environment['PATH']}"


def test_a_backup_is_deleted(google: Vendor, tell: Tell) -> None:
    db = Database(google, "cloudsql.backupRuns.delete")
    report = begin(tell, google, BACKUP)
    db.read(report)
    taken = lambda _: [each["id"] for each in db.backups if each["description"] == f"incident-{report.uid}"]  # noqa: E731
    report.keep("Take a backup", keeps=taken, shows=["SUCCESSFUL", "nightly"], seconds=SECONDS)


def test_data_is_exported(google: Vendor, tell: Tell) -> None:
    db = Database(google, "cloudsql.instances.export")
    report = begin(tell, google, EXPORT)
    db.read(report)
    ended = {"op7": "DONE", "op6": "DONE"}
    state = lambda: dict(db.exports)  # noqa: E731
    report.contain("Cancel exports", state=state, becomes=ended, shows="gs://evil/dump.sql", seconds=SECONDS)


def test_an_instance_is_opened(google: Vendor, tell: Tell) -> None:
    db = Database(google, "cloudsql.instances.update")
    before = list(db.networks)
    report = begin(tell, google, CHANGED)
    db.read(report)
    report.contain("Close the instance", state=lambda: list(db.networks), becomes=[], seconds=SECONDS)
    report.undo(state=lambda: list(db.networks), becomes=before, seconds=SECONDS)
    refused = Reply({"error": {"code": 403, "message": "denied", "errors": [{"reason": "notAuthorized"}]}}, 403)
    db.networks = ["198.51.100.0/24"]
    asked: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        return refused if len(asked) == 1 else db.instance(request)

    db.on(f"GET {SQL}/instances/{{i}}", get)
    report.again("Close the instance", undo=True, shows="403", seconds=SECONDS)
    assert db.networks == ["198.51.100.0/24"], "what it did not see was shut out"
    report.again("Close the instance", undo=True, seconds=SECONDS)
    assert db.networks == [*before, "198.51.100.0/24"], "a network that somebody let in since was shut out"


def test_an_instance_that_could_not_be_kept_is_not_closed(google: Vendor, tell: Tell) -> None:
    """Which networks were let in is what the undo must know."""
    db = Database(google, "cloudsql.instances.update")
    before = list(db.networks)
    refused = Reply({"error": {"code": 403, "message": "denied", "errors": [{"reason": "notAuthorized"}]}}, 403)
    asked: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        return refused if len(asked) == 1 else db.instance(request)

    db.on(f"GET {SQL}/instances/{{i}}", get)
    report = begin(tell, google, CHANGED)
    db.read(report)
    report.again("Close the instance", shows="not authorized", seconds=SECONDS)
    assert db.networks == before


def test_an_instance_is_deleted(google: Vendor, tell: Tell) -> None:
    db = Database(google, "cloudsql.instances.delete")
    db.instances.clear()
    with begin(tell, google, DELETED) as report:
        db.read(report)
        db.freeze(report)
        back = {"db1-restored"}
        state = lambda: set(db.instances)  # noqa: E731
        report.recover("Restore the newest backup", state=state, becomes=back, shows="b1", seconds=SECONDS)
        report.undo(state=lambda: db.caller["disabled"], becomes=False, seconds=SECONDS)
        # Two days later somebody pastes it once more; the list cannot be had at that moment.
        refused = Reply({"error": {"code": 403, "message": "denied", "errors": [{"reason": "notAuthorized"}]}}, 403)
        for route in (f"GET {SQL}/instances", f"GET {SQL}/instances/{{i}}"):
            db.on(route, lambda _: refused)
        report.again("Restore the newest backup", shows="denied", seconds=SECONDS)
        assert db.restored == ["db1-restored"], "what was written into it since is overwritten"
        db.backups.clear()
        report.again("Restore the newest backup", shows="no backup of it is left", seconds=SECONDS)
