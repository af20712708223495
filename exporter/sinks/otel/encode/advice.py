"""A report's verdict and advice as OpenTelemetry attributes.

Owns the names (``falco.verdict``, ``falco.outcome``, ``falco.signs``, the rest
under ``falco.report.``) and the text of each entry. Refuses to know what the
advice is. Prose becomes plain lines without hidden characters; commands and file
contents, which are rendered and quoted already, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from exporter.alert import Alert
from exporter.allowance import Allowance
from exporter.catalog.uid import names_uid
from exporter.escaping import visible
from exporter.form import Form
from exporter.kept import NAMES_CHARACTERS, Kept, PerObject, Recent
from exporter.render.brief_steps import RECORD_WORD_LIMIT, WORD_LIMIT
from exporter.render.header import FIELDS, about
from exporter.render.markdown import around_header, header_rest, header_time
from exporter.render.pager import around_time, pager_step, pager_verdict, with_time
from exporter.report import Advice, Change, Command, Matched, Prose, Reference, to_plain
from exporter.sinks.otel.encode.wire import AttributeKey, count_plain, to_item, to_utf8
from exporter.verdict.judgement import Outcome

REPORT_PREFIX = "falco.report."
_KEPT_RULES = 2_048
_KEPT_PART_BYTES = 8_192
"""Of one part of a rule's advice; a longer one is full of values."""
_KEPT_ITEMS, _KEPT_ITEMS_BYTES = 512, 512 * 1024
_KEPT_ADVICE, _KEPT_ADVICE_BYTES = 1_024, 4 * 1024 * 1024
"""Pieces of advice that are kept encoded, some 3 KB each, with full advice 8 KB; twice that at most."""
_KEPT_PLACES, _KEPT_PLACES_BYTES = 1_024, 1024 * 1024
_KEPT_FORMS = 256


def to_line(prose: Prose) -> str:
    """Return prose as one line; control characters and invisible ones in its values show as escapes."""
    return visible(to_plain(prose))


def to_heading(title: Prose) -> str:
    """Return a title as it stands before a colon: without the full stop that it has as a sentence."""
    return to_line(title).removesuffix(".")


def to_command_text(command: Command) -> str:
    """Return ``[phase, where] Title: command``, then what to look for, what breaks and how to undo it."""
    lines = [f"[{command.phase}, {command.where}] {to_heading(command.title)}: {command.run}"]
    if command.shows:
        lines.append(f"Look for: {to_line(command.shows)}")
    if command.empty:
        lines.append(f"Empty answer: {to_line(command.empty)}")
    if command.breaks:
        lines.append(f"Breaks: {to_line(command.breaks)}")
    if command.undo:
        lines.append(f"Undo: {command.undo}")
    if command.unproven:
        lines.append(f"Unproven: {visible(command.unproven)}")
    return "\n".join(lines)


def to_change_text(change: Change) -> str:
    """Return ``Title: file (tool)``, the content, then how to check and load it."""
    lines = [f"{to_heading(change.title)}: {change.file} ({change.tool})", change.content.rstrip("\n")]
    if change.check:
        lines.append(f"Check: {change.check}")
    if change.load:
        lines.append(f"Load: {change.load}")
    if change.note:
        lines.append(f"Note: {to_line(change.note)}")
    return "\n".join(lines)


def to_sign_text(sign: Matched) -> str:
    """Return ``[side, weight] text``, with ``forgeable`` where an intruder could have chosen the value."""
    marks = [sign.side, str(sign.weight), *(["forgeable"] if sign.forgeable else [])]
    return f"[{', '.join(marks)}] {to_line(sign.text)}"


_Part = tuple[Callable[[Advice], Any], Callable[[Any], bytes]]
"""What of a report an attribute is made of, and how."""

_ARRAYS: tuple[tuple[str, Callable[[Advice], Sequence[Any]], Callable[[Any], str]], ...] = (
    ("falco.signs", lambda advice: advice.judgement.signs, to_sign_text),
    ("attack.technique.ids", lambda advice: advice.techniques, lambda technique: technique.technique_id),
    ("attack.technique.names", lambda advice: advice.techniques, lambda technique: technique.technique),
    ("attack.tactic.ids", lambda advice: advice.techniques, lambda technique: technique.tactic_id),
    ("attack.tactic.names", lambda advice: advice.techniques, lambda technique: technique.tactic),
    ("mitigation.commands", lambda advice: advice.commands, to_command_text),
    ("mitigation.configuration", lambda advice: advice.changes, to_change_text),
    ("mitigation.recommendations", lambda advice: advice.recommendations, to_line),
    ("benign", lambda advice: advice.benign, to_line),
    ("tuning", lambda advice: advice.tuning, to_change_text),
    ("references", lambda advice: advice.references, lambda link: f"{link.title} <{link.url}>"),
)
BRIEF, FULL, NONE = "brief", "full", "none"
_BRIEF_ARRAYS = frozenset({"falco.signs", "attack.technique.ids"})
_MARKDOWN_LIMIT_CHARACTERS = 16_384
"""A longer report is left out, for a value has blown it up; its parts have attributes of their own."""
_DOCUMENTATION = ("https://falco.org/", "https://github.com/falcosecurity/")


