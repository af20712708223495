"""AWS: moto's server, CloudTrail's LookupEvents, and a laptop with the real aws client.

Moto has no event history, so a stand-in before it answers LookupEvents from
what the scenario recorded, in the shape of botocore's own service model, and
passes everything else on. Every change that goes through it becomes an event.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import botocore.session
from botocore.validate import ParamValidator

from tests.lab import aws_rights
from tests.lab.places.laptop import Laptop, laptop, loaded_client
from tests.lab.programs import LAB, missing
from tests.lab.standin import Reply, Request, StandIn, in_network, serving

REGION = "eu-central-1"
REGIONS = (REGION, "us-east-1", "ap-southeast-2", "eu-west-1")
"""What the account has switched on; a step that asks each region costs seconds for each."""
ACCOUNT = "123456789012"
_MOTO, _FRONT = 5000, 4566
_KEYS = ("EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId")
_LOOKUP = "CloudTrail_20131101.LookupEvents"
"""What ``X-Amz-Target`` ends with."""


@cache
def _session() -> Any:
    """The lab's own session, which reads the services' descriptions once."""
    return boto3.session.Session("test", "test")


class Aws:
    """An account and the laptop from which it is administered."""

    def __init__(self, place: Laptop) -> None:
        self.laptop = place
        """Where ``cloud`` steps run, as the account's administrator."""
        self.events: list[dict[str, Any]] = []
        """CloudTrail's events, oldest first."""
        self.lacking: list[str] = []
        """Calls of steps that the responders' policies do not allow."""
        self.rights: frozenset[str] = frozenset()
        """What the laptop's caller may call; what they may not is refused."""
        self.complains = True
        """Whether a refused call fails the scenario: not where it is what the scenario shows (``only``)."""
        self._given = ""
        self._clients: dict[tuple[str, str], Any] = {}

    def call(self, service: str, operation: str, region: str = REGION, /, **parameters: Any) -> dict[str, Any]:
        """Call AWS for the lab, e.g. ``call("iam", "create_user", UserName="mallory")``; no event comes of it."""

        if (service, region) not in self._clients:
            at = f"http://127.0.0.1:{_MOTO}"
            self._clients[service, region] = _session().client(service, region_name=region, endpoint_url=at)
        client = self._clients[service, region]
        return in_network(self.laptop.pid, lambda: dict(getattr(client, operation)(**parameters)))

    def begin(self, phase: str) -> None:
        """Give the laptop's caller what ``deploy/responder`` gives a responder for a step of this phase."""
        self._become_responder()
        names = ("look",) if phase in {"look", "keep", "verify"} else ("look", "contain")
        self.rights = aws_rights.responder(*names)
        self._given = " and ".join(f"aws-{name}.json" for name in names)

    def only(self, policy: Mapping[str, Any] | None) -> None:
        """Let the laptop's caller have this policy, or none, from now on; what it does not allow is refused."""
        self._become_responder()
        self.laptop.begin = lambda _: None
        self.rights = aws_rights.allowed(dict(policy)) if policy else frozenset()
        self.complains = False

    def without(self, *rights: str) -> None:
        """Leave the laptop's caller, from now on, without these rights of a step that changes something."""
        self.begin("contain")
        self.laptop.begin = lambda _: None
        self.rights -= set(rights)
        self.complains = False

    def with_all(self) -> None:
        """Give the laptop's caller again what a responder has."""
        self.laptop.begin = self.begin
        self.complains = True

    def may(self, request: Request) -> Reply | None:
        """Return the refusal of a request that the laptop's caller has no right to; None where they have."""
        right = aws_rights.right_for(request)
        if right in self.rights | aws_rights.ANYBODY:
            return None
        if self.complains:
            self.lacking.append(f"{right}: not in {self._given}")
        return aws_rights.refusal(request, right)

    def _become_responder(self) -> None:
        """Let the laptop sign with a key of the user ``responder``."""
        if self.laptop.environment["AWS_ACCESS_KEY_ID"] != "test":
            return
        self.call("iam", "create_user", UserName="responder")
        key = self.call("iam", "create_access_key", UserName="responder")["AccessKey"]
        self.laptop.environment["AWS_ACCESS_KEY_ID"] = key["AccessKeyId"]
        self.laptop.environment["AWS_SECRET_ACCESS_KEY"] = key["SecretAccessKey"]
        self.laptop.close()

    def record(self, name: str, source: str, *, identity: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Add an event to CloudTrail's history and return it; ``more`` are members such as ``requestParameters``."""
        event = {
            "eventVersion": "1.11",
            "userIdentity": dict(identity),
            "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": source,
            "eventName": name,
            "awsRegion": REGION,
            "sourceIPAddress": "203.0.113.45",
            "userAgent": "aws-cli/2.22.0",
            "requestParameters": None,
            "responseElements": None,
            "requestID": str(uuid.uuid4()),
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
            **more,
        }
        self.events.append(event)
        return event

    def lookup_events(self, request: Mapping[str, Any], region: str) -> dict[str, Any]:
        """Answer LookupEvents as CloudTrail does: one region, newest first, one attribute, at most 50, 90 days."""
        wanted = request.get("LookupAttributes", [])
        start = _moment(request.get("StartTime"), datetime.now(UTC) - timedelta(days=90))
        end = _moment(request.get("EndTime"), datetime.now(UTC) + timedelta(minutes=1))
        found = [
            event
            for event in reversed(self.events)
            if event["awsRegion"] == region
            and start <= _moment(event["eventTime"], start) <= end
            and all(str(_attribute(event, each["AttributeKey"])) == each["AttributeValue"] for each in wanted)
        ]
        first = int(request.get("NextToken", "0"))
        last = first + min(int(request.get("MaxResults", 50)), 50)
        answer = {"Events": [_listed(event) for event in found[first:last]]}
        return answer | ({"NextToken": str(last)} if last < len(found) else {})


def _moment(value: Any, otherwise: datetime) -> datetime:
    if value is None:
        return otherwise
    if isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return datetime.fromtimestamp(float(value), UTC)


def _attribute(event: Mapping[str, Any], key: str) -> Any:
    identity = event["userIdentity"]
    if key == "Username":
        if identity.get("type") == "Root":
            return "root"
        arn = identity.get("arn", "")
        return identity.get("userName") or arn.rpartition("/")[2] or identity.get("type", "").lower()
    if key == "ReadOnly":
        return str(event["readOnly"]).lower()
    values = {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "EventSource": event["eventSource"],
        "AccessKeyId": identity.get("accessKeyId", ""),
    }
    if key in values:
        return values[key]
    resources = event.get("resources") or []
    return next((each.get(key) for each in resources if each.get(key)), "")


def _listed(event: Mapping[str, Any]) -> dict[str, Any]:
    listed = {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": _attribute(event, "ReadOnly"),
        "EventTime": _moment(event["eventTime"], datetime.now(UTC)).timestamp(),
        "EventSource": event["eventSource"],
        "Username": _attribute(event, "Username"),
        "Resources": event.get("resources") or [],
        "CloudTrailEvent": json.dumps(event),
    }
    key = event["userIdentity"].get("accessKeyId")
    return listed | ({"AccessKeyId": key} if key else {})


class _Model:
    """LookupEvents as botocore's service model has it; the rest is moto's to know."""

    def __init__(self) -> None:
        model = botocore.session.get_session().get_service_model("cloudtrail")
        self._input = model.operation_model("LookupEvents").input_shape

    def complaint(self, request: Request) -> str:
        """Return what the service model has against a LookupEvents request."""
        if not request.headers.get("x-amz-target", "").endswith(_LOOKUP):
            return ""
        document = request.json()
        for key in ("StartTime", "EndTime"):
            if key in document:
                document[key] = _moment(document[key], datetime.now(UTC))
        report = ParamValidator().validate(document, self._input)
        if len(document.get("LookupAttributes", [])) > 1:
            return "LookupEvents takes one attribute"
        asked = [each["AttributeKey"] for each in document.get("LookupAttributes", [])]
        unknown = [key for key in asked if key not in _KEYS]
        return report.generate_report() or (f"no attribute {unknown}" if unknown else "")


class _Front(StandIn):
    """What the laptop's client talks to."""

    def __init__(self, account: Aws) -> None:
        super().__init__(_Model())
        self._account = account

    def _answer(self, request: Request) -> Reply:
        region = _region(request)
        if refusal := self._account.may(request):
            return refusal
        if request.headers.get("x-amz-target", "").endswith(_LOOKUP):
            found = self._account.lookup_events(request.json(), region)
            return Reply(found, headers={"Content-Type": "application/x-amz-json-1.1"})
        reply = _pass_on(self._account, request)
        if b"Action=DescribeRegions" in request.body:
            reply = Reply(_REGION.sub(_if_on, reply.body), reply.status, reply.headers)
        if request.headers.get("x-amz-target", "").endswith(".DescribeServices") and reply.status == 200:
            reply = Reply(_with_times(json.loads(reply.body)), reply.status, reply.headers)
        _record(self._account, request, reply, region)
        return reply


_REGION = re.compile(rb"<item>(?:(?!</item>).)*<regionName>([^<]*)</regionName>.*?</item>", re.DOTALL)


def _if_on(item: re.Match[bytes]) -> bytes:
    """Leave a region out that the account has not switched on."""
    return item[0] if item[1].decode() in REGIONS else b""


def _with_times(answer: dict[str, Any]) -> dict[str, Any]:
    """Add when each of ECS' services was made, which moto knows of their deployments only."""
    for service in answer["services"]:
        service["createdAt"] = min(each["createdAt"] for each in service["deployments"])
    return answer


def _pass_on(account: Aws, request: Request) -> Reply:
    def ask() -> Reply:
        path = request.path + ("?" + request.query_text if request.query_text else "")
        dropped = {"connection", "transfer-encoding", "content-length", "date", "server"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", _MOTO, timeout=60)) as connection:
            connection.request(request.method, path, request.body, dict(request.headers))
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
            return Reply(response.read(), response.status, headers)

    return in_network(account.laptop.pid, ask)


def _region(request: Request) -> str:
    credential = request.headers.get("authorization", "").partition("Credential=")[2].split("/")
    return credential[2] if len(credential) > 2 else REGION


def _record(account: Aws, request: Request, reply: Reply, region: str) -> None:
    """Add the event of a change made from the laptop, where the request itself names its action."""
    target = request.headers.get("x-amz-target", "")
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"))) if not target else {}
    name = target.rpartition(".")[2] or form.get("Action", "")
    if not name or name.startswith(("Get", "List", "Describe", "Lookup")):
        return
    service = request.headers.get("authorization", "").partition("Credential=")[2].split("/")[3:4]
    where = "us-east-1" if service == ["iam"] else region
    error = {} if reply.status < 400 else {"errorCode": "AccessDenied" if reply.status == 403 else "ClientError"}
    parameters = request.json() if target else {k: v for k, v in form.items() if k not in {"Action", "Version"}}
    arn = f"arn:aws:iam::{ACCOUNT}:user/responder"
    identity = {"type": "IAMUser", "userName": "responder", "arn": arn, "accessKeyId": "test"}
    source = f"{(service or ['aws'])[0]}.amazonaws.com"
    account.record(name, source, identity=identity, awsRegion=where, requestParameters=parameters, **error)


@contextlib.contextmanager
def aws(directory: Path) -> Iterator[Aws]:
    """An empty account, with its clients' keys and region set on the laptop."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{_FRONT}",
        "AWS_PAGER": "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with laptop(environment) as place:
        log = directory / "moto.log"
        # Its own copy of AWS' managed policies, such as AWSDenyAll.
        settings = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        moto = place.serve([sys.executable, "-m", "moto.server", "--port", str(_MOTO)], log, settings)
        try:
            with loaded_client(place, "aws", [sys.executable, LAB / "served_client.py", "aws_client"], log):
                account = Aws(place)
                place.begin = account.begin
                _await_moto(place, log)
                with serving(_Front(account), place, port=_FRONT):
                    yield account
            assert not account.lacking, "deploy/responder lacks what a step calls:\n" + "\n".join(account.lacking)
        finally:
            moto.kill()
            moto.wait(5)


def _await_moto(place: Laptop, log: Path) -> None:
    deadline = time.monotonic() + 60

    def ask() -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", _MOTO, timeout=5)) as connection:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status

    while True:
        with contextlib.suppress(OSError):
            if in_network(place.pid, ask) == 200:
                return
        if time.monotonic() > deadline:
            missing(f"moto's server did not start: {log.read_text('utf-8', 'replace')[-500:]}")
        time.sleep(0.05)
