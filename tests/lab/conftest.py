"""Fixtures of the lab.

Every test below ``tests/lab`` has the marker ``lab``. Which of them run is
said in ``selection.py``, which of them one worker runs in ``groups.py``, and
what is printed and kept of a run in ``results.py``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import audit, selection
from tests.lab.groups import Groups
from tests.lab.ledger import LAB, Ledger
from tests.lab.mutants import runs
from tests.lab.places import vendors
from tests.lab.places.cluster import Cluster, cluster
from tests.lab.places.host import Host, host
from tests.lab.places.node import Node, node
from tests.lab.places.spot import Spot
from tests.lab.places.vendors import Vendor
from tests.lab.programs import begin_building, root_file_system
from tests.lab.results import LEDGER, Results
from tests.lab.steps import reporter
from tests.lab.story import Place, Story, Tell

if TYPE_CHECKING:
    from tests.lab.places.aws import Aws

_DEADLINE = pytest.StashKey[float]()
_RESULTS = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    selection.add_options(parser)
    runs.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    minutes = config.getoption("--lab-minutes", 0.0)
    config.stash[_DEADLINE] = time.monotonic() + 60 * minutes if minutes else float("inf")
    config.stash[_RESULTS] = Results(config)
    config.pluginmanager.register(config.stash[_RESULTS], "lab-results")
    config.pluginmanager.register(Groups(), "lab-groups")
    if runs.is_wanted(config):
        config.pluginmanager.register(runs.Runs(config), "lab-mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if LAB in item.path.parents]
    for item in mine:
        item.add_marker("lab")
    dropped = [item for item in mine if not selection.is_kept(item, config)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
    config.stash[_RESULTS].collected(mine)
    for item in mine:
        if {"cluster", "node", "spot", "github", "aws", "google"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(1800))


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items if LAB in item.path.parents for name in getattr(item, "fixturenames", ())}
    parts = {"node": ("crictl",), "spot": ("crictl",), "github": ("gh",), "cluster": ("crictl", "etcd", "kubernetes")}
    if wanted & parts.keys():
        begin_building(*dict.fromkeys(part for name in parts if name in wanted for part in parts[name]))
    if wanted & {"host", "booted_host", "node", "spot", "cluster", "shells"}:
        root_file_system()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if LAB in item.path.parents and time.monotonic() > item.config.stash.get(_DEADLINE, float("inf")):
        pytest.skip("the time that --lab-minutes gives is over")


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Begin a story: ``tell(fields, host=place, …)``; the rule is the module's ``RULE`` unless given.

    ``event`` is a cluster's audit event instead of fields: the alert is made of it as the k8saudit plugin does.
    """
    book = request.node.stash.setdefault(LEDGER, Ledger())
    rules = selection.rules_of(request.node)

    def begin(
        fields: Mapping[str, Any] | None = None,
        *,
        event: Mapping[str, Any] | None = None,
        rule: str = "",
        source: str = "",
        time_ns: int = 0,
        **places: Place,
    ) -> Story:
        name = rule or rules[0]
        values = dict(fields or {})
        if event is not None:
            facts = reporter().catalog.facts(name)
            assert facts is not None, f"{name} is no official rule; give fields"
            values = audit.fields_of(event, facts.fields) | values
            time_ns = audit.time_of(event)
        machine = places.get("node") or places.get("host")
        if machine:
            # A container's node is the host that Falco runs on.
            places = {"host": machine, "node": machine} | places
        hostname = getattr(machine, "hostname", "")
        named = {"hostname": hostname, "source": source or _source(name), "time_ns": time_ns}
        broken = request.node.stash.get(runs.BROKEN, None)
        return Story(name, values, places, ledger=book, broken=broken, **named)

    return begin


def _source(rule: str) -> str:
    facts = reporter().catalog.facts(rule)
    return facts.source if facts else "internal"


@pytest.fixture(name="host")
def a_host() -> Iterator[Host]:
    """A fresh Debian host."""
    with host() as made:
        yield made


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(name="cluster")
def a_cluster(_cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with a node; what a scenario made in it is removed after it."""
    yield _cluster
    _cluster.clean()
    _cluster.node.forget()


@pytest.fixture(scope="session")
def _node() -> Iterator[Node]:
    with node() as made:
        yield made


@pytest.fixture(name="node")
def a_node(_node: Node) -> Iterator[Node]:
    """A node with containerd and no kubelet, for containers that no cluster knows of."""
    yield _node
    _node.clean()


@pytest.fixture(name="github")
def a_github(tmp_path: Path) -> Iterator[Vendor]:
    """GitHub's stand-in and a laptop with gh and curl."""
    with vendors.github(tmp_path) as made:
        yield made


@pytest.fixture(name="okta")
def an_okta(tmp_path: Path) -> Iterator[Vendor]:
    """Okta's stand-in and a laptop with curl."""
    with vendors.okta(tmp_path) as made:
        yield made


@pytest.fixture(name="google")
def a_google(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Vendor]:
    """Google's stand-in for the services that the module's ``GOOGLE`` names, and a laptop with gcloud."""
    with vendors.google(tmp_path, request.module.GOOGLE) as made:
        yield made


@pytest.fixture(name="aws")
def an_aws(tmp_path: Path) -> Iterator[Aws]:
    """Moto's AWS with CloudTrail's LookupEvents, and a laptop with the aws client."""
    # Not with the others: boto3 takes a second, and only clouds need it.
    from tests.lab.places.aws import aws

    with aws(tmp_path) as made:
        yield made


@pytest.fixture
def booted_host() -> Iterator[Host]:
    """A fresh Debian host that systemd has booted, for what needs systemctl or the journal."""
    with host(systemd=True) as made:
        yield made


@pytest.fixture(params=["host", "container"])
def spot(request: pytest.FixtureRequest) -> Spot:
    """A booted host, then a container of a node, for a story that is told of both."""
    if request.param == "host":
        return Spot(request.getfixturevalue("booted_host"))
    made: Node = request.getfixturevalue("node")
    log = "echo '203.0.113.9 GET /../../etc/shadow 200'; sleep 86400"
    return Spot(made, made.start_container(["sh", "-c", log]))
