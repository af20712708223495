"""The fan-out: every sink gets every alert, the fullest sink decides, and closing reaches them all."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from exporter.alert import Alert, Priority
from exporter.pipeline import Arrival, Pipeline

ALERT = Alert(1, "A rule", Priority.WARNING, "syscall", "node-1", "text", {"n": "0"}, ())


class ListSink:
    """Keeps what it gets, up to a limit; can fail to write and to close."""

    def __init__(self, name: str, limit: int = 1_000, *, write_error: Exception | None = None) -> None:
        self.name = name
        self.alerts: list[Alert] = []
        self.limit = limit
        self.started = False
        self.closed_with: list[float] = []
        self.write_error = write_error
        self.close_error: Exception | None = None

    def start(self) -> None:
        self.started = True

    def room(self) -> int:
        return self.limit - len(self.alerts)

    def write(self, alerts: Sequence[Alert]) -> None:
        if self.write_error is not None:
            raise self.write_error
        self.alerts += alerts

    def close(self, deadline_seconds: float) -> None:
        self.closed_with.append(deadline_seconds)
        if self.close_error is not None:
            raise self.close_error


def many(count: int) -> list[Alert]:
    return [replace(ALERT, fields={"n": str(number)}) for number in range(count)]


def test_every_sink_gets_every_alert_in_order() -> None:
    """A batch reaches all sinks whole."""
    first, second = ListSink("first"), ListSink("second")
    pipeline = Pipeline([first, second])
    pipeline.start()
    pipeline.deliver(many(3))
    assert first.alerts == second.alerts == many(3)
    assert first.started
    assert second.started


def test_the_fullest_sink_decides_how_much_a_source_may_deliver() -> None:
    """Backpressure: a source pulls no more than what every sink can keep."""
    roomy, full = ListSink("roomy"), ListSink("full", limit=2)
    pipeline = Pipeline([roomy, full])
    assert pipeline.room() == 2
    pipeline.deliver(many(2))
    assert pipeline.room() == 0
    assert pipeline.wait_for_room(0.02) == 0


def test_a_source_that_waits_goes_on_once_there_is_room() -> None:
    """Waiting ends as soon as the full sink has room again."""
    full = ListSink("full", limit=1)
    pipeline = Pipeline([ListSink("roomy"), full])
    pipeline.deliver(many(1))
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(pipeline.wait_for_room(30)))
    waiting.start()
    full.alerts.clear()
    waiting.join(10)
    assert found == [1]


def test_closing_wakes_a_source_that_waits_for_room() -> None:
    """A full sink does not keep the program from stopping."""
    pipeline = Pipeline([ListSink("full", limit=0)])
    waiting = threading.Thread(target=pipeline.wait_for_room, args=(3_600,))
    waiting.start()
    pipeline.close(0)
    waiting.join(10)
    assert not waiting.is_alive()


def test_an_alert_that_the_transform_drops_reaches_no_sink() -> None:
    """A filter has its place before every sink; what it leaves is changed once for all of them."""
    first, second = ListSink("first"), ListSink("second")
    seen: list[Alert] = []

    def only_even(alert: Alert) -> Alert | None:
        seen.append(alert)
        return replace(alert, hostname="changed") if int(alert.fields["n"]) % 2 == 0 else None

    Pipeline([first, second], only_even).deliver(many(4))
    assert [alert.fields["n"] for alert in first.alerts] == ["0", "2"]
    assert {alert.hostname for alert in second.alerts} == {"changed"}
    assert len(seen) == 4


def test_a_batch_that_is_dropped_whole_writes_nothing() -> None:
    """Sinks are not called with an empty batch."""
    never = ListSink("never", write_error=AssertionError("called"))
    Pipeline([never], lambda _: None).deliver(many(2))
    assert never.alerts == []


def test_a_sink_with_a_programming_error_is_not_hidden() -> None:
    """Sinks never raise for bad input; what they raise is a mistake, and the source's thread reports it."""
    counting = ListSink("counting")
    pipeline = Pipeline([counting, ListSink("failing", write_error=ZeroDivisionError())])
    with pytest.raises(ZeroDivisionError):
        pipeline.deliver(many(1))
    assert len(counting.alerts) == 1


def test_closing_reaches_every_sink_even_after_one_that_fails() -> None:
    """One sink's failure does not cost another its last records."""
    failing, draining = ListSink("failing"), ListSink("draining")
    failing.close_error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        Pipeline([failing, draining]).close(5)
    assert (len(failing.closed_with), len(draining.closed_with)) == (1, 1)


