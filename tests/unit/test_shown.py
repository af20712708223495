"""Values as sentences show them."""

from __future__ import annotations

import pytest

from exporter.shown import shown


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("evt.arg.mode", "S_ISUID|S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR", "4755 (set-user-id)"),
        ("evt.arg.mode", "S_ISGID|S_ISUID|S_IXUSR", "6100 (set-user-id, set-group-id)"),
        ("evt.arg.mode", "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IRUSR", "0555"),
        ("evt.arg.mode", "04755", "04755"),
        ("gcp.callerIP", "private", "private (within Google)"),
        ("gcp.callerIP", "gce-internal-ip", "gce-internal-ip (a VM of the organization)"),
        ("gcp.callerIP", "203.0.113.7", "203.0.113.7"),
        ("exe.age.seconds", "0", "under 1 s"),
        ("exe.age.seconds", "119", "119 s"),
        ("exe.age.seconds", "1500", "25 min"),
        ("exe.age.seconds", "864000", "10 days"),
        ("exe.age.seconds", "-3", "-3"),
        ("ka.req.pod.containers.image", "(alpine,docker.io/library/busybox:1)", "alpine, docker.io/library/busybox:1"),
        ("ka.req.pod.containers.image", '(a"b,c(d)', '(a"b,c(d)'),
        (
            "ka.req.binding.subjects",
            '({"kind":"ServiceAccount","name":"operator","namespace":"ops"},{"kind":"User","name":"eve"})',
            "ServiceAccount ops/operator; User eve",
        ),
        (
            "ka.req.role.rules",
            '({"apiGroups":["","apps"],"resources":["pods","deployments"],"verbs":["get","list"]},'
            '{"nonResourceURLs":["/metrics"],"verbs":["get"]})',
            "get, list pods, deployments of apps; get /metrics",
        ),
        (
            "ka.req.role.rules",
            '({"apiGroups":[""],"resources":["secrets"],"resourceNames":["tls"],"verbs":["get"]})',
            "get secrets named tls",
        ),
        (
            "ka.req.service.ports",
            '({"port":80,"protocol":"TCP","nodePort":30080,"targetPort":8080})',
            "80 (node port 30080)",
        ),
        ("ka.req.service.ports", '({"port":53,"protocol":"UDP"})', "53/UDP"),
        (
            "gcp.policyDelta",
            '[{"action": "ADD", "role": "roles/owner", "member": "user:a@gmail.com"}]',
            "ADD roles/owner for user:a@gmail.com",
        ),
        ("proc.cmdline", "(as it is)", "(as it is)"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(field: str, value: str, expected: str) -> None:
    """Names and brackets of Falco's are no reading matter; other values stay."""
    assert shown(field, value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "()", "({", "(1,2)", '({"kind":["a"]})', '({"verbs":"get"})', "[]", '("text")', "(null)", "[" * 100_000],
)
@pytest.mark.parametrize(
    "field", ["ka.req.binding.subjects", "ka.req.role.rules", "ka.req.service.ports", "gcp.policyDelta"]
)
def test_what_is_of_another_form_is_shown_unchanged(field: str, value: str) -> None:
    """Senders choose the value: nothing of it is lost, and nothing fails."""
    assert shown(field, value) == value
