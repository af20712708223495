"""Bodies become alerts, are kept together, and are answered: in an event loop, without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from exporter.alert import Alert
from exporter.errors import DecodeError
from exporter.pipeline import Arrival
from exporter.selfmetrics import SelfMetrics
from exporter.simulator.scenarios import flood
from exporter.sources import falco_http_inbox as module
from exporter.sources.decode import from_json
from exporter.sources.falco_http_answers import make_answer
from exporter.sources.falco_http_inbox import (
    ALONE_REQUESTS,
    BATCH_ALERTS,
    BEHIND_ALERTS,
    TRUSTED_ALERTS,
    Inbox,
    Post,
    split,
)
from exporter.sources.intake import Intake

BODIES = [alert.to_json().encode() for alert in flood(BATCH_ALERTS + 1, 10**18)]


class Peer:
    """Has the answers that it was given."""

    def __init__(self, said: list[tuple[str, Any]] | None = None) -> None:
        self.answers: list[bytes] = []
        self.alerts_in_a_row = 0
        self._said = said

    def write_answer(self, answer: bytes) -> None:
        self.answers.append(answer)
        if self._said is not None:
            self._said.append(("answered", answer))

    @property
    def statuses(self) -> list[int]:
        return [int(answer.split()[1]) for answer in self.answers]

    @property
    def text(self) -> str:
        return self.answers[-1].partition(b"\r\n\r\n")[2].decode()


class Kept:
    """A hand-over that notes what happens in which order."""

    def __init__(self, *, reads_behind: bool = False, stores: bool = False) -> None:
        self.reads_behind, self.stores = reads_behind, stores
        self.said: list[tuple[str, Any]] = []
        self.unread: list[Arrival] = []
        self.rules: list[str] = []
        self.error: BaseException | None = None

    def wait_for_room(self, timeout_seconds: float) -> int:
        return 0

    def deliver(self, alerts: Sequence[Alert]) -> None:
        raise AssertionError("a post is kept")

    def keep(self, alerts: Sequence[Alert]) -> None:
        self.said.append(("kept", len(alerts)))
        if self.error is not None:
            raise self.error

    def keep_messages(self, arrivals: Sequence[Arrival]) -> None:
        self.said.append(("kept unread", len(arrivals)))
        self.unread += arrivals
        if self.error is not None:
            raise self.error

    def finish(self) -> None:
        self.said.append(("finished", None))
        self.rules += [alert.rule for arrival in self.unread if (alert := arrival.read()) is not None]
        self.unread.clear()
        if self.error is not None:
            raise self.error

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.said]


class Bench:
    """An inbox with its counters; for use inside an event loop."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.registry = CollectorRegistry()
        self.kept = kept or Kept()
        self.failures: list[BaseException] = []
        self.inbox = Inbox(Intake("mine", SelfMetrics(self.registry)), self.kept, self.failures.append)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"target": "mine", **labels})

    @property
    def received(self) -> float | None:
        return self.value("falco_exporter_alerts_received_total")

    @property
    def unreadable(self) -> float:
        """How many messages could not be read, for whatever reason."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == "falco_exporter_decode_errors_total")

    @property
    def malformed(self) -> float | None:
        return self.value("falco_exporter_decode_errors_total", reason="malformed")


def in_a_loop(test: Callable[[Bench], Awaitable[None]], kept: Kept | None = None) -> None:
    async def play() -> None:
        await test(Bench(kept))

    asyncio.run(play())


def test_one_turn_is_kept_together_and_answered_in_order() -> None:
    """Alerts of several peers, a test alert and a refusal: everything is kept before anybody is answered."""

    async def test(bench: Bench) -> None:
        one, other = Peer(bench.kept.said), Peer(bench.kept.said)
        bench.inbox.take(one, BODIES[0])
        bench.inbox.take(other, BODIES[1])
        bench.inbox.answer(one, b"HTTP/1.1 405 x\r\n\r\n")
        bench.inbox.take_alert(other, from_json(BODIES[2]), b"HTTP/1.1 200 test\r\n\r\n")
        assert bench.kept.said == []
        await asyncio.sleep(0)
        assert bench.kept.words == ["kept", *["answered"] * 4]
        assert bench.kept.said[0] == ("kept", 3)
        assert (one.statuses, other.statuses) == ([200, 405], [200, 200])
        assert other.answers[1] == b"HTTP/1.1 200 test\r\n\r\n"
        assert bench.received == 3
        bench.inbox.answer(one, b"HTTP/1.1 404 x\r\n\r\n")
        await asyncio.sleep(0)
        assert one.statuses == [200, 405, 404]
        bench.inbox.take(one, BODIES[3])
        await asyncio.sleep(0)
        assert bench.received == 4
        bench.inbox.finish()

    in_a_loop(test)


def test_what_waits_behind_the_answers_is_done_in_a_moment() -> None:
    """Once, also where nothing more comes; and again for what comes later."""

    async def test(bench: Bench) -> None:
        for _ in range(2):
            for number in range(3):
                bench.inbox.take(Peer(), BODIES[number])
                await asyncio.sleep(0)
            assert bench.kept.words[-3:] == ["kept"] * 3
            timer = bench.inbox._timer
            assert timer is not None
            assert 0 < timer.when() - asyncio.get_running_loop().time() <= module.BEHIND_SECONDS
            while bench.kept.words[-1] != "finished":
                await asyncio.sleep(0.001)
            assert bench.inbox._timer is None
        assert bench.kept.words.count("finished") == 2

    in_a_loop(test)


@pytest.mark.parametrize("how", ["by number", "by size"])
def test_much_is_not_left_waiting(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many alerts, or bytes, are done at once; the next ones wait again."""

    async def test(bench: Bench) -> None:
        size = len(BODIES[0])
        if how == "by size":
            monkeypatch.setattr(module, "BEHIND_BYTES", 3 * size)
        limit = BEHIND_ALERTS if how == "by number" else 4
        for round_number in (1, 2):
            for number in range(limit):
                assert bench.kept.words.count("finished") == round_number - 1, number
                bench.inbox.take(Peer(), BODIES[0])
                bench.inbox.flush()
            assert bench.kept.words.count("finished") == round_number
            assert bench.inbox._timer is None

    in_a_loop(test)