def test_the_sinks_share_one_deadline() -> None:
    """Closing takes no longer than it was given, however many sinks there are."""
    first, second = ListSink("first"), ListSink("second")
    Pipeline([first, second]).close(5)
    assert 4 < first.closed_with[0] <= 5
    assert second.closed_with[0] <= first.closed_with[0]


def test_a_pipeline_without_sinks_has_room() -> None:
    """Nothing to wait for."""
    assert Pipeline([]).room() == 1_000_000


def test_a_source_waits_as_long_as_it_says() -> None:
    """Not at all with 0, and about as long as the time-out otherwise."""
    pipeline = Pipeline([ListSink("full", limit=0)])
    started = time.monotonic()
    assert pipeline.wait_for_room(0) == 0
    assert time.monotonic() - started < Pipeline.ROOM_POLL_SECONDS
    started = time.monotonic()
    assert pipeline.wait_for_room(0.1) == 0
    assert time.monotonic() - started >= 0.1


def test_the_first_alert_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An operator sees that alerts arrive; hidden characters show."""
    caplog.set_level("INFO")
    pipeline = Pipeline([ListSink("one")])
    pipeline.deliver([replace(ALERT, rule="A\x1brule")])
    pipeline.deliver(many(2))
    assert caplog.messages == ["the first alert has arrived: A\\x1brule (Warning)"]


def test_no_sink_gets_less_than_no_time() -> None:
    """Past the deadline a sink still closes, with 0 seconds."""
    sink = ListSink("one")
    Pipeline([sink]).close(-5)
    assert sink.closed_with == [0.0]


class TwoSteps(ListSink):
    """Keeps before the rest is done; can be told that it cannot."""

    def __init__(self, name: str, *, keeps: bool = True, stores: bool = False, takes_messages: bool = True) -> None:
        super().__init__(name)
        self.kept: list[Alert | Arrival] = []
        self.keeps = keeps
        self.stores, self.takes_messages = stores, takes_messages
        self.stored: list[bytes] = []
        """Messages, in place of what is not an alert yet."""

    def keep(self, alerts: Sequence[Alert]) -> bool:
        self.kept += alerts
        return self.keeps

    def keep_messages(self, arrivals: Sequence[Arrival]) -> bool:
        self.stored += [arrival.message for arrival in arrivals]
        self.kept += arrivals
        return self.keeps

    def write_kept(self) -> None:
        found = [each if isinstance(each, Alert) else each.read() for each in self.kept]
        self.alerts += [alert for alert in found if alert is not None]
        self.kept = []


class Message:
    """One that says which alert it is, or that it is none; counts how often it is read."""

    def __init__(self, number: int | None) -> None:
        self.message = b"%d" % number if number is not None else b"none"
        self._alert = None if number is None else many(number + 1)[-1]
        self.reads = 0

    def read(self) -> Alert | None:
        self.reads += 1
        return self._alert


def test_what_is_kept_reaches_the_other_sinks_when_it_is_finished() -> None:
    """The sender is answered in between: by then a sink that keeps has the alerts, and nobody lacks any in the end."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping")
    pipeline = Pipeline([plain, keeping])
    pipeline.keep(many(2))
    pipeline.keep(many(1))
    assert keeping.kept == many(2) + many(1)
    assert plain.alerts == keeping.alerts == []
    pipeline.finish()
    assert plain.alerts == keeping.alerts == many(2) + many(1)
    pipeline.finish()
    assert len(plain.alerts) == 3


def test_a_sink_that_cannot_keep_has_everything_done_at_once() -> None:
    """An answer means no less where the work cannot be parted."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping", keeps=False)
    Pipeline([plain, keeping]).keep(many(2))
    assert plain.alerts == keeping.alerts == many(2)


@pytest.mark.parametrize("stores", [False, True])
def test_messages_are_read_when_they_are_finished(stores: bool) -> None:
    """In order with what was read before its answer; only a sink that stores has them earlier, as they came."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping", stores=stores)
    pipeline = Pipeline([plain, keeping])
    assert pipeline.reads_behind
    assert pipeline.stores == stores
    messages = [Message(0), Message(None), Message(1)]
    pipeline.keep_messages(messages[:1])
    pipeline.keep_messages(messages[1:])
    assert [message.reads for message in messages] == [0, 0, 0]
    assert keeping.stored == ([b"0", b"none", b"1"] if stores else [])
    pipeline.keep(many(3)[2:])
    pipeline.keep_messages([Message(3)])
    assert plain.alerts == keeping.alerts == []
    pipeline.finish()
    assert plain.alerts == keeping.alerts == many(4)
    pipeline.finish()
    assert len(plain.alerts) == 4
    assert pipeline.arrivals().startswith("4 since the start")


