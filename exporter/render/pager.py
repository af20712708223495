"""The report as three lines for a pager: verdict and why, where and when, what to do first.

Owns the pager form, plain text. Lines are cut so that a short message holds
them; whatever an attacker wrote stays on its own line, hidden characters shown.
"""

from __future__ import annotations

from exporter.escaping import shortened, visible
from exporter.render import document, parts
from exporter.render.header import About, about
from exporter.render.parts import clause, limited
from exporter.report import Advice, Prose, Report, to_plain

LINE_LIMIT_CHARACTERS = 300
_PLACE_LIMIT_CHARACTERS = 120


def to_pager(report: Report, *, times: int = 1, link: str = "") -> str:
    """Return three lines, the last ending with a line feed.

    ``times`` is how often the same alert came; ``link`` leads to the whole report.
    """
    lines = (
        pager_verdict(report.advice),
        pager_place(about(report.alert, report.advice.judgement.outcome), report.alert.time_text, times=times),
        pager_step(report.advice) + (f" · {visible(link)}" if link else ""),
    )
    return "\n".join(lines) + "\n"


def pager_verdict(advice: Advice) -> str:
    """Return the first line: the title and the sign that decided."""
    line = _line(document.title(advice))
    fact = _deciding_fact(advice)
    return _cut(f"{line} · {_line(clause(fact))}" if fact else line)


def _deciding_fact(advice: Advice) -> Prose:
    """The strongest sign for the verdict; without one what the alert cannot say."""
    judgement = advice.judgement
    fitting = [sign for sign in judgement.signs if sign.side == judgement.verdict]
    if fitting:
        sign = max(fitting, key=lambda sign: sign.weight)
        return limited(sign.text, parts.TITLE_VALUE_LIMIT_CHARACTERS)
    if judgement.verdict == "undecided" and advice.unknown:
        return (*parts.text("unknown: "), *limited(advice.unknown[0], parts.TITLE_VALUE_LIMIT_CHARACTERS))
    return ()


def pager_place(known: About, time_text: str, *, times: int = 1) -> str:
    """Return the second line: where, when, how often, which rule, and the outcome where it is known."""
    return with_time(around_time(known), time_text, times=times)


def with_time(around: tuple[str, str], time_text: str, *, times: int = 1) -> str:
    """Return the second line of what ``around_time`` gave."""
    place, rest = around
    often = "once" if times == 1 else f"{times:,} times"
    return _cut(f"{place}{time_text[:10]} {time_text[11:19]} UTC · {often} · {rest}")


def around_time(known: About) -> tuple[str, str]:
    """Return what stands before the time in the second line, and what stands after it."""
    places = [visible(shortened(place, _PLACE_LIMIT_CHARACTERS)) for place in (known.subject, known.host) if place]
    rest = [visible(known.rule), *([known.outcome] if known.outcome != "unknown" else [])]
    return "".join([f"{place} · " for place in dict.fromkeys(places)]), " · ".join(rest)


def pager_step(advice: Advice) -> str:
    """Return the third line without its link: the first step, and where it runs."""
    if not advice.commands:
        return f"First: {_line(clause(advice.close_if))}" if advice.close_if else "First: read the report"
    first = advice.commands[0]
    return _cut(f"First: {_line(clause(limited(first.title, 80)))} [{_line(parts.remark(first))}]")


def _line(prose: Prose) -> str:
    return visible(to_plain(prose)).strip()


def _cut(line: str) -> str:
    return line if len(line) <= LINE_LIMIT_CHARACTERS else line[: LINE_LIMIT_CHARACTERS - 1] + "…"
