"""A simulated Falco as a process that emits on command, so that a measurement knows when its alerts were there.

Reads one command a line from standard input and answers each with one JSON line:

- ``backlog N``: queue N alerts at once;
- ``unlike N``: the same, each with process ids of its own;
- ``strange N``: the same, each with process ids, a command line and a file of its own, no two alike in advice;
- ``hosts N``: queue one alert for each of N hosts;
- ``rules:R N``: queue N alerts of R rules in turn, the official ones first; ``own:R N``: of made-up ones only;
- ``rate N SECONDS``: emit N alerts a second for so long, each stamped when it is emitted;
- ``drained``: wait until the queue is empty, and say when that was.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice

from benchmarks.fast_falco import FastFalco
from benchmarks.many_rules import of_rule, rules
from exporter._proto import falco_lenient_pb2
from exporter.simulator.alerts import stamp
from exporter.simulator.scenarios import flood_messages
from exporter.simulator.server import FalcoSimulator

SLICE_SECONDS = 0.002
LOOK_SECONDS = 0.002


def of_host(message: bytes, name: str) -> bytes:
    """Give a message another ``hostname``."""
    alert = falco_lenient_pb2.received.FromString(message)
    alert.hostname = name
    return alert.SerializeToString()


def of_process(message: bytes, number: int) -> bytes:
    """Give a message other values of ``proc.pid`` and ``proc.ppid``, as each process has."""
    return with_fields(message, _processes(number))


def of_command(message: bytes, number: int) -> bytes:
    """Give a message another command line and another file besides."""
    fields = {"proc.cmdline": f"curl -sSf http://192.0.2.7/{number}", "fd.name": f"/tmp/.cache/{number}"}
    return with_fields(message, _processes(number) | fields)


def _processes(number: int) -> dict[str, str]:
    return {"proc.pid": str(10_000 + number), "proc.ppid": str(9_000 + number)}


def with_fields(message: bytes, fields: Mapping[str, str]) -> bytes:
    """Give a message other values of some fields, in the places of those that it has."""
    alert = falco_lenient_pb2.received.FromString(message)
    missing = dict(fields)
    for place, entry in enumerate(alert.output_fields):
        name = falco_lenient_pb2.field.FromString(entry).key.decode()
        if name in missing:
            alert.output_fields[place] = _entry(name, missing.pop(name))
    alert.output_fields.extend([_entry(*field) for field in missing.items()])
    return alert.SerializeToString()


def _entry(name: str, value: str) -> bytes:
    return falco_lenient_pb2.field(key=name.encode(), value=value.encode()).SerializeToString()


CHANGES: Mapping[str, Callable[[bytes, int], bytes]] = {
    "backlog": lambda message, _: message,
    "unlike": of_process,
    "strange": of_command,
}
"""What each command that queues a number of alerts does to the flood's messages."""


def run_backlog(falco: FastFalco | FalcoSimulator, count: int, change: Callable[[bytes, int], bytes]) -> None:
    """Queue ``count`` alerts."""
    now_ns = time.time_ns()
    messages = enumerate(islice(flood_messages(), count))
    falco.emit_raw([stamp(change(message, number), now_ns + number) for number, message in messages])


def run_hosts(falco: FastFalco | FalcoSimulator, count: int) -> None:
    """Queue one alert of one rule for each of ``count`` hosts."""
    message = next(flood_messages())
    now_ns = time.time_ns()
    falco.emit_raw([stamp(of_host(message, f"worker-{number:05d}"), now_ns) for number in range(count)])


def run_rules(falco: FastFalco | FalcoSimulator, count: int, named: Sequence[tuple[str, str]]) -> None:
    """Queue ``count`` alerts of these rules, by name and source, in turn; those of one rule are alike."""
    kinds = list(islice(flood_messages(), 23))
    messages = [of_rule(kinds[number % len(kinds)], *rule) for number, rule in enumerate(named)]
    now_ns = time.time_ns()
    falco.emit_raw([stamp(message, now_ns + number) for number, message in enumerate(islice(cycle(messages), count))])


def run_rate(falco: FastFalco | FalcoSimulator, messages: Iterator[bytes], *, rate: float, seconds: float) -> int:
    """Emit at the rate; a late slice is made up for by the next one. Returns how many were emitted."""
    begun = time.monotonic()
    emitted = 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(passed * rate) - emitted
        falco.emit_raw([stamp(message, time.time_ns()) for message in islice(messages, due)])
        emitted += due
        time.sleep(SLICE_SECONDS)
    return emitted


def answer(falco: FastFalco | FalcoSimulator, words: list[str]) -> dict[str, float]:
    """Carry out one command."""
    emitted = 0
    if words[0] == "rate":
        emitted = run_rate(falco, flood_messages(), rate=float(words[1]), seconds=float(words[2]))
    elif words[0] == "drained":
        while falco.queued:
            time.sleep(LOOK_SECONDS)
    else:
        emitted = int(words[1])
        command, _, number = words[0].partition(":")
        if command == "hosts":
            run_hosts(falco, emitted)
        elif command in {"rules", "own"}:
            run_rules(falco, emitted, rules(int(number), own=command == "own"))
        else:
            run_backlog(falco, emitted, CHANGES[words[0]])
    return {"at": time.time(), "emitted": emitted, "queued": falco.queued}


def main() -> None:
    """Serve on the address given until the input ends; ``--faithful`` on grpc's own server, which is slower."""
    kind = FalcoSimulator if "--faithful" in sys.argv else FastFalco
    falco = kind(sys.argv[1]).start()
    print(json.dumps({"at": time.time()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(falco, line.split())), flush=True)
    falco.stop()


if __name__ == "__main__":
    main()
