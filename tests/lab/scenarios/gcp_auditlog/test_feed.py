"""Pub/Sub and logging: a stolen service account cuts the feed by which Falco sees the project."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.gcp_auditlog.project import FIELDS, SECONDS, Project
from tests.lab.standin import Reply, Request
from tests.lab.story import Tell

DELETED = {
    "GCP Pub/Sub topic deleted": ("google.pubsub.v1.Publisher.DeleteTopic", "topics/feed"),
    "GCP Pub/Sub subscription deleted": ("google.pubsub.v1.Subscriber.DeleteSubscription", "subscriptions/falco"),
    "GCP logging sink deleted": ("google.logging.v2.ConfigServiceV2.DeleteSink", "sinks/audit"),
}
PUSHED = "GCP Pub/Sub subscription modified"
EXCLUDED = "GCP logging sink modified"
RULES = (*DELETED, PUSHED, EXCLUDED)
GOOGLE = ("logging", "iam", "pubsub")
SUBSCRIPTION = "/v1/projects/{p}/subscriptions/{s}"
SINK = "/v2/projects/{p}/sinks/{s}"


class Feed(Project):
    """A project with a sink that excludes, and a subscription that pushes elsewhere."""

    def __init__(self, google: Vendor, method: str, resource: str) -> None:
        super().__init__(google, method, f"projects/shop-prod/{resource}")
        self.sink: dict[str, Any] = {
            "name": "audit",
            "destination": "pubsub.googleapis.com/projects/shop-prod/topics/feed",
        }
        self.sink |= {"filter": "", "disabled": True, "exclusions": [{"name": "e", "filter": 'resource.type="x"'}]}
        self.subscription: dict[str, Any] = {"name": "projects/shop-prod/subscriptions/falco"}
        self.subscription |= {"topic": "projects/shop-prod/topics/feed", "messageRetentionDuration": "600s"}
        signs = {"serviceAccountEmail": "push@shop-prod.iam.gserviceaccount.com", "audience": "https://ours.example"}
        self.subscription |= {"pushConfig": {"pushEndpoint": "https://evil.example", "oidcToken": signs}}
        self.on("GET /v2/projects/{p}/sinks", lambda _: {"sinks": [self.sink]})
        self.on(f"GET {SINK}", lambda _: deepcopy(self.sink))
        for verb in ("PATCH", "PUT"):
            self.on(f"{verb} {SINK}", self.change_sink)
        self.on("GET /v1/projects/{p}/subscriptions", lambda _: {"subscriptions": [self.subscription]})
        self.on(f"GET {SUBSCRIPTION}", lambda _: deepcopy(self.subscription))
        self.on(f"PATCH {SUBSCRIPTION}", self.change_subscription)

    def change_sink(self, request: Request) -> Any:
        """Change what the mask names; what is not given becomes empty."""
        asked = request.json()
        for name in filter(None, request.query.get("updateMask", "").split(",")):
            self.sink[name] = asked.get(name, [] if name == "exclusions" else False)
        return deepcopy(self.sink)

    def change_subscription(self, request: Request) -> Any:
        """Change what the mask names."""
        asked = request.json()
        for name in asked["updateMask"].split(","):
            self.subscription[name] = asked["subscription"].get(name, {})
        return deepcopy(self.subscription)


@pytest.mark.parametrize("rule", DELETED)
def test_the_feed_is_cut(google: Vendor, tell: Tell, rule: str) -> None:
    feed = Feed(google, *DELETED[rule])
    report = tell(FIELDS, rule=rule, cloud=google.laptop)
    feed.read(report)
    if rule == next(iter(DELETED)):
        kept = lambda _: {name: kept for name, kept in google.laptop.files().items() if "s.json" in name}  # noqa: E731
        shows = ["https://evil.example", 'resource.type=\\"x\\"', "DeleteTopic"]
        report.keep("Is the audit feed whole", keeps=kept, shows=shows, seconds=SECONDS)


def test_a_subscription_pushes(google: Vendor, tell: Tell) -> None:
    feed = Feed(google, "google.pubsub.v1.Subscriber.UpdateSubscription", "subscriptions/falco")

    def state() -> tuple[str, str]:
        about = feed.subscription
        return about["pushConfig"].get("pushEndpoint", ""), about["messageRetentionDuration"]

    before = deepcopy(feed.subscription["pushConfig"])
    report = tell(FIELDS, rule=PUSHED, cloud=google.laptop)
    feed.read(report)
    report.contain("Set the subscriptions", state=state, becomes=("", "604800s"), shows="604800s", seconds=SECONDS)
    report.undo(state=state, becomes=("https://evil.example", "600s"), seconds=SECONDS)
    assert feed.subscription["pushConfig"] == before, "who signs the pushes did not come back"
    feed.subscription |= {"pushConfig": {"pushEndpoint": "https://ours.example"}}
    report.again("Set the subscriptions", undo=True, shows="changed since", seconds=SECONDS)
    assert state() == ("https://ours.example", "600s")


def test_a_longer_retention_is_left(google: Vendor, tell: Tell) -> None:
    """Messages of three weeks would be thrown away with a week's."""
    feed = Feed(google, "google.pubsub.v1.Subscriber.UpdateSubscription", "subscriptions/falco")
    feed.subscription |= {"messageRetentionDuration": "2678400s", "bigqueryConfig": {"table": "evil.set.table"}}
    report = tell(FIELDS, rule=PUSHED, cloud=google.laptop)
    feed.read(report)
    state = lambda: feed.subscription["messageRetentionDuration"]  # noqa: E731
    report.again("Set the subscriptions", shows=["2678400s", "evil.set.table"], seconds=SECONDS)
    assert state() == "2678400s"
    report.again("Set the subscriptions", undo=True, hides="changed since", seconds=SECONDS)
    assert (state(), feed.subscription["pushConfig"]["pushEndpoint"]) == ("2678400s", "https://evil.example")


