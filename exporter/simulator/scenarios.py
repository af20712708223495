"""What the simulator plays: alerts in the shape of real ones.

Owns the demo's story, the reference alert and the flood for measurements.
Every value is made up; addresses are of the documentation ranges (RFC 5737).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, islice

from exporter.alert import Priority
from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.rules import RULES
from exporter.simulator.story_containers import CONTAINER_STORY, REFERENCE_TIME_NS
from exporter.simulator.story_hosts import HOST_STORY
from exporter.simulator.story_plugins import PLUGIN_STORY

STEP_NS = 1_700_000_003
"""The time between two alerts of the demo; odd, so that nanoseconds show."""

_STORY = (*CONTAINER_STORY, *HOST_STORY, *PLUGIN_STORY)
_SYSCALL = tuple(index for index, (rule, _, _) in enumerate(_STORY) if RULES[rule].source == "syscall")
_ORDERS = 64
"""In how many orders the flood's messages have their fields."""


def _fill(index: int, time_ns: int) -> SimulatedAlert:
    rule, hostname, values = _STORY[index]
    return RULES[rule].fill(values, time_ns=time_ns, hostname=hostname)


def reference_alert() -> SimulatedAlert:
    """Return the event-generator's ``Clear Log Activities`` of 2024-10-05."""
    return _fill(0, REFERENCE_TIME_NS)


def demo_scenario(start_ns: int) -> Iterator[SimulatedAlert]:
    """Yield one alert of every kind: the reference alert with its own time, the rest from ``start_ns`` on."""
    yield reference_alert()
    for index in range(1, len(_STORY)):
        yield _fill(index, start_ns + index * STEP_NS)
    yield from internal_alerts(start_ns + len(_STORY) * STEP_NS)


def internal_alerts(start_ns: int) -> Iterator[SimulatedAlert]:
    """Yield Falco's own alerts: a metrics snapshot and dropped events."""
    yield SimulatedAlert(
        start_ns,
        "Falco internal: metrics snapshot",
        Priority.INFORMATIONAL,
        "internal",
        "worker-2",
        "Falco metrics snapshot",
        {
            "evt.hostname": "worker-2",
            "evt.source": "syscall",
            "falco.cpu_usage_perc": "2.1",
            "falco.duration_sec": "86400",
            "falco.memory_rss_mb": "61.4",
            "falco.num_evts": "981245537",
            "falco.outputs_queue_num_drops": "0",
            "falco.rules.matches_total": "32",
            "falco.version": "0.43.1",
            "scap.engine_name": "modern_bpf",
            "scap.n_drops": "1204",
            "scap.n_evts": "981246741",
        },
    )
    yield SimulatedAlert(
        start_ns + STEP_NS,
        "Falco internal: syscall event drop",
        Priority.DEBUG,
        "internal",
        "worker-2",
        "Falco internal: syscall event drop. 1204 system calls dropped in last second.",
        {
            "ebpf_enabled": "1",
            "n_drops": "1204",
            "n_drops_buffer_total": "1204",
            "n_drops_bug": "0",
            "n_drops_page_faults": "0",
            "n_evts": "214377",
        },
    )


def flood(count: int, start_ns: int, *, step_ns: int = 1_000_003) -> Iterator[SimulatedAlert]:
    """Yield ``count`` syscall alerts of the story in turn, ``step_ns`` apart, each with a time of its own."""
    for number, index in enumerate(islice(cycle(_SYSCALL), count)):
        yield _fill(index, start_ns + number * step_ns)


def flood_messages(*, json_output: bool = False) -> Iterator[bytes]:
    """Yield the flood's messages without end, serialised with time 0: give each its time by ``stamp``."""
    alerts = [_fill(index, 0) for index in _SYSCALL]
    yield from cycle(
        [alert.to_message(json_output=json_output, order=order) for order in range(_ORDERS) for alert in alerts]
    )


SCENARIOS: dict[str, Callable[[int], Iterator[SimulatedAlert]]] = {
    "demo": demo_scenario,
    "reference": lambda _start_ns: iter((reference_alert(),)),
}
"""Scenarios by name; each takes the time to start from, nanoseconds since 1970."""
