"""What happens in Kubernetes, clouds and services, as Falco's plugins tell it."""

from __future__ import annotations

from collections.abc import Mapping

_CLUSTER = "falco-k8saudit-0"
_AUDIT = {
    "ka.user.name": "jane.doe@example.com",
    "ka.target.namespace": "shop",
    "ka.response.code": "200",
    "ka.auth.decision": "allow",
    "ka.auth.reason": 'RBAC: allowed by ClusterRoleBinding "admins" of ClusterRole "cluster-admin" to Group "admins"',
}
_AWS = {"ct.user": "deploy-bot", "ct.srcip": "198.51.100.23", "ct.region": "eu-central-1"}
_GITHUB = {
    "github.repo.name": "shop-frontend",
    "github.repo.url": "https://github.com/example-org/shop-frontend",
    "github.owner": "example-org",
    "github.org": "example-org",
    "github.user": "jane-doe",
}

PLUGIN_STORY: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "Create Privileged Pod",
        _CLUSTER,
        _AUDIT
        | {
            "ka.resp.name": "debug-node",
            "ka.target.resource": "pods",
            "ka.req.pod.containers.image": "(docker.io/library/alpine:3.20)",
        },
    ),
    (
        "Attach/Exec Pod",
        _CLUSTER,
        _AUDIT
        | {
            "ka.target.name": "frontend-6d5b9c7f88-x2kqp",
            "ka.target.resource": "pods",
            "ka.target.subresource": "exec",
            "ka.uri.param[command]": "bash",
        },
    ),
    (
        "K8s Secret Get Successfully",
        _CLUSTER,
        _AUDIT | {"ka.target.name": "payment-api-key", "ka.target.resource": "secrets"},
    ),
    (
        "Attach to cluster-admin Role",
        _CLUSTER,
        _AUDIT | {"ka.req.binding.subjects": '[{"kind":"ServiceAccount","name":"ci","namespace":"build"}]'},
    ),
    ("Console Root Login Without MFA", "falco-cloudtrail", _AWS | {"ct.user": "root"}),
    ("CloudTrail Logging Disabled", "falco-cloudtrail", _AWS | {"ct.request.name": "org-trail"}),
    ("Delete Bucket Public Access Block", "falco-cloudtrail", _AWS | {"s3.bucket": "example-invoices"}),
    (
        "GCP IAM service account key created",
        "falco-gcp",
        {
            "gcp.projectId": "example-prod",
            "gcp.user": "jane.doe@example.com",
            "gcp.callerIP": "198.51.100.23",
            "gcp.userAgent": "google-cloud-sdk gcloud/487.0.0",
            "gcp.authorizationInfo": '[{"granted":true,"permission":"iam.serviceAccountKeys.create"}]',
            "gcp.request": '{"name":"projects/-/serviceAccounts/deploy@example-prod.iam.gserviceaccount.com"}',
        },
    ),
    (
        "removing all MFA factor from user in OKTA",
        "falco-okta",
        {"okta.actor.name": "Jane Doe", "okta.client.ip": "203.0.113.9"},
    ),
    ("Private Repository Becoming Public", "falco-github", _GITHUB),
)
"""Rule, host and the values of its fields."""