def to_rule_reference(references: Sequence[Reference]) -> str:
    """Return the address that documents the rule: Falco's own where there is one, else the first."""
    urls = [reference.url for reference in references]
    return next((url for url in urls if url.startswith(_DOCUMENTATION)), urls[0] if urls else "")


def fraction_of(alert: Alert) -> bytes:
    """Return the end of the alert's time as text, behind the seconds: ``.nnnnnnnnnZ``."""
    return b".%09dZ" % (alert.time_ns % 1_000_000_000)


class Shared(NamedTuple):
    """Pieces of whole texts (UTF-8) that alerts with the same advice share; the alert's own lines stand between."""

    outcome: Outcome
    before_header: bytes
    after_header: bytes
    pager_first: bytes
    pager_last: bytes

    @classmethod
    def of(cls, advice: Advice, word_limit: int = WORD_LIMIT) -> Shared:
        """Return the advice's pieces of the brief report in Markdown and of the pager's lines."""
        around = around_header(advice, word_limit)
        if sum(map(len, around)) > _MARKDOWN_LIMIT_CHARACTERS:
            around = ("", "")
        return cls(advice.judgement.outcome, *map(to_utf8, (*around, pager_verdict(advice), pager_step(advice))))

    def write(self, alert: Alert, into: list[bytes], *, times: int) -> None:
        """Append the three lines for a pager and the beginning of the brief report in Markdown.

        What ``Encoded.encoded`` begins with is the rest of the report: it is the same for many alerts, and not
        copied for each. The report is left out where it is too long for a record.
        """
        before, behind = self.around_fraction(alert, times=times)
        into += (before, fraction_of(alert), behind) if behind else (before,)

    def around_fraction(self, alert: Alert, *, times: int = 1) -> tuple[bytes, bytes]:
        """Return what ``write`` appends without ``fraction_of`` the alert's second, the same for all of that second.

        Nothing stands behind the fraction where there is no Markdown, which alone has it.
        """
        around, header_end = _place_of(alert, self.outcome)
        time_text = alert.time_text
        pager = self.pager_first + to_utf8(f"\n{with_time(around, time_text, times=times)}\n") + self.pager_last
        pager = _PAGER[len(pager)] + pager
        if not self.before_header:
            return pager, b""
        header = header_time(time_text).encode()
        first, last = header.split(fraction_of(alert))
        length = len(self.before_header) + len(header) + len(header_end) + len(self.after_header)
        return pager + _MARKDOWN[length] + self.before_header + first, last + header_end

    @property
    def attributes(self) -> int:
        """How many attributes ``write`` gives."""
        return 2 if self.before_header else 1


_Place = tuple[tuple[str, str], bytes]
"""Of the pager's second line what stands around the time; of the Markdown's header (UTF-8) what follows it."""
_PLACES: Recent[tuple[object, ...], tuple[_Place, int]] = Recent(_KEPT_PLACES, _KEPT_PLACES_BYTES, size=itemgetter(1))
"""With about what each takes in memory."""
_VALUES_OF: Kept[Form, Callable[[Mapping[str, str]], tuple[str, ...]]] = Kept(_KEPT_FORMS)


def _make_values_of(form: Form) -> Callable[[Mapping[str, str]], tuple[str, ...]]:
    """Return what takes the values that a place depends on out of fields of this form."""
    wanted = [name for name in form.names if name in FIELDS]
    values_of = itemgetter(*wanted) if len(wanted) > 1 else lambda fields: tuple([fields[name] for name in wanted])
    return _VALUES_OF.keep(form, values_of) if form.is_kept else values_of


def _place_of(alert: Alert, outcome: Outcome) -> _Place:
    """Return where and what an alert was about, as texts have it; kept, because alerts come in bursts."""
    form = alert.form
    values_of = _VALUES_OF.get(form) or _make_values_of(form)
    key = (alert.rule, alert.priority, alert.source, alert.hostname, outcome, values_of, *values_of(alert.all_fields()))
    kept = _PLACES.get(key)
    if kept is None:
        known = about(alert, outcome)
        around, rest = around_time(known), to_utf8(header_rest(known))
        size = len(rest) + sum(map(len, around)) + sum([len(value) for value in key if isinstance(value, str)])
        kept = _PLACES.keep(key, ((around, rest), 4 * size))
    return kept[0]


_MARKDOWN = AttributeKey(REPORT_PREFIX + "markdown", kept_heads=8_192)
_PAGER = AttributeKey(REPORT_PREFIX + "pager")


class Encoded(NamedTuple):
    """Advice as attributes."""

    encoded: bytes
    """What goes behind that which ``shared`` writes."""
    attributes: int
    plain_bytes: int
    """How many of the bytes are plain (``wire.count_plain``)."""
    names_uid: tuple[bool, bool] = (False, False)
    """Whether the uid's stand-in (``catalog.uid``) is in what ``shared`` writes, and in ``encoded``."""
    shared: Shared | None = None
    """What the report's texts are made of; None where there is no advice."""

    @property
    def size_bytes(self) -> int:
        """How much it takes in memory, about."""
        return len(self.encoded) + (sum(map(len, self.shared)) if self.shared else 0)


