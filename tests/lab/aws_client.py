"""The real aws client, as ``served_client`` loads it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import awscli.clidriver
import awscli.customizations.cloudtrail
import awscli.customizations.s3.s3

KEPT = ("AWS_DATA_PATH",)
"""Set where it is imported."""
_SERVICES = ("cloudtrail", "ec2", "iam", "lambda", "s3", "sts")


def load() -> Callable[[list[str]], object]:
    """Return what runs one command and returns its status. What the client reads of its own files is read here."""
    # All commands have one loader, which remembers; of the environment it knows the folders only.
    sessions = awscli.clidriver.botocore.session
    sessions.create_loader = functools.cache(sessions.create_loader)
    session = awscli.clidriver.create_clidriver().session
    session.get_available_services()
    for service in _SERVICES:
        session.get_service_model(service)
    return lambda arguments: awscli.clidriver.create_clidriver().main(arguments)
