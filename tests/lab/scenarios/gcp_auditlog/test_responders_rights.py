"""What deploy/responder/gcp-*.yaml include is enough for every step; without it a look says that it was refused.

That it is enough shows in every other scenario of Google Cloud: there the caller has the first role at looks, and both
at what changes something; a call that needs more is refused and fails the scenario.
"""

from __future__ import annotations

import re

import pytest

from tests.lab.permissions import NEEDS, responder
from tests.lab.places.vendors import GOOGLES_SERVICES, Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project
from tests.lab.steps import Step, reporter
from tests.lab.story import Tell

RULES = tuple(sorted(name for name, facts in reporter().catalog.rules.items() if facts.source == "gcp_auditlog"))
GOOGLE = tuple(GOOGLES_SERVICES)
OBJECTS = {
    "gcp.storage.bucket": "invoices",
    "gcp.cloudfunctions.function": "exfil",
    "gcp.time": "2026-01-01T00:00:00Z",
    "gcp.location": "europe-west3",
}
REFUSED = re.compile(r"PERMISSION_DENIED|Permission '?[a-z.A-Z]+'? denied|does not have permission|403")
TOLD = re.compile(rf"{REFUSED.pattern}|unknown|keep them first|nothing|no such|No such file|Could not open")
LOOKS = {"look", "keep", "verify"}


def test_every_look_says_that_it_was_refused(google: Vendor, tell: Tell) -> None:
    assert google.caller is not None
    Project(google, "storage.setIamPermissions", "projects/_/buckets/invoices")
    google.caller.roles = ()
    asked: dict[str, tuple[Step, str]] = {}
    for rule in RULES:
        for step in tell(FIELDS | OBJECTS, rule=rule, cloud=google.laptop).steps:
            if step.where == "cloud" and step.phases[0] in LOOKS and step.run_digest not in asked:
                asked[step.run_digest] = (step, google.laptop.paste(step.run, "bash", SECONDS).text)
    assert len(asked) > 5
    assert any(REFUSED.search(said) for _, said in asked.values())
    assert not [(step.title, said) for step, said in asked.values() if not TOLD.search(said)]


def test_the_roles_include_no_more_than_a_method_needs() -> None:
    used = frozenset[str]().union(*NEEDS.values())
    # Making an instance anew, and reading a version's key, are for backups of instances that are gone.
    assert responder("look", "contain") - used <= {"cloudsql.instances.create"}


@pytest.mark.parametrize("permission", sorted(responder("look")))
def test_the_first_role_changes_nothing(permission: str) -> None:
    assert (
        permission.rpartition(".")[2] in {"get", "list", "getIamPolicy"} or permission == "cloudsql.backupRuns.create"
    )
