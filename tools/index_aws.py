"""Write which operations and options the AWS CLI has for the services that advice speaks of.

`python tools/index_aws.py > exporter/lint/data/aws.json`; needs botocore, whose service models the CLI's
commands are made from. Options are those of the operation's input; the CLI's global options are not in the table.
"""

import json
import sys

import botocore.session
from botocore import xform_name

SERVICES = {
    # CLI name: botocore's
    "accessanalyzer": "accessanalyzer", "account": "account", "acm": "acm", "apigateway": "apigateway",
    "autoscaling": "autoscaling", "backup": "backup", "cloudformation": "cloudformation", "cloudfront": "cloudfront",
    "cloudtrail": "cloudtrail", "cloudwatch": "cloudwatch", "configservice": "config", "detective": "detective",
    "dynamodb": "dynamodb", "ec2": "ec2", "ecr": "ecr", "ecs": "ecs", "efs": "efs", "eks": "eks", "elbv2": "elbv2",
    "events": "events", "guardduty": "guardduty", "iam": "iam", "identitystore": "identitystore",
    "inspector2": "inspector2", "kms": "kms", "lambda": "lambda", "logs": "logs", "macie2": "macie2",
    "organizations": "organizations", "rds": "rds", "resourcegroupstaggingapi": "resourcegroupstaggingapi",
    "route53": "route53", "s3api": "s3", "s3control": "s3control", "secretsmanager": "secretsmanager",
    "securityhub": "securityhub", "signin": "signin", "sns": "sns", "sqs": "sqs", "ssm": "ssm",
    "sso-admin": "sso-admin", "sts": "sts", "wafv2": "wafv2",
}  # fmt: skip


def main() -> None:
    """Print the table: service, operation, options."""
    session = botocore.session.get_session()
    available = set(session.get_available_services())
    table: dict[str, dict[str, str]] = {}
    for name, service in SERVICES.items():
        if service not in available:
            continue
        model = session.get_service_model(service)
        table[name] = {}
        for operation in model.operation_names:
            shape = model.operation_model(operation).input_shape
            options = sorted(xform_name(member, "-") for member in shape.members) if shape else []
            table[name][xform_name(operation, "-")] = " ".join(options)
    sys.stdout.write(json.dumps(table, indent=0, sort_keys=True) + "\n")


main()
