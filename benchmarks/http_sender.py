"""Falco's http_output as a process: posts on keep-alive connections, each the next one only after its answer.

Started with a port, a number of connections and, with TLS, the authority's file
(and a client's certificate and key); reads one command a line from standard
input and answers each with one JSON line:

- ``post N``: post N alerts, spread evenly over the connections, at most eight on their way at a time;
- ``unlike N``: the same, each with process ids, a command line and a file of its own;
- ``processes N``: the same, each with process ids of its own;
- ``burst N [END_NS]``: post N alerts, many in one piece, each with a process id and a time of its own, by which a
  thousand of them come in a second and the last at END_NS or now;
- ``pace RATE SECONDS``: post at a rate, on one connection;
- ``fair N``: post N alerts, all but one of those on their way on the same few connections, the other on all others in
  turn; the percentiles are of the latter.

Raw sockets and requests made beforehand, so that the sender takes little of the
machine that it shares with what is measured.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count as count_from
from itertools import cycle, islice

from benchmarks.http_requests import own_requests_of, requests_of, timed_requests

ON_THEIR_WAY = 8
BURST_REQUESTS = 32
KEPT_REQUESTS = 2_300
"""Requests that are made beforehand and sent again and again; a multiple of the flood's rules."""


_numbers = count_from()
"""Of posts with something of their own, so that no two commands post the same."""


def connect(port: int, tls: Sequence[str]) -> socket.socket:
    """Open a connection; ``tls`` names the authority, the client's certificate and its key, as far as given."""
    opened = socket.create_connection(("127.0.0.1", port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return opened
    context = ssl.create_default_context(cafile=tls[0])
    if len(tls) > 1:
        context.load_cert_chain(tls[1], tls[2])
    return context.wrap_socket(opened, server_hostname="localhost")


def post_on_one(connection: socket.socket, requests: Iterator[bytes], count: int) -> list[float]:
    """Post one after the other; return the seconds of each."""
    seconds = []
    send, receive, clock = connection.sendall, connection.recv, time.perf_counter
    for request in islice(requests, count):
        begun = clock()
        send(request)
        answer = receive(4_096)
        seconds.append(clock() - begun)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"refused: {answer[:80]!r}")
    return seconds


def post_on_many(
    connections: Sequence[socket.socket], requests: Iterator[bytes], count: int, *, rare: Sequence[socket.socket] = ()
) -> list[float]:
    """Post in turn on each connection, several on their way; return the seconds of each.

    With ``rare``, one of those on their way is on these in turn, and the seconds are only theirs.
    """
    seconds: list[float] = []
    begun: dict[int, float] = {}
    by_descriptor = {connection.fileno(): connection for connection in (*connections, *rare)}
    of_the_rare = {connection.fileno() for connection in rare}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    often, seldom = cycle(connections), cycle(rare or connections)
    started = ended = 0

    def start(turn: Iterator[socket.socket]) -> None:
        nonlocal started
        connection = next(turn)
        while connection.fileno() in begun:
            connection = next(turn)
        started += 1
        begun[connection.fileno()] = time.perf_counter()
        connection.sendall(next(requests))

    for number in range(min(ON_THEIR_WAY, len(by_descriptor), count)):
        start(often if number else seldom)
    while ended < count:
        for descriptor, _ in poll.poll():
            answer = by_descriptor[descriptor].recv(4_096)
            passed = time.perf_counter() - begun.pop(descriptor)
            ended += 1
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"refused: {answer[:80]!r}")
            if not rare or descriptor in of_the_rare:
                seconds.append(passed)
            if started < count:
                start(seldom if descriptor in of_the_rare else often)
    poll.close()
    return seconds


def post_in_bursts(connection: socket.socket, requests: Iterator[bytes], count: int) -> list[float]:
    """Post many in one piece, then read their answers: how much memory they cost, not how long each takes."""
    seconds = []
    while count > 0:
        pieces = list(islice(requests, min(BURST_REQUESTS, count)))
        count -= len(pieces)
        begun = time.perf_counter()
        connection.sendall(b"".join(pieces))
        answers = b""
        while answers.count(b"HTTP/1.1 200") < len(pieces):
            answered = connection.recv(65_536)
            if not answered:
                raise RuntimeError("the exporter has ended")
            answers += answered
        seconds.append(time.perf_counter() - begun)
    return seconds


def post_at_pace(connection: socket.socket, requests: Iterator[bytes], rate: float, seconds: float) -> list[float]:
    """Post at a rate, on one connection; a late one is sent at once."""
    begun, taken = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        pause = begun + number / rate - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        taken += post_on_one(connection, requests, 1)
    return taken


def carry_out(words: Sequence[str], connections: Sequence[socket.socket], kept: Sequence[bytes]) -> dict[str, float]:
    """Carry out one command; say how long it took, what each answer took and what this process used."""
    count = int(float(words[1]))
    requests: Iterator[bytes] = cycle(kept)
    if words[0] in {"unlike", "processes"}:
        requests = iter(list(own_requests_of(islice(_numbers, count), unlike=words[0] == "unlike")))
    before, begun = cpu_seconds(), time.perf_counter()
    if words[0] == "pace":
        taken = post_at_pace(connections[0], requests, float(words[1]), float(words[2]))
    elif words[0] == "burst":
        end_ns = int(words[2]) if len(words) > 2 else time.time_ns()
        taken = post_in_bursts(connections[0], timed_requests(count, end_ns), count)
    elif words[0] == "fair":
        taken = post_on_many(connections[: ON_THEIR_WAY - 1], requests, count, rare=connections[ON_THEIR_WAY - 1 :])
    elif len(connections) == 1:
        taken = post_on_one(connections[0], requests, count)
    else:
        taken = post_on_many(connections, requests, count)
    passed = time.perf_counter() - begun
    taken.sort()
    found = {f"p{part}": taken[len(taken) * part // 100] for part in (50, 99)}
    posted = count if words[0] in {"burst", "fair"} else len(taken)
    return {"posted": posted, "seconds": passed, "cpu": cpu_seconds() - before, "slowest": taken[-1], **found}


def cpu_seconds() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Open the connections, then serve commands until the input ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    port, count, *tls = sys.argv[1:]
    connections = [connect(int(port), tls) for _ in range(int(count))]
    kept = list(requests_of(KEPT_REQUESTS))
    print(json.dumps({"bytes": sum(map(len, kept)) / len(kept)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(carry_out(line.split(), connections, kept)), flush=True)


if __name__ == "__main__":
    main()
