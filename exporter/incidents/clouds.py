"""What ties alerts of clouds, Okta and GitHub: who acted, from which address, on what.

Owns the ties of these sources. Outputs of AWS rules have no access key, and
an assumed role shows its name only, which many sessions share; GitHub's have
no address. So a role or a deployment's name ties with its address, a person's
name by itself, and an address by itself only likely attacks, and only where
it is not one that many people come from (``joining.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from exporter.alert import Alert
from exporter.incidents.tie import ANY, BOTH, HALF, ONE, QUARTER, WHOLE, Key, Tie
from exporter.incidents.values import VALUE_LIMIT_CHARACTERS, Values, is_public, person_of, values_of
from exporter.verdict.actors import is_automation
from exporter.verdict.facts import Facts

_KEY_FIELDS = ("ct.user.accesskeyid", "json.value[/userIdentity/accessKeyId]", "ct.user.principalid")
_MADE_USERS = {
    "ct.request.username": ANY, "ct.request.rolename": ONE, "okta.target.user.name": ONE,
    "github.collaborator.name": ONE,
}  # fmt: skip
"""Fields that name a principal that the alert's own principal made, changed or let in."""
_OBJECTS = ("s3.bucket", "ct.request.functionname", "gcp.storage.bucket", "github.repo.name")
_ADDRESSES = ("ct.srcip", "gcp.callerIP", "okta.client.ip")
_OKTA_ITSELF = frozenset({"Okta System", "system@okta.com"})


class Actor(NamedTuple):
    """Who acted."""

    name: str
    """Empty where the alert names nobody."""
    kind: str
    """``person``, ``root``, ``shared`` (a role, a deployment: many act as it) or ``nobody`` (the provider itself)."""
    address: str
    """The public address that the request came from; empty where there is none."""

    @property
    def key(self) -> Key:
        """The principal as a tie's key; a person is the same one in every source that names the mail address."""
        return ("person", self.name) if "@" in self.name else ("user", self.name)


def actor_of(alert: Alert) -> Actor:
    """Return who acted, and from where."""
    value = values_of(alert)
    facts = Facts(alert.get, {})
    address = next((found for field in _ADDRESSES if (found := value(field))), "")
    find = _ACTORS.get(alert.source)
    name, kind = find(value, facts) if find else ("", "nobody")
    if len(name) > VALUE_LIMIT_CHARACTERS:
        name = ""
    if not address and alert.source == "aws_cloudtrail":
        address = _address_in(value("evt.plugininfo"))
    return Actor(name, kind if name else "nobody", address if is_public(address) else "")


def _address_in(info: str) -> str:
    """The address in CloudTrail's line ``USER via ADDRESS → CALL``."""
    return info.partition(" via ")[2].partition(" ")[0]


def _aws(value: Values, facts: Facts) -> tuple[str, str]:
    if session := person_of(value("ct.user.principalid")):
        return session, "person"
    name, kind = facts("aws.user") or "", facts("aws.user.kind")
    if kind == "service":
        return name, "nobody"
    if kind == "root":
        return "root", "root"
    shared = kind in {"automation", "workload", "sso"} or "role" in name.lower()
    return person_of(name) or name, "shared" if shared else "person"


def _gcp(value: Values, facts: Facts) -> tuple[str, str]:
    name, kind = value("gcp.user"), facts("gcp.user.kind")
    if kind == "google":
        return name, "nobody"
    shared = kind == "service-account" or is_automation(name.partition("@")[0])
    return person_of(name) or name, "shared" if shared else "person"


def _okta(value: Values, _: Facts) -> tuple[str, str]:
    name = value("okta.actor.alternateid") or value("okta.actor.name")
    return person_of(name) or name, "nobody" if name in _OKTA_ITSELF else "person"


def _github(value: Values, _: Facts) -> tuple[str, str]:
    name = value("github.user")
    return name, "nobody" if name.endswith("[bot]") else "person"


_ACTORS: Mapping[str, Callable[[Values, Facts], tuple[str, str]]] = {
    "aws_cloudtrail": _aws, "gcp_auditlog": _gcp, "okta": _okta, "github": _github,
}  # fmt: skip


def cloud_ties(alert: Alert, actor: Actor) -> Iterator[Tie]:
    """Yield what the alert may share with others."""
    value = values_of(alert)
    if actor.kind != "nobody":
        yield from _of_actor(actor)
    if actor.address:
        yield Tie(("address", actor.address), ONE, HALF)
        if actor.kind == "person" or actor.name.startswith("AWSReservedSSO_"):
            yield Tie(("near address", actor.address), ANY, QUARTER)
    for field in _KEY_FIELDS:
        if found := value(field):
            yield Tie(("key", found), ANY, WHOLE)
    for field, needs in _MADE_USERS.items():
        if found := value(field):
            yield Tie(("made", person_of(found) or found), needs, WHOLE, ("maker",))
    for field in _OBJECTS:
        if found := value(field):
            yield Tie(("thing", field, found), BOTH, QUARTER)


def _of_actor(actor: Actor) -> Iterator[Tie]:
    key, address = actor.key, actor.address
    yield Tie(("made", actor.name), ANY, WHOLE)
    if address:
        yield Tie(("from", *key, address), ONE if actor.kind == "shared" else ANY, WHOLE)
    if actor.kind == "shared":
        yield Tie(key, BOTH, QUARTER)
    elif actor.kind == "person":
        yield Tie(key, ONE if address else ANY, HALF)


SOURCES = frozenset(_ACTORS)
"""The event sources that this module knows."""
FIELDS = frozenset(
    {
        *_KEY_FIELDS, *_MADE_USERS, *_OBJECTS, *_ADDRESSES, "ct.user", "ct.user.arn", "evt.plugininfo", "gcp.user",
        "github.user", "okta.actor.alternateid", "okta.actor.name",
    }
)  # fmt: skip
"""Everything that is read."""
