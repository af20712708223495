"""An account in which mallory does something: the event in CloudTrail's history and the alert of the same second."""

from __future__ import annotations

from datetime import datetime
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
SECONDS = 600.0
FIRST = "Read exactly this event"


def alert(
    aws: Aws, tell: Tell, rule: str, call: tuple[str, str], fields: dict[str, Any] | None = None, **more: Any
) -> Story:
    """Record ``call``, a name and its service, and return the story of its alert; ``more`` is of the event."""
    name, service = call
    event = aws.record(name, f"{service}.amazonaws.com", **({"identity": MALLORY} | more))
    moment = datetime.fromisoformat(event["eventTime"].replace("Z", "+00:00"))
    return tell(FIELDS | (fields or {}), rule=rule, cloud=aws.laptop, time_ns=int(moment.timestamp()) * 1_000_000_000)


def read(aws: Aws, report: Story, *shows: str) -> None:
    """Run the first step, which reads and keeps the alert's event and no other."""
    who = aws.events[-1]["userIdentity"]["arn"]
    report.look(FIRST, shows=[aws.events[-1]["eventID"], who, *shows], seconds=SECONDS)
    assert aws.laptop.files()[f"evidence/{report.uid}/event.json"]
