"""A story: an act, the alert that it raises, and the report's own steps one after the other.

A story reads the steps from the report, in its order and as rendered, and
pastes each of them where it belongs. It says what each must show, keep or
change; whatever is said of none is run all the same, and a step that nobody
spoke of fails the story at its end.

Every step is run twice: first in an interactive bash, then in an interactive
zsh (``sh`` for blocks that say so). So the second run is proven to harm
nothing, and both shells to understand the block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol

from tests.lab.ledger import Ledger
from tests.lab.paste import Answer, PasteError
from tests.lab.steps import Step, alert_of, steps_of

Text = str | Sequence[str]
Probe = Callable[[], Any]
SETTLING_SECONDS = 5.0
"""How long a state may take after a step: a process that has just been told to stop or go on still runs."""


class Place(Protocol):
    """Where blocks are pasted: a host, a node, a laptop with kubectl or a cloud's client."""

    name: str

    def paste(self, block: str, shell: str = "bash", timeout_seconds: float = 30.0) -> Answer:
        """Paste a block into an interactive shell."""
        ...


class Story:
    """One alert's report, step by step. A context manager: at its end every step must have been told.

    ``places`` maps ``host``, ``node``, ``cluster`` and ``cloud`` to where such steps run; ``broken`` is for mutants.
    """

    def __init__(
        self,
        rule: str,
        fields: Mapping[str, Any],
        places: Mapping[str, Place],
        *,
        ledger: Ledger,
        source: str = "syscall",
        hostname: str = "lab-host",
        time_ns: int = 0,
        broken: Mapping[str, str] | None = None,
    ) -> None:
        self.alert = alert_of(rule, fields, source=source, hostname=hostname, time_ns=time_ns or time.time_ns())
        self.uid = self.alert.uid
        """The alert's uid: steps name their folders by it."""
        self.steps = steps_of(self.alert, broken or {})
        self._places = places
        self._ledger = ledger
        self._at = 0
        self._undos: list[Step] = []
        self._before: tuple[Step, Any, Probe] | None = None
        self._not_held: Answer | None = None

    def __enter__(self) -> Story:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            left = [step.title for step in self.steps[self._at :]]
            assert not left, f"the story ends before the report does; not run: {left}"

    def look(
        self, title: str = "", *, shows: Text = (), hides: Text = (), status: int | None = None, seconds: float = 30.0
    ) -> Answer:
        """Run the next step, which only reads. Its answer must hold each text of ``shows`` and none of ``hides``.

        Where the terminal is free to end with any status, leave ``status`` out.
        """
        step = self._next("look", title)
        answers = self._twice(step, seconds)
        for answer in answers:
            _must_show(answer, shows, hides, step)
            assert status is None or answer.status == status, f"expected exit {status}: {answer}"
        return answers[0]

    def keep(
        self, title: str = "", *, keeps: Callable[[Answer], Any] | None = None, shows: Text = (), seconds: float = 30.0
    ) -> Answer:
        """Run the next step, which saves evidence. ``keeps`` is given its answer and must find what was kept.

        It looks again after the second run, which must not have spoiled the first copy.
        """
        step = self._next("keep", title)
        first = self._paste(step, "bash", seconds)
        _must_show(first, shows, (), step)
        saved = keeps(first) if keeps else None
        assert keeps is None or saved, f"nothing was kept: {first}"
        second = self._paste(step, self._second_shell(step), seconds)
        again = keeps(first) if keeps else None
        assert again == saved, f"the second run spoiled what was kept: {saved!r}, then {again!r}; {second}"
        if step.undo:
            self._undos.append(step)
        return first

    @property
    def at(self) -> int:
        """Which of ``steps`` is the next."""
        return self._at

    def looks(self, *, shows: Text = (), hides: Text = (), seconds: float = 30.0) -> str:
        """Run every step up to the next one that changes something; their answers together must hold ``shows``."""
        answers = []
        while self._at < len(self.steps) and {"look", "keep"} & set(self.steps[self._at].phases):
            if "contain" in self.steps[self._at].phases:
                break
            step = self._next(None, "")
            answers += self._twice(step, seconds)
        assert answers, f"no step before {self.steps[self._at].title!r} only looks"
        together = "\n".join(map(str, answers))
        for text in _texts(shows):
            assert text in "\n".join(answer.text for answer in answers), f"no step shows {text!r}: {together}"
        for text in _texts(hides):
            assert text not in "\n".join(answer.text for answer in answers), f"a step shows {text!r}: {together}"
        for answer in answers:
            _no_complaint(answer, answer.block)
        return together

    def contain(
        self,
        title: str = "",
        *,
        state: Probe,
        becomes: Any,
        shows: Text = (),
        seconds: float = 30.0,
    ) -> Answer:
        """Run the next step, which changes something: ``state()`` must become ``becomes`` and not have been it before.

        Where the report's next step verifies, that is run before as well, to see what it answers when nothing holds.
        """
        step = self._next("contain", title)
        before = state()
        assert before != becomes, f"{step.title!r}: the state is {becomes!r} before the step; the story proves nothing"
        self._not_held = None
        following = self.steps[self._at] if self._at < len(self.steps) else None
        if following and following.phases == ("verify",):
            self._not_held = self._paste(following, "bash", seconds)
        answer = self._paste(step, "bash", seconds)
        _must_show(answer, shows, (), step)
        found = _settled(state, becomes)
        assert found == becomes, f"{step.title!r}: expected {becomes!r}, found {found!r}; {answer}"
        again = self._paste(step, self._second_shell(step), seconds)
        found = _settled(state, becomes)
        assert found == becomes, f"{step.title!r}, second run: expected {becomes!r}, found {found!r}; {again}"
        if step.undo:
            self._undos.append(step)
        return answer

    def verify(
        self, title: str = "", *, held: Text = (), hides: Text = (), not_held: Text = (), seconds: float = 30.0
    ) -> Answer:
        """Run the next step, which tells whether the containment before it holds.

        It must show ``held`` now, or, where it answers by saying nothing, hide ``hides``; before the containment it
        must have shown ``not_held`` and not ``held``.
        """
        assert held or (hides and not_held), "say what it shows when it holds, or what it no longer shows"
        step = self._next("verify", title)
        answer = self._paste(step, "bash", seconds)
        _must_show(answer, held, hides, step)
        _must_show(self._paste(step, self._second_shell(step), seconds), held, hides, step)
        if before := self._not_held:
            _must_show(before, not_held, (), step)
            wanted = list(_texts(held))
            assert not wanted or not all(text in before.text for text in wanted), (
                f"said that it held before anything was done: {before}"
            )
        return answer

    def recover(self, title: str = "", **keywords: Any) -> Answer:
        """Run the next step, which brings back known good; as ``contain``."""
        step = self.steps[self._at]
        assert "recover" in step.phases, f"{step.title!r} is {step.phases}"
        self.steps[self._at] = replace(step, phases=("contain",))
        return self.contain(title, **keywords)

    def unproven(self, title: str, why: str) -> None:
        """Leave out the next step, which the lab cannot run; it counts as unproven."""
        assert len(why) > 15, "say why the lab cannot run it"
        self._next(None, title)

    def undo(self, *, state: Probe, becomes: Any, seconds: float = 30.0) -> None:
        """Undo what was contained, last first, each twice; the state must then be what it was before, to the byte."""
        assert self._undos, "no step of this story has an undo"
        while self._undos:
            step = self._undos.pop()
            for shell in ("bash", self._second_shell(step)):
                answer = self._in(step, undoing=True).paste(step.undo, shell, seconds)
                self._ledger.ran(step.undo_digest)
        found = _settled(state, becomes)
        assert found == becomes, f"undo restored {found!r}, not {becomes!r}; the last answer: {answer}"

    def again(
        self, title: str, *, shows: Text = (), hides: Text = (), undo: bool = False, seconds: float = 30.0
    ) -> Answer:
        """Run a step once more, e.g. when its object is gone; its answer must be the one that the text explains."""
        found = [step for step in self.steps if title.casefold() in step.title.casefold()]
        assert len(found) == 1, f"{title!r} names {len(found)} steps of {[step.title for step in self.steps]}"
        step = found[0]
        answer = self._in(step, undoing=undo).paste(step.undo if undo else step.run, "bash", seconds)
        self._ledger.pasted.add(step.undo_digest if undo else step.run_digest)
        _must_show(answer, shows, hides, step)
        return answer

    def everything(self, seconds: float = 30.0) -> list[Answer]:
        """Run every step that is left, and then the undos; each must come to its end. For hostile twins."""
        answers = []
        while self._at < len(self.steps):
            step = self._next(None, "")
            answers.append(self._paste(step, "bash", seconds))
            if step.undo:
                self._undos.append(step)
        while self._undos:
            step = self._undos.pop()
            answers.append(self._in(step, undoing=True).paste(step.undo, "bash", seconds))
            self._ledger.pasted.add(step.undo_digest)
        return answers

    def _next(self, phase: str | None, title: str) -> Step:
        left = [f"{'/'.join(step.phases)}: {step.title}" for step in self.steps[self._at :]]
        assert left, f"the report has no more steps; {title!r} is not among {[step.title for step in self.steps]}"
        step = self.steps[self._at]
        assert title.casefold() in step.title.casefold(), (
            f"the report's next step is not {title!r}; it goes on with {left}"
        )
        assert phase is None or phase in step.phases, f"{step.title!r} is not {phase!r} but {step.phases}"
        self._at += 1
        return step

    def _in(self, step: Step, *, undoing: bool = False) -> Place:
        assert step.where in self._places, f"{step.title!r} runs on {step.where!r}; the story has {list(self._places)}"
        place = self._places[step.where]
        if begin := getattr(place, "begin", None):
            begin("contain" if undoing else step.phases[0])
        return place

    def _second_shell(self, step: Step) -> str:
        return "sh" if step.shell == "sh" else "zsh"

    def _twice(self, step: Step, seconds: float) -> list[Answer]:
        return [self._paste(step, shell, seconds) for shell in ("bash", self._second_shell(step))]

    def _paste(self, step: Step, shell: str, seconds: float) -> Answer:
        try:
            answer = self._in(step).paste(step.run, shell, seconds)
        except PasteError as error:
            raise AssertionError(f"{step.title!r}: {error}") from error
        self._ledger.ran(step.run_digest)
        return answer


Tell = Callable[..., Story]
"""Begins a story: the fixture ``tell``."""


def _texts(text: Text) -> Iterable[str]:
    return [text] if isinstance(text, str) else text


def _settled(state: Probe, becomes: Any) -> Any:
    """Return the state once it is this one, or as it is after some seconds: a process stops in its own time."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while (found := state()) != becomes and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _must_show(answer: Answer, shows: Text, hides: Text, step: Step) -> None:
    for text in _texts(shows):
        assert text in answer.text, f"{step.title!r} does not show {text!r} (look for: {step.look}): {answer}"
    for text in _texts(hides):
        assert text not in answer.text, f"{step.title!r} shows {text!r}: {answer}"
    _no_complaint(answer, step.title)


def _no_complaint(answer: Answer, title: str) -> None:
    for complaint in ("command not found", "syntax error", "parse error near", "bad substitution", "no matches found"):
        assert complaint not in answer.text, f"{title!r}: the shell complains: {answer}"