def test_a_full_batch_does_not_wait_for_the_turns_end() -> None:
    """It is kept and answered at once."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        for body in BODIES[: BATCH_ALERTS - 1]:
            bench.inbox.take(peer, body)
        assert peer.answers == []
        bench.inbox.take(peer, BODIES[0])
        assert len(peer.answers) == BATCH_ALERTS
        assert bench.kept.said == [("kept", BATCH_ALERTS), ("finished", None)]
        bench.inbox.take(peer, BODIES[1])
        await asyncio.sleep(0)
        assert len(peer.answers) == BATCH_ALERTS + 1
        bench.inbox.finish()

    in_a_loop(test)


def test_a_peer_that_is_alone_is_answered_at_once() -> None:
    """After a while; another peer, or what is no single alert, goes the common way."""

    async def test(bench: Bench) -> None:
        alone, other = Peer(), Peer()
        for number in range(ALONE_REQUESTS + 1):
            bench.inbox.take_alone(alone, BODIES[0])
            assert len(alone.answers) == number, number
            await asyncio.sleep(0)
        bench.inbox.take_alone(alone, BODIES[0])
        assert alone.statuses == [200] * (ALONE_REQUESTS + 2)
        assert bench.received == ALONE_REQUESTS + 2
        bench.inbox.take_alone(alone, b"{no json")
        assert alone.statuses[-1] == 400
        assert alone.text.startswith("expected ")
        assert alone.text.endswith("\n")
        assert (bench.received, bench.malformed) == (ALONE_REQUESTS + 3, 1)
        for body in (b"[" + BODIES[0] + b"]", BODIES[0] + b"\n"):
            before = len(alone.answers)
            bench.inbox.take_alone(alone, body)
            assert len(alone.answers) == before
            await asyncio.sleep(0)
            assert len(alone.answers) == before + 1
        bench.inbox.answer(other, b"HTTP/1.1 404 x\r\n\r\n")
        before = len(alone.answers)
        bench.inbox.take_alone(alone, BODIES[0])
        assert len(alone.answers) == before
        await asyncio.sleep(0)
        bench.inbox.take_alone(other, BODIES[0])
        await asyncio.sleep(0)
        before = len(alone.answers)
        bench.inbox.take_alone(alone, BODIES[0])
        assert len(alone.answers) == before
        await asyncio.sleep(0)
        bench.inbox.finish()

    in_a_loop(test)


def test_what_was_taken_at_once_is_finished_in_time() -> None:
    """As everything else."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        bench.inbox._last_peer, bench.inbox._streak = peer, ALONE_REQUESTS
        bench.inbox.take_alone(peer, BODIES[0])
        assert bench.inbox._behind == 1
        assert bench.inbox._behind_bytes == len(BODIES[0])
        bench.inbox.finish()
        assert (bench.inbox._behind, bench.inbox._behind_bytes) == (0, 0)

    in_a_loop(test)


