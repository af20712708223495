"""The yardstick: the shortest program that turns Falco's alerts into metrics, in the same run on the same machine.

Single-threaded ``get``, typed decode, a dict of the fields and two cached
counters an alert; no flow control, no bound on series, no advice, no pages.
Prints its CPU seconds once it has counted as many alerts as it was told.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import grpc
import grpc.experimental
from prometheus_client import Counter

from exporter._proto import falco_outputs_pb2

COUNTER = Counter("events", "Alerts.", ["rule", "priority", "source", "hostname", "namespace"])
RULES = Counter("rule_events", "Alerts by rule.", ["rule", "priority", "source"])


def main() -> None:
    """Count ``argv[2]`` alerts of the Falco at ``argv[1]``."""
    wanted = int(sys.argv[2])
    option = getattr(getattr(grpc.experimental, "ChannelOptions", None), "SingleThreadedUnaryStream", None)
    channel = grpc.insecure_channel(sys.argv[1], [(option, 1)] if option else [])
    get = channel.unary_stream(
        "/falco.outputs.service/get",
        request_serializer=falco_outputs_pb2.request.SerializeToString,
        response_deserializer=falco_outputs_pb2.response.FromString,
    )
    grpc.channel_ready_future(channel).result(30)
    events: dict[tuple[str, ...], Counter] = {}
    rules: dict[tuple[str, ...], Counter] = {}
    begun_at, begun = time.time(), cpu_seconds()
    counted = 0
    while counted < wanted:
        for alert in get(falco_outputs_pb2.request()):
            counted += 1
            fields = dict(alert.output_fields)
            key = (alert.rule, str(alert.priority), alert.source)
            rule = rules.get(key)
            if rule is None:
                rule = rules[key] = RULES.labels(*key)
            rule.inc()
            place = (*key, alert.hostname, fields.get("k8s.ns.name", ""))
            event = events.get(place)
            if event is None:
                event = events[place] = COUNTER.labels(*place)
            event.inc()
    print(json.dumps({"cpu": cpu_seconds() - begun, "begun_at": begun_at, "ended_at": time.time()}), flush=True)


def cpu_seconds() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
