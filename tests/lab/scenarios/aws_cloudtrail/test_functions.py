"""Lambda functions: made, or given other code or settings; kept, then stopped."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from tests.lab.places.aws import Aws
from tests.lab.scenarios.aws_cloudtrail.account import SECONDS, alert, read
from tests.lab.story import Tell

CALLS = {
    "Create Lambda Function": "CreateFunction20150331",
    "Update Lambda Function Code": "UpdateFunctionCode20150331v2",
    "Update Lambda Function Configuration": "UpdateFunctionConfiguration20150331v2",
}
RULES = tuple(CALLS)
FIELDS = {"ct.request.functionname": "thumbnails"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
}


def make_function(aws: Aws, name: str = "thumbnails") -> None:
    """Make the function, without a limit of its own."""
    trust = json.dumps(TRUST)
    own = {"RoleName": f"strong{name}", "AssumeRolePolicyDocument": trust}
    role = aws.call("iam", "create_role", **own)["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return 1\n")
    what = {"Runtime": "python3.12", "Handler": "app.handler", "Code": {"ZipFile": code.getvalue()}}
    aws.call("lambda", "create_function", FunctionName=name, Role=role, **what)


def limit(aws: Aws, name: str = "thumbnails") -> Any:
    """Return how many calls of the function may run at once; None where it has no limit of its own."""
    found = aws.call("lambda", "get_function_concurrency", FunctionName=name)
    return found.get("ReservedConcurrentExecutions")


@pytest.mark.parametrize(("rule", "reserved"), [*zip(CALLS, [None, 5, None], strict=True)])
def test_a_function_is_stopped(aws: Aws, tell: Tell, rule: str, reserved: int | None) -> None:
    """The stand-in has no address of the code that can be fetched; settings and limit are kept all the same."""
    aws.laptop.environment["AWS_DEFAULT_OUTPUT"] = "text"
    make_function(aws)
    if reserved:
        aws.call("lambda", "put_function_concurrency", FunctionName="thumbnails", ReservedConcurrentExecutions=reserved)
    report = alert(aws, tell, rule, (CALLS[rule], "lambda"), FIELDS)
    read(aws, report)
    shows = ["app.handler", "role/strong", "CodeSha256"]
    report.contain("Keep code and settings", state=lambda: limit(aws), becomes=0, shows=shows, seconds=SECONDS)
    kept = aws.laptop.files()[f"evidence/{report.uid}/function.json"]
    assert json.loads(kept)["Configuration"]["FunctionName"] == "thumbnails"
    report.undo(state=lambda: limit(aws), becomes=reserved, seconds=SECONDS)
    aws.call("lambda", "put_function_concurrency", FunctionName="thumbnails", ReservedConcurrentExecutions=3)
    report.again("Keep code and settings", undo=True, shows="changed since", seconds=SECONDS)
    assert limit(aws) == 3, "a limit that somebody set since was changed"

    # A function of the same name in the account of another event, as staging and production have them.
    elsewhere = alert(aws, tell, rule, (CALLS[rule], "lambda"), FIELDS, recipientAccountId="210987654321")
    elsewhere.again("Keep code and settings", shows="another account's event", seconds=SECONDS)
    read(aws, elsewhere)
    elsewhere.again("Keep code and settings", shows="another account's event", seconds=SECONDS)
    assert limit(aws) == 3, "the function of another account was stopped"

    aws.call("lambda", "delete_function", FunctionName="thumbnails")
    report.again("Keep code and settings", shows="ResourceNotFoundException", seconds=SECONDS)