@pytest.mark.parametrize("alone", [False, True])
def test_a_sinks_error_is_told_and_nobody_is_answered(alone: bool) -> None:
    """It is a mistake in this program; Falco hears nothing rather than something wrong."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        bench.kept.error = ZeroDivisionError("a mistake")
        if alone:
            bench.inbox._last_peer, bench.inbox._streak = peer, ALONE_REQUESTS
        bench.inbox.take_alone(peer, BODIES[0])
        await asyncio.sleep(0)
        assert peer.answers == []
        assert bench.failures == [bench.kept.error]
        bench.inbox.finish()
        assert bench.failures == [bench.kept.error] * 2
        assert bench.kept.words == ["kept", "finished"]

    in_a_loop(test)


def trust(bench: Bench, peer: Peer) -> None:
    """Let the peer post alerts, one a turn, until its next is answered before it is read."""
    for _ in range(TRUSTED_ALERTS):
        assert peer.alerts_in_a_row < TRUSTED_ALERTS
        bench.inbox.take_alone(peer, BODIES[0])
        bench.inbox.flush()
    assert peer.alerts_in_a_row == TRUSTED_ALERTS
    bench.inbox.finish()
    bench.kept.said.clear()


def test_a_sender_of_alerts_is_answered_before_its_posts_are_read() -> None:
    """At once, whoever else posts, and in order; they are read with what else is behind the answers."""

    async def test(bench: Bench) -> None:
        one, other, late = Peer(), Peer(), Peer()
        trust(bench, one)
        trust(bench, other)
        bench.inbox.take_alone(late, BODIES[0])
        before = bench.received
        for peer, body in ((one, BODIES[1]), (other, BODIES[2]), (one, BODIES[3])):
            bench.inbox.take_alone(peer, body)
        assert (len(one.answers), len(other.answers)) == (TRUSTED_ALERTS + 2, TRUSTED_ALERTS + 1)
        assert set(one.statuses + other.statuses) == {200}
        assert late.answers == []
        assert bench.kept.said == [("kept unread", 1)] * 3
        assert bench.received == before
        assert (bench.inbox._behind, bench.inbox._behind_bytes) == (3, sum(map(len, BODIES[1:4])))
        bench.inbox.finish()
        assert bench.kept.rules == [json.loads(body)["rule"] for body in BODIES[1:4]]
        assert bench.received == (before or 0) + 3
        bench.inbox.flush()
        assert late.statuses == [200]
        bench.inbox.finish()

    in_a_loop(test, Kept(reads_behind=True))


def test_posts_of_one_turn_go_to_the_disk_together() -> None:
    """Unread ones in one go, then those that were read; all are kept before anybody is answered."""

    async def test(bench: Bench) -> None:
        one, other, late = Peer(bench.kept.said), Peer(bench.kept.said), Peer(bench.kept.said)
        trust(bench, one)
        trust(bench, other)
        bench.inbox.take_alone(late, BODIES[0])
        bench.inbox.take_alone(one, BODIES[1])
        bench.inbox.take_alone(other, BODIES[2])
        assert bench.kept.said == []
        await asyncio.sleep(0)
        assert bench.kept.words == ["kept unread", "kept", *["answered"] * 3]
        assert bench.kept.said[:2] == [("kept unread", 2), ("kept", 1)]
        assert (bench.inbox._behind, bench.inbox._behind_bytes) == (3, sum(map(len, BODIES[:3])))
        bench.inbox.finish()
        bench.kept.said.clear()
        for _ in range(ALONE_REQUESTS + 1):
            bench.inbox.take_alone(one, BODIES[1])
            bench.inbox.flush()
        bench.kept.said.clear()
        bench.inbox.take_alone(one, BODIES[1])  # alone by now: not at the end of the turn
        assert bench.kept.words == ["kept unread", "answered"]
        bench.inbox.finish()

    in_a_loop(test, Kept(reads_behind=True, stores=True))


def test_a_post_is_read_once() -> None:
    """Whoever asks, and whatever it is: a queue on disk and the pipeline both do."""

    async def test(bench: Bench) -> None:
        for body in (BODIES[0], b"{}"):
            before = bench.received or 0
            post = Post(body, Peer(), bench.inbox._intake)
            assert post.read() is post.read()
            assert (bench.received or 0) == before + 1

    in_a_loop(test)


@pytest.mark.parametrize("body", [b"{no json}", b"{}", b'{"rule": "x"}'])
def test_a_sender_of_something_else_is_read_first_again(body: bytes) -> None:
    """What is no alert is counted as ever, and its sender hears of the next one."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        trust(bench, peer)
        before = bench.received or 0
        bench.inbox.take_alone(peer, body)
        assert peer.statuses[-1] == 200
        bench.inbox.finish()
        for number, post in enumerate((body, BODIES[0], body), 1):
            bench.inbox.take_alone(peer, post)
            bench.inbox.flush()
            assert peer.statuses[-1] == (200 if number == 2 else 400)
            assert peer.alerts_in_a_row == (number == 2)
        bench.inbox.finish()
        assert bench.received == before + 4
        assert bench.kept.rules == []
        assert bench.unreadable == 3

    in_a_loop(test, Kept(reads_behind=True))


