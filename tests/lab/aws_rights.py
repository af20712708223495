"""Which right each call to AWS needs, who has it, and the words in which AWS refuses one.

A right is named after its call, but for those of S3 in ``_S3`` (AWS' service
authorization reference). Which call a request is says botocore's service model.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import botocore.session

from tests.lab.programs import LAB
from tests.lab.standin import Reply, Request

ANYBODY = frozenset({"sts:GetCallerIdentity"})
"""What needs no right."""
_S3 = {
    "HeadBucket": "ListBucket",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
}
WHO = "arn:aws:iam::123456789012:user/responder"


def service_of(request: Request) -> str:
    """Return the service that a request was signed for; empty where it was not signed."""
    return (request.headers.get("authorization", "").partition("Credential=")[2].split("/") + [""] * 4)[3]


def right_for(request: Request) -> str:
    """Return the right that a signed request needs, e.g. ``s3:GetBucketAcl``. Raises LookupError for no known call."""
    service = service_of(request)
    call = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if form := re.search(rb"(?:^|&)Action=(\w+)", request.body):
        call = form[1].decode()
    call = call or _by_path(service, request)
    return f"{service}:{_S3.get(call, call) if service == 's3' else call}"


def _by_path(service: str, request: Request) -> str:
    """Return the call whose path fits, the one with the most query members first."""
    fitting = [
        (len(members), name)
        for name, method, path, members in _paths(service)
        if method == request.method and path.fullmatch(request.path.rstrip("/")) and members <= request.query.keys()
    ]
    if not fitting:
        raise LookupError(f"{request.method} {request.path}: no call of {service}")
    return max(fitting)[1]


@cache
def _paths(service: str) -> list[tuple[str, str, re.Pattern[str], frozenset[str]]]:
    model = botocore.session.get_session().get_service_model(service)
    found = []
    for name in model.operation_names:
        about: dict[str, Any] = model.operation_model(name).http
        path, _, query = about["requestUri"].partition("?")
        pattern = re.sub(r"\\\{\w+\\?\+?\\\}", "[^/]+", re.escape(path.rstrip("/")))
        members = frozenset(each.partition("=")[0] for each in query.split("&") if each)
        found.append((name, about["method"], re.compile(pattern), members))
    return found


@cache
def responder(*names: str) -> frozenset[str]:
    """Return what the responders' policies of these names, ``look`` and ``contain``, allow."""
    files = [LAB.parents[1] / f"deploy/responder/aws-{name}.json" for name in names]
    return frozenset[str]().union(*(allowed(json.loads(file.read_text("utf-8"))) for file in files))


def allowed(policy: dict[str, Any]) -> frozenset[str]:
    """Return what a policy allows; it must name each right, of every resource."""
    assert all(each["Effect"] == "Allow" and each["Resource"] == "*" for each in policy["Statement"])
    rights = frozenset(right for each in policy["Statement"] for right in each["Action"])
    assert not [right for right in rights if "*" in right]
    return rights


def refusal(request: Request, right: str) -> Reply:
    """Return AWS' answer to a call without the right to it, in the form of its service."""
    text = f"User: {WHO} is not authorized to perform: {right} because no identity-based policy allows the action"
    match botocore.session.get_session().get_service_model(service_of(request)).metadata["protocol"]:
        case "ec2":
            error = f"<Code>UnauthorizedOperation</Code><Message>{text}</Message>"
            return _xml(f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>")
        case "query":
            error = f"<Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message>"
            return _xml(f"<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>")
        case "rest-xml":
            return _xml(f"<Error><Code>AccessDenied</Code><Message>{text}</Message></Error>")
        case "rest-json":
            return Reply({"Message": text}, 403, {"x-amzn-ErrorType": "AccessDeniedException"})
        case _:
            words = {"__type": "AccessDeniedException", "Message": text}
            return Reply(words, 400, {"Content-Type": "application/x-amz-json-1.1"})


def _xml(text: str) -> Reply:
    return Reply(text.encode(), 403, {"Content-Type": "text/xml"})
