"""Whether an outcome is told, or only not contradicted."""

from __future__ import annotations

import pytest

from exporter.verdict.outcome import only_apparent, outcome_of


@pytest.mark.parametrize(
    ("fields", "apparent"),
    [
        ({"alert.source": "syscall", "evt.type": "execve"}, False),
        ({"alert.source": "syscall", "evt.type": "openat", "fd.name": "/etc/x"}, False),
        (
            {
                "alert.source": "syscall",
                "alert.rule": "Directory traversal monitored file read",
                "evt.type": "openat",
                "fd.name": "/etc/x",
            },
            True,
        ),
        ({"alert.source": "syscall", "evt.type": "setuid"}, True),
        ({"alert.source": "syscall", "evt.type": "finit_module", "evt.res": "SUCCESS"}, False),
        ({"alert.source": "k8s_audit", "ka.response.code": "201"}, False),
        ({"alert.source": "k8s_audit"}, True),
        ({"alert.source": "gcp_auditlog"}, True),
        ({"alert.source": "okta"}, True),
        ({"alert.source": "aws_cloudtrail"}, False),
        ({"alert.source": "github"}, False),
    ],
)
def test_where_no_field_shows_success_it_is_apparent_only(fields: dict[str, str], apparent: bool) -> None:
    """A report does not say \"succeeded\" beside \"unknown: whether it was admitted\"."""
    assert outcome_of(fields.get) == "succeeded"
    assert only_apparent(fields.get) is apparent