def test_messages_that_are_no_alerts_reach_no_sink() -> None:
    """Not even as an empty batch."""
    pipeline = Pipeline([ListSink("never", write_error=AssertionError("called")), TwoSteps("keeping")])
    pipeline.keep_messages([Message(None)])
    pipeline.finish()
    assert pipeline.arrivals() == "none has arrived since the start"


def test_messages_that_cannot_be_stored_are_written_at_once() -> None:
    """The disk has failed: an answer means no less."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping", keeps=False, stores=True)
    Pipeline([plain, keeping]).keep_messages([Message(0), Message(1)])
    assert plain.alerts == keeping.alerts == many(2)


@pytest.mark.parametrize(
    ("stores", "takes_messages", "transforms", "reads_behind"),
    [
        (False, True, False, True),
        (False, False, True, True),
        (True, True, False, True),
        (True, False, False, False),
        (True, True, True, False),
    ],
)
def test_when_messages_can_be_kept(stores: bool, takes_messages: bool, transforms: bool, reads_behind: bool) -> None:
    """Not where a disk would have what was to be masked, or where the alert decides what is stored."""
    sinks = [ListSink("plain"), TwoSteps("keeping", stores=stores, takes_messages=takes_messages)]
    assert Pipeline(sinks, (lambda alert: alert) if transforms else None).reads_behind == reads_behind


def test_what_is_read_later_is_transformed_before_any_sink_has_it() -> None:
    """A secret is masked in memory too."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping")
    pipeline = Pipeline([plain, keeping], lambda alert: replace(alert, hostname="masked"))
    pipeline.keep_messages([Message(0)])
    pipeline.finish()
    assert [alert.hostname for alert in plain.alerts + keeping.alerts] == ["masked"] * 2


@pytest.mark.parametrize("unread", [False, True])
@pytest.mark.parametrize("how", ["deliver", "settle", "close"])
def test_what_was_kept_goes_before_whatever_comes_next(how: str, unread: bool) -> None:
    """Another source's batch, somebody who looks and the end all find it in the sinks."""
    plain, keeping = ListSink("plain"), TwoSteps("keeping")
    pipeline = Pipeline([plain, keeping])
    kept = many(2)
    if unread:
        pipeline.keep_messages([Message(0), Message(1)])
    else:
        pipeline.keep(kept)
    if how == "settle":
        pipeline.settle()
    elif how == "close":
        pipeline.close(5)
    if how == "deliver":
        other = replace(ALERT, hostname="other")
        pipeline.deliver([other])
        assert plain.alerts == keeping.alerts == [*kept, other]
    else:
        assert plain.alerts == keeping.alerts == kept


def test_a_sinks_mistake_that_somebody_who_looks_meets_is_raised_to_the_next_source() -> None:
    """Who only looks cannot end the program, and must not hide that it has to end."""
    pipeline = Pipeline([ListSink("broken", write_error=ZeroDivisionError())])
    pipeline.keep(many(1))
    pipeline.settle()
    with pytest.raises(ZeroDivisionError):
        pipeline.finish()
    with pytest.raises(ZeroDivisionError):
        pipeline.deliver(many(1))


def test_who_looks_does_not_wait_for_a_sink_that_is_stuck() -> None:
    """Pages answer although a batch does not pass."""
    entered, go_on = threading.Event(), threading.Event()

    class Stuck(ListSink):
        def write(self, alerts: Sequence[Alert]) -> None:
            entered.set()
            go_on.wait(30)
            super().write(alerts)

    pipeline = Pipeline([Stuck("stuck")])
    pipeline.keep(many(1))
    finishing = threading.Thread(target=pipeline.finish)
    finishing.start()
    assert entered.wait(30)
    pipeline.settle(0.01)
    assert not pipeline.responds(0.01)
    go_on.set()
    finishing.join(30)
    assert not finishing.is_alive()
    assert pipeline.responds(0.01)
    assert pipeline.responds(0.01)  # asking leaves nothing behind


def test_it_says_how_many_alerts_came_and_which_was_the_latest() -> None:
    """Whether they were delivered or kept for later; what a transform drops has not arrived."""
    pipeline = Pipeline([], transform=lambda alert: None if alert.rule == "dropped" else alert)
    assert pipeline.arrivals() == "none has arrived since the start"
    first, second, dropped = (replace(ALERT, rule=rule) for rule in ("one", "tw\x1bo", "dropped"))
    pipeline.deliver([first, first])
    pipeline.keep([second, dropped])
    assert pipeline.arrivals() == "3 since the start, the latest 0 s ago: tw\\x1bo"
    pipeline.keep_messages([Message(0)])
    pipeline.deliver([first])
    assert pipeline.arrivals() == "5 since the start, the latest 0 s ago: one"