NO_ADVICE = Encoded(b"", 0, 0)
LEFT_OUT = Encoded(AttributeKey(REPORT_PREFIX + "left_out").boolean(True), 1, 0)
"""In the place of advice that could not be made just now."""


def _array_part(name: str, source: Callable[[Advice], Sequence[Any]], to_text: Callable[[Any], str]) -> _Part:
    key = AttributeKey(name if name.startswith("falco.") else REPORT_PREFIX + name)
    # By the very object that each entry is: the catalog gives the same one again.
    encode: PerObject[Any, bytes] = PerObject(
        lambda entry: to_item(to_text(entry)), _KEPT_ITEMS, _KEPT_ITEMS_BYTES, size=len
    )
    # Two tactics of one technique name it twice; one mention is enough.
    return source, lambda entries: key.array(dict.fromkeys(map(encode, entries)))


def _line_part(name: str, source: Callable[[Advice], Prose]) -> _Part:
    key = AttributeKey(REPORT_PREFIX + name)
    return source, lambda prose: key.string(to_line(prose))


def _word_part(name: str, source: Callable[[Advice], Any], to_word: Callable[[Any], str] = str) -> _Part:
    key = AttributeKey(name)
    return source, lambda value: key.string(to_word(value))


def _full_parts() -> Iterator[_Part]:
    """What the rule's name, the other parts or the Markdown say too."""
    yield _word_part("security_rule.ruleset.name", lambda advice: advice.ruleset)
    yield _word_part("security_rule.reference", lambda advice: advice.references, to_rule_reference)
    yield _line_part("title", lambda advice: advice.title)
    yield _line_part("impact", lambda advice: advice.impact)


class AdviceWriter:
    """Turn advice into attributes, all of it (``full``) or what a reader needs first (``brief``).

    Parts that are the very same object in one report of a rule and the next
    (the catalog keeps what has no placeholder) are encoded once; so are parts
    and entries that are equal to a recent one, which is the rule in a burst.
    """

    def __init__(self, detail: str = FULL, allowance: Allowance | None = None) -> None:
        is_full = detail == FULL
        composed = AttributeKey(REPORT_PREFIX + "composed").boolean
        self._composed = {True: composed(True), False: composed(False) if is_full else b""}
        self._parts = (
            *(_full_parts() if is_full else ()),
            _word_part("falco.rule.maturity", lambda advice: advice.maturity),
            _word_part("falco.verdict", lambda advice: advice.judgement.verdict),
            _word_part("falco.outcome", lambda advice: advice.judgement.outcome),
            _line_part("summary", lambda advice: advice.summary),
            *(_array_part(*array) for array in _ARRAYS if is_full or array[0] in _BRIEF_ARRAYS),
        )
        self._allowance = allowance or Allowance()
        self._word_limit = WORD_LIMIT if detail == FULL else RECORD_WORD_LIMIT
        self._known: Kept[str, list[tuple[Any, bytes, int]]] = Kept(_KEPT_RULES, entry_bytes=NAMES_CHARACTERS)
        self._kept: Recent[int, tuple[Advice, Encoded]] = Recent(
            _KEPT_ADVICE, _KEPT_ADVICE_BYTES, size=lambda known: known[1].size_bytes
        )

    def write(self, rule: str, advice: Advice, *, comes_again: bool = True) -> Encoded:
        """Return the attributes of an alert's advice, one entry per attribute; empty parts are left out.

        Advice that does not come again, or holds more text than its attributes, is not to be kept beside them.
        """
        # The advice is kept beside its bytes, so that its id is never another's.
        kept = self._kept.get(id(advice))
        if kept is None or kept[0] is not advice:
            begun = self._allowance.begin()
            kept = (advice, self._write_parts(rule, advice))
            self._allowance.end(begun)
            if comes_again:
                self._kept.keep(id(advice), kept)
        return kept[1]

    def _write_parts(self, rule: str, advice: Advice) -> Encoded:
        plain = 0
        known = self._known_of(rule)
        parts = [self._composed[advice.composed]]
        for index, (source_of, encode) in enumerate(self._parts):
            source = source_of(advice)
            if source:
                part = known[index]
                if part[0] is not source:
                    encoded = encode(source)
                    part = (source, encoded, count_plain(encoded))
                    if len(encoded) <= _KEPT_PART_BYTES:
                        known[index] = part
                parts.append(part[1])
                plain += part[2]
        shared = Shared.of(advice, self._word_limit)
        plain += sum([count_plain(text) for text in shared[1:] if isinstance(text, bytes)])
        encoded = b"".join([shared.after_header, *parts])
        in_own = any(names_uid(text) for text in shared[1:] if isinstance(text, bytes))
        return Encoded(encoded, len(parts) + shared.attributes, plain, (in_own, names_uid(encoded)), shared)

    def _known_of(self, rule: str) -> list[tuple[Any, bytes, int]]:
        known = self._known.get(rule)
        if known is None:
            known = self._known.keep(rule, [(None, b"", 0)] * len(self._parts), len(rule))
        return known
