"""GitHub, Okta and Google: a laptop with their real clients, and a stand-in that knows what the vendor describes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.integration.certificates import Authority
from tests.lab import openapi, permissions
from tests.lab.places.laptop import Laptop, laptop, loaded_client
from tests.lab.programs import LAB, built, program
from tests.lab.standin import Description, Reply, Request, StandIn, serving

OKTA_DOMAIN = "example.okta.com"
GOOGLES_SERVICES: Mapping[str, str] = {
    "bigquery": "v2",
    "cloudfunctions": "v1 v2",
    "cloudkms": "v1",
    "cloudresourcemanager": "v1",
    "compute": "v1",
    "iam": "v1",
    "logging": "v2",
    "pubsub": "v1",
    "sqladmin": "v1beta4",
    "storage": "v1",
}
"""Each service's versions that gcloud speaks; each has a discovery document."""


class Vendor:
    """A vendor's service and the laptop from which it is administered."""

    def __init__(self, place: Laptop, service: StandIn) -> None:
        self.laptop = place
        """Where ``cloud`` steps run."""
        self.service = service
        """What answers; ``service.answers("GET /user", {...})``."""
        self.caller: Responder | None = None
        """Google's: whose rights the laptop's caller has."""


@contextlib.contextmanager
def _vendor(
    directory: Path, description: Description, hosts: tuple[str, ...], environment: Mapping[str, str]
) -> Iterator[Vendor]:
    authority = Authority(directory)
    pair = authority.make_server(host=hosts[0])
    trust = {name: str(authority.cert_file) for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    trust["CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"] = str(authority.cert_file)
    names = [host for host in hosts if not host.startswith("*")]
    with laptop({**trust, **environment}, hosts=names) as place:
        service = StandIn(description)
        with serving(service, place, certificate=(pair.cert_file, pair.key_file)):
            yield Vendor(place, service)


@contextlib.contextmanager
def github(directory: Path) -> Iterator[Vendor]:
    """GitHub, for gh and curl: ``GH_TOKEN`` is set."""
    built("gh")
    # In any other terminal gh asks for the background's colour and reads the answer, and with it what was pasted ahead.
    settings = {"GH_TOKEN": "ghp_lab", "TERM": "screen"}
    refusals = {401: {"message": "Bad credentials"}, 403: {"message": "Resource not accessible by this token"}}
    with _vendor(directory, openapi.github(), ("api.github.com",), settings) as made:
        Token("token ghp_lab", {status: {**body, "status": str(status)} for status, body in refusals.items()}).guards(
            made
        )
        yield made


@contextlib.contextmanager
def okta(directory: Path) -> Iterator[Vendor]:
    """Okta, for curl: ``OKTA_ORG`` and ``OKTA_TOKEN`` are set."""
    settings = {"OKTA_ORG": OKTA_DOMAIN, "OKTA_TOKEN": "00lab"}
    refusals = {
        401: {"errorCode": "E0000011", "errorSummary": "Invalid token provided"},
        403: {"errorCode": "E0000006", "errorSummary": "You do not have permission to perform the requested action"},
    }
    with _vendor(directory, openapi.okta(), (OKTA_DOMAIN,), settings) as made:
        Token("SSWS 00lab", refusals).guards(made)
        yield made


class Token:
    """The reader's token for GitHub or Okta: a step that only looks is given one that may change nothing."""

    def __init__(self, header: str, refusals: Mapping[int, Any]) -> None:
        self._header = header
        self._refusals = refusals
        self._phase = "contain"

    def guards(self, vendor: Vendor) -> None:
        """Have the vendor's stand-in ask for this token."""
        vendor.service.knows = self.refusal
        vendor.laptop.begin = self.begin

    def begin(self, phase: str) -> None:
        """Note which phase the step that is about to be pasted has."""
        self._phase = phase

    def refusal(self, request: Request) -> Reply | None:
        """Return the vendor's answer to a request without the token, or to a change by a step that looks."""
        if request.headers.get("authorization", "") != self._header:
            return Reply(self._refusals[401], 401)
        if request.method != "GET" and self._phase in {"look", "keep", "verify"}:
            return Reply(self._refusals[403], 403)
        return None


class Responder:
    """Whom Google's stand-in takes the laptop's caller for: a responder with the roles of ``deploy/responder``."""

    def __init__(self, services: _ByHost, service: StandIn) -> None:
        self._services = services
        self._service = service
        self.roles: tuple[str, ...] | None = None
        """Roles that the caller has at every step; None: the first for a look, both for what changes something."""
        self._phase = "contain"

    def begin(self, phase: str) -> None:
        """Note which phase the step that is about to be pasted has."""
        self._phase = phase

    def refusal(self, request: Request) -> Reply | None:
        """Return Google's answer to a call without a token or a right; None where the caller has both."""
        if not request.headers.get("authorization", "").startswith("Bearer ya29."):
            return Reply({"error": {"code": 401, "message": "no valid token", "status": "UNAUTHENTICATED"}}, 401)
        method = self._services.name_of(request)
        needed = permissions.needed(method)
        if needed is None:
            self._service.complaints.append(f"{method}: tests/lab/permissions.py does not say what it needs")
            return None
        roles = ("look",) if self._phase in {"look", "keep", "verify"} else ("look", "contain")
        lacking = sorted(needed - permissions.responder(*(roles if self.roles is None else self.roles)))
        if not lacking:
            return None
        error = {"code": 403, "message": f"Permission {lacking[0]!r} denied", "status": "PERMISSION_DENIED"}
        return Reply({"error": error}, 403)


class _ByHost:
    """Several of Google's services at once, each under its own host name."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = {
            f"{name}.googleapis.com": [openapi.google(name, version) for version in GOOGLES_SERVICES[name].split()]
            for name in services
        }

    def name_of(self, request: Request) -> str:
        """Return the id of the method that is called."""
        described = self._services.get(request.host.partition(":")[0], [])
        return next(filter(None, (each.name_of(request) for each in described)), "")

    def complaint(self, request: Request) -> str:
        """Return why Google would not know this request; empty where it does."""
        described = self._services.get(request.host.partition(":")[0])
        if described is None:
            return f"the story has no service at {request.host}"
        complaints = [each.complaint(request) for each in described]
        return "" if "" in complaints else complaints[0]


@contextlib.contextmanager
def google(directory: Path, services: tuple[str, ...]) -> Iterator[Vendor]:
    """Google Cloud, for the real gcloud; ``services`` are names from ``GOOGLES_SERVICES``."""
    sdk = Path(program("gcloud")).resolve().parents[1]
    token = directory / "token"
    token.write_text("ya29.lab", encoding="utf-8")
    settings = {
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token),
        "CLOUDSDK_CORE_ACCOUNT": "responder@example.com",
        "CLOUDSDK_CORE_PROJECT": "shop-prod",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
    }
    hosts = ("*.googleapis.com", *(f"{name}.googleapis.com" for name in services))
    described = _ByHost(services)
    with _vendor(directory, described, hosts, settings) as made:
        made.caller = Responder(described, made.service)
        made.service.guard = made.caller.refusal
        made.laptop.begin = made.caller.begin
        made.laptop.environment["CLOUDSDK_CONFIG"] = f"{made.laptop.home}/.config/gcloud"
        words = [_python_of(sdk), "-S", LAB / "served_client.py", "gcloud_client", sdk]
        with loaded_client(made.laptop, "gcloud", words, directory / "gcloud.log", made.laptop.environment):
            yield made


def _python_of(sdk: Path) -> str:
    """The Python that gcloud would take: its own, else the machine's."""
    own = sdk / "platform/bundledpythonunix/bin/python3"
    return str(own) if own.exists() else program("python3")
