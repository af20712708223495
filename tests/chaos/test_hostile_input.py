"""Malformed and hostile input, slow and greedy peers: no crash, no growth, each counted by reason."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.errors import DecodeError
from exporter.simulator.scenarios import flood
from exporter.simulator.server import FalcoSimulator
from exporter.sources.decode import from_json
from exporter.sources.falco_http_inbox import TRUSTED_ALERTS, split
from tests.e2e.processes import Exporter, exporter, free_port
from tests.hostile import hostile_values
from tests.waiting import wait_until

BODIES = 20_000
GROWTH_LIMIT_BYTES = 30 * 1024 * 1024
REASONS = {"malformed", "empty", "text", "nested", "bad_rule", "bad_time", "bad_priority", "bad_member", "too_long"}


def mutated(seeds: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """Real messages with bytes changed, cut, doubled or replaced by hostile values."""
    values = [value.encode("utf-8", "surrogatepass") for value in hostile_values() if len(value) < 5_000]
    for number in range(BODIES):
        body = bytearray(chance.choice(seeds))
        kind = number % 5
        place = chance.randrange(len(body))
        if kind == 0:
            del body[place:]
        elif kind == 1:
            body[place : place + 8] = chance.randbytes(8)
        elif kind == 2:
            body[place:place] = chance.choice(values)
        elif kind == 3:
            body = bytearray(chance.randbytes(chance.randrange(1, 300)))
        else:
            body += body[place:]
        yield bytes(body)


def typed_wrongly(chance: random.Random) -> Iterator[bytes]:
    """JSON alerts whose members have the wrong type or a hostile value."""
    seed = json.loads(next(flood(1, 1_760_000_000_000_000_000)).to_json())
    wrong: list[object] = [None, 5, -1.5, True, [], {}, "", "x" * 2_000, [[]], {"a": {"b": [None]}}, *hostile_values()]
    for _ in range(BODIES // 10):
        member = chance.choice(list(seed))
        yield json.dumps(seed | {member: chance.choice(wrong)}).encode("utf-8", "surrogatepass")


def reads_as_alert(body: bytes) -> bool:
    """Whether a body that holds one message holds an alert."""
    (message,) = split(body)
    try:
        from_json(message)
    except DecodeError:
        return False
    return True


def errors_by_reason(running: Exporter) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, value in running.samples().items():
        if name.startswith("falco_exporter_decode_errors_total{") and value:
            found[name.partition('reason="')[2].partition('"')[0]] += int(value)
    return dict(found)


def test_20000_hostile_bodies_over_http(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Each is an alert or an error by the counters, and its answer says which; memory stays.

    The answer to what is no alert may be 200 only from a peer whose latest posts were all alerts.
    """
    port = free_port()
    chance = random.Random(1)
    seeds = [alert.to_json().encode() for alert in flood(50, 1_760_000_000_000_000_000)]
    with exporter(tmp_path, "--http.address", f"127.0.0.1:{port}") as running:
        running.await_ready()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for body in seeds:  # what good alerts make it load is no growth
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        known = running.total("falco_rule_events_total")
        before, answers = running.resident_bytes(), Counter[int]()
        sent = alerts = in_a_row = 0
        wrong: list[tuple[bool, int]] = []
        for body in (*mutated(seeds, chance), *typed_wrongly(chance)):
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
            is_alert = reads_as_alert(body)
            alerts += is_alert
            if is_alert != (answer.status == 200):
                wrong.append((is_alert, in_a_row))
            in_a_row = in_a_row + 1 if answer.status == 200 else 0
            sent += 1
        connection.close()
        growth = running.resident_bytes() - before
        errors = errors_by_reason(running)
        counted = running.total("falco_rule_events_total")
        counted -= known
        received = running.total("falco_exporter_alerts_received_total") - len(seeds)
    say(f"{sent} bodies; answers {dict(answers)}; errors {errors}; memory grew by {growth / 2**20:.1f} MiB")
    assert set(answers) <= {200, 400, 413}
    assert received == sent
    assert counted == alerts
    assert sum(errors.values()) == sent - alerts
    assert all(not was_alert and before_it >= TRUSTED_ALERTS for was_alert, before_it in wrong)
    assert set(errors) <= REASONS
    assert growth < GROWTH_LIMIT_BYTES


def test_20000_hostile_messages_over_grpc(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Each is decoded or counted, none ends the stream; memory stays, and a good alert still comes through."""
    address = f"unix://{tmp_path}/falco.sock"
    seeds = [alert.to_message() for alert in flood(50, 1_760_000_000_000_000_000)]
    with FalcoSimulator(address) as falco, exporter(tmp_path, "--target", address) as running:
        running.await_ready()
        falco.emit(*flood(50, 1_750_000_000_000_000_000))  # what good alerts make it load is no growth
        wait_until(lambda: running.total("falco_rule_events_total") == 50, "good alerts are counted", seconds=60)
        before = running.resident_bytes()
        falco.emit_raw(mutated(seeds, random.Random(2)))
        falco.emit(*flood(1, 1_770_000_000_000_000_000))
        wait_until(
            lambda: running.total("falco_exporter_alerts_received_total") == BODIES + 51,
            "all received",
            seconds=60,
        )
        growth = running.resident_bytes() - before
        errors = errors_by_reason(running)
        counted = running.total("falco_rule_events_total") - 50
        reconnects = running.total("falco_exporter_source_reconnects_total")
    say(f"{BODIES} messages; counted {counted:.0f}; errors {errors}; memory grew by {growth / 2**20:.1f} MiB")
    assert counted + sum(errors.values()) == BODIES + 1
    assert reconnects == 0
    assert growth < GROWTH_LIMIT_BYTES


def test_slow_and_idle_and_greedy_peers(tmp_path: Path, say: Callable[[str], None]) -> None:
    """A slow-loris, 1,000 idle connections and a body of 1 GB do not keep a good sender out."""
    port = free_port()
    body = next(flood(1, 1_760_000_000_000_000_000)).to_json().encode()
    with exporter(tmp_path, "--http.address", f"127.0.0.1:{port}", "--http.read-timeout-seconds", "2") as running:
        running.await_ready()
        before = running.resident_bytes()
        loris = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(1_000)]
        begun = time.monotonic()
        good = 0
        while time.monotonic() - begun < 3:
            for connection in loris:
                try:
                    connection.sendall(b"X-Slow: x\r\n" if good else b"POST / HTTP/1.1\r\n")
                except OSError:
                    continue
            good += post(port, body)
        sent = send_endless(port)
        assert post(port, body) == 1
        growth = running.resident_bytes() - before
        rejected = running.total("falco_exporter_http_rejected_total")
        for connection in (*loris, *idle):
            connection.close()
    say(f"{good} good alerts meanwhile; {rejected:.0f} peers cut; of 1 GB {sent / 2**20:.1f} MiB were taken before "
        f"the refusal; memory grew by {growth / 2**20:.1f} MiB")  # fmt: skip
    assert good > 0
    assert rejected >= 100
    assert sent < 100 * 2**20
    assert growth < GROWTH_LIMIT_BYTES


def post(port: int, body: bytes) -> int:
    """1 where the alert was taken, 0 where we were kept out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return int(connection.getresponse().status == 200)
    except OSError:
        return 0
    finally:
        connection.close()


def send_endless(port: int) -> int:
    """Announce 1 GB and send until refused; return how much went out."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while sent < 1_000_000_000:
                connection.sendall(b" " * 65_536)
                sent += 65_536
        except OSError:
            pass
    return sent