@pytest.mark.parametrize("body", [BODIES[0] + b" ", BODIES[0] + b"\n", b"[" + BODIES[0] + b"]", b"", b"{", b"none"])
def test_what_does_not_look_like_one_alert_is_read_first(body: bytes) -> None:
    """Whoever sends it."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        trust(bench, peer)
        bench.inbox.take_alone(peer, body)
        bench.inbox.flush()
        assert "kept unread" not in bench.kept.words
        assert peer.statuses[-1] == (200 if b"rule" in body else 400)
        is_one_alert = body == BODIES[0] + b" "
        assert peer.alerts_in_a_row == (TRUSTED_ALERTS if is_one_alert else 0)
        bench.inbox.finish()

    in_a_loop(test, Kept(reads_behind=True))


def test_an_unread_post_that_cannot_be_kept_is_not_answered() -> None:
    """As a read one: by itself and in a turn with others."""

    async def test(bench: Bench) -> None:
        for stores in (False, True):
            peer = Peer()
            trust(bench, peer)
            bench.inbox._stores = stores
            bench.inbox._last_peer = None
            before = len(peer.answers)
            bench.kept.error = ZeroDivisionError("a mistake")
            bench.inbox.take_alone(peer, BODIES[0])
            bench.inbox.flush()
            assert len(peer.answers) == before
            assert bench.failures[-1] is bench.kept.error
            bench.kept.error = None

    in_a_loop(test, Kept(reads_behind=True))


def test_a_full_turn_of_unread_posts_does_not_wait_for_its_end() -> None:
    """As of read ones."""

    async def test(bench: Bench) -> None:
        peers = [Peer() for _ in range(BATCH_ALERTS)]
        for peer in peers:
            peer.alerts_in_a_row = TRUSTED_ALERTS
        for peer in peers[:-1]:
            bench.inbox.take_alone(peer, BODIES[0])
        assert bench.kept.said == []
        bench.inbox.take_alone(peers[-1], BODIES[0])
        assert bench.kept.said[0] == ("kept unread", BATCH_ALERTS)
        assert all(peer.statuses == [200] for peer in peers)
        bench.inbox.finish()

    in_a_loop(test, Kept(reads_behind=True, stores=True))


def error_of(part: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        from_json(part)
    return str(caught.value)


def wrong_part(part: bytes) -> bool:
    return not part.startswith((b"[", b'{"'))


def test_several_alerts_in_one_body() -> None:
    """Those that can be read are taken; of the others the first errors are said."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        for body, status, taken, wrong in (
            (b"\n".join(BODIES[:3]), 200, 3, 0),
            (b"[" + b",".join(BODIES[:2]) + b"]", 200, 2, 0),
            (b"\n".join([BODIES[0], b"{}", BODIES[1], b"x"]), 400, 2, 2),
            (b"\n".join([b"{}"] * 5), 400, 0, 5),
            (b"none", 400, 0, 1),
            (b"{none", 400, 0, 1),
        ):
            before = bench.received or 0
            bench.kept.said.clear()
            bench.inbox.take(peer, body)
            bench.inbox.flush()
            assert peer.statuses[-1] == status
            assert (bench.received or 0) - before == taken + wrong
            assert bench.kept.said[:1] == ([("kept", taken)] if taken else [])
            lines = peer.text.splitlines()
            assert len(lines) == min(wrong, 3) + bool(taken and wrong)
            if taken and wrong:
                assert lines[0] == f"{taken} of {taken + wrong} alerts were taken, the others could not be read:"
            assert (
                lines[len(lines) - min(wrong, 3) :]
                == [error_of(part) for part in body.split(b"\n") if wrong_part(part)][:3]
            )
            assert peer.text.endswith("\n") == bool(wrong)
        bench.inbox.take(peer, BODIES[0] + b"\n" + BODIES[1])
        bench.inbox.take(peer, b"{}\n{}")
        before = bench.received or 0
        bench.inbox.flush()
        assert (bench.received or 0) - before == 4
        bench.inbox.finish()
        assert bench.unreadable == 11

    in_a_loop(test)