def test_a_sink_excludes(google: Vendor, tell: Tell) -> None:
    feed = Feed(google, "google.logging.v2.ConfigServiceV2.UpdateSink", "sinks/audit")
    state = lambda: (feed.sink["disabled"], [each["filter"] for each in feed.sink["exclusions"]])  # noqa: E731
    report = tell(FIELDS, rule=EXCLUDED, cloud=google.laptop)
    feed.read(report)
    report.contain("Enable the sinks", state=state, becomes=(False, []), shows="audit", seconds=SECONDS)
    report.undo(state=state, becomes=(True, ['resource.type="x"']), seconds=SECONDS)
    # An exclusion that somebody adds after the step stays after its undo.
    feed.sink |= {"disabled": False, "exclusions": [{"name": "ours", "filter": "severity<INFO"}]}
    report.again("Enable the sinks", undo=True, seconds=SECONDS)
    assert state() == (True, ["severity<INFO", 'resource.type="x"'])
    assert feed.sink["destination"].endswith("topics/feed")


def test_exclusions_come_back_as_they_were(google: Vendor, tell: Tell) -> None:
    """A regular expression over two lines, and one that was switched off and must exclude nothing."""
    feed = Feed(google, "google.logging.v2.ConfigServiceV2.UpdateSink", "sinks/audit")
    probes = {"name": "probes", "filter": 'httpRequest.userAgent=~"probe|check,.*"\n-- ours\nseverity<=INFO'}
    before = [probes, {"name": "all", "filter": 'logName:"activity"', "disabled": True}]
    feed.sink |= {"disabled": False, "exclusions": deepcopy(before)}
    report = tell(FIELDS, rule=EXCLUDED, cloud=google.laptop)
    feed.read(report)
    report.contain("Enable the sinks", state=lambda: feed.sink["exclusions"], becomes=[], seconds=SECONDS)
    report.undo(state=lambda: feed.sink["exclusions"], becomes=before, seconds=SECONDS)
    assert feed.sink["disabled"] is False, "it was on before the step"


@pytest.mark.parametrize("rule", [PUSHED, EXCLUDED])
def test_what_could_not_be_kept_is_not_changed(google: Vendor, tell: Tell, rule: str) -> None:
    """Its settings are what the undo must know."""
    sink = rule == EXCLUDED
    method = (
        "google.logging.v2.ConfigServiceV2.UpdateSink" if sink else "google.pubsub.v1.Subscriber.UpdateSubscription"
    )
    feed = Feed(google, method, "sinks/audit" if sink else "subscriptions/falco")
    refused = Reply({"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}, 403)
    found = feed.sink if sink else feed.subscription
    before = deepcopy(found)
    asked: list[Request] = []

    def get(request: Request) -> Any:
        asked.append(request)
        return refused if len(asked) == 1 else deepcopy(found)

    feed.on(f"GET {SINK if sink else SUBSCRIPTION}", get)
    report = tell(FIELDS, rule=rule, cloud=google.laptop)
    feed.read(report)
    report.again("Enable the sinks" if sink else "Set the subscriptions", shows="denied", seconds=SECONDS)
    assert found == before
