"""The real aws client, as ``served_client`` loads it."""

from __future__ import annotations

from collections.abc import Callable

import awscli.clidriver
import awscli.customizations.cloudtrail
import awscli.customizations.s3.s3

KEPT = ("AWS_DATA_PATH",)
"""Set where it is imported."""


def load() -> Callable[[list[str]], object]:
    """Return what runs one command and returns its status."""
    return lambda arguments: awscli.clidriver.create_clidriver().main(arguments)