def test_the_date_of_answers_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is made once for all of them."""

    async def test(bench: Bench) -> None:
        peer = Peer()
        monkeypatch.setattr(module, "make_answer", lambda status, *_: make_answer(status, "", "New: yes"))
        for renewed in (False, True):
            if renewed:
                bench.inbox.renew_date()
            bench.inbox.take(peer, BODIES[0])
            bench.inbox.flush()
            assert peer.statuses[-1] == 200
            assert (b"New: yes" in peer.answers[-1]) == renewed
        bench.inbox.finish()

    in_a_loop(test)


PRETTY = json.dumps(json.loads(BODIES[0]), indent=2).encode()


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"{}", [b"{}"]),
        (b" {} \r\n", [b"{}"]),
        (b"\xef\xbb\xbf {}", [b"{}"]),
        (b"{}\n\n {} \n", [b"{}", b" {}"]),
        (b"{} \n{}", [b"{} ", b"{}"]),
        (b"[1, {}]", [b"1", b"{}"]),
        (b"[]", [b"[]"]),
        (b"[1", [b"[1"]),
        (b"", [b""]),
        (b"x\n{}", [b"x\n{}"]),
        (b"{\n{}", [b"{\n{}"]),
        (PRETTY, [PRETTY]),
        (b'{\n"a": {\n}\n}', [b'{\n"a": {\n}\n}']),
    ],
)
def test_the_alerts_of_one_body(body: bytes, parts: list[bytes]) -> None:
    """Lines, an array, or the body itself."""
    assert split(body) == parts
