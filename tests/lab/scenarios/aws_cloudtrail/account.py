"""An account in which mallory does something: the event in CloudTrail's history and the alert of the same second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.lab.places.aws import ACCOUNT, REGION, Aws
from tests.lab.story import Story, Tell

MALLORY = {
    "type": "IAMUser",
    "principalId": "AIDALABMALLORY",
    "userName": "mallory",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIALAB",
}
FIELDS = {"ct.user": "mallory", "ct.srcip": "203.0.113.45", "ct.region": REGION}
REQUESTED = {
    f"ct.request.{name.casefold()}": name
    for name in ("cluster", "functionName", "groupName", "name", "serviceName", "taskDefinition", "userName")
}
"""By an alert's field, the parameter of the call that it comes from."""
SECONDS = 600.0
FIRST = "Read exactly this event"


def alert(
    aws: Aws, tell: Tell, rule: str, call: tuple[str, str], fields: dict[str, Any] | None = None, **more: Any
) -> Story:
    """Record ``call``, a name and its service, and return the story of its alert; ``more`` is of the event.

    What the call asked for is in the event as the alert's fields have it, unless ``more`` says otherwise.
    The caller has the id that the account gave to the user or role of this name, unless the event says ``another``.
    """
    name, service = call
    identity = more.pop("identity", MALLORY)
    asked = {REQUESTED[key]: value for key, value in (fields or {}).items() if key in REQUESTED}
    more.setdefault("requestParameters", asked or None)
    event = aws.record(name, f"{service}.amazonaws.com", identity=known(aws, identity), **more)
    moment = datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00"))
    named = {"ct.user": user_of(event["userIdentity"])}
    return tell(
        FIELDS | named | (fields or {}), rule=rule, cloud=aws.laptop, time_ns=int(moment.timestamp()) * 1_000_000_000
    )


def user_of(identity: Mapping[str, Any]) -> str | None:
    """Return what Falco's plugin takes for the user of an identity; none for a root user without an alias."""
    match identity["type"]:
        case "Root" | "IAMUser":
            return identity.get("userName")
        case "AssumedRole":
            issuer: Mapping[str, str] = identity.get("sessionContext", {}).get("sessionIssuer", {})
            return issuer.get("userName", "AssumedRole")
        case kind:
            return str(kind)


def known(aws: Aws, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity with the id of the account's own user or role of its name, where it has one."""
    found = {name: value for name, value in identity.items() if name != "another"}
    if identity.get("another"):
        return found
    own = {each["UserName"]: each["UserId"] for each in aws.call("iam", "list_users")["Users"]}
    if identity.get("type") == "IAMUser" and identity["userName"] in own:
        return found | {"principalId": own[identity["userName"]]}
    issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
    own |= {each["RoleName"]: each["RoleId"] for each in aws.call("iam", "list_roles")["Roles"]}
    if not (one := own.get(issuer.get("userName"))):
        return found
    found["sessionContext"] = {"sessionIssuer": {**issuer, "principalId": one}}
    _, _, session = identity["principalId"].partition(":")
    return found | ({"principalId": f"{one}:{session}"} if identity["type"] == "AssumedRole" else {})


def earlier(minutes: int = 5) -> str:
    """Return the time of an event some minutes ago."""
    return f"{datetime.now(UTC) - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def read(aws: Aws, report: Story, *shows: str) -> None:
    """Run the first step, which reads and keeps the alert's event and no other."""
    who = aws.events[-1]["userIdentity"]["arn"]
    report.look(FIRST, shows=[aws.events[-1]["eventID"], who, *shows], seconds=SECONDS)
    assert aws.laptop.files()[f"evidence/{report.uid}/event.json"]


def leave(aws: Aws, report: Story, name: str, content: object) -> None:
    """Leave a file among the report's evidence, as an earlier step would have."""
    folder = aws.laptop.file(f"evidence/{report.uid}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content), "utf-8")


def leave_event(aws: Aws, report: Story) -> None:
    """Leave the newest event as the one that the first step read."""
    leave(aws, report, "event.json", aws.events[-1])


def without_sts(aws: Aws) -> None:
    """Let nobody tell the responder who they are: STS is switched off in the region, or a proxy lets it not through."""
    aws.laptop.environment |= {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}


def granted(*rights: str) -> dict[str, Any]:
    """Return a policy that allows these rights and nothing else."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(rights), "Resource": "*"}]}
