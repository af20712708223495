"""``report --incidents``: the incidents that alerts of files make.

Owns how they are printed. All alerts are read first: an incident's end is
known only when nothing more can come.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial

from exporter.alert import Alert
from exporter.commands.terminal import Style
from exporter.incidents.batch import join_all
from exporter.incidents.story import Story, story_of
from exporter.incidents.tactics import tactics_by_rule
from exporter.render.html import HTML_PAGE_END, html_page_start
from exporter.render.incident import INCIDENT_FORMATS, to_incident_html, to_incident_text
from exporter.reporter import Reporter


def incident_texts(
    alerts: Iterable[Alert], reporter: Reporter, *, form: str, window_seconds: float, verdicts: Set[str]
) -> Iterator[str]:
    """Yield the incidents in a format, by time, what stands between them included; only these verdicts, if any."""
    catalog = reporter.catalog
    found = join_all(
        list(alerts), window_seconds, judge=catalog.judge.judge, tactics_of=tactics_by_rule(catalog)
    )  # fmt: skip
    wanted = [incident for incident in found if not verdicts or incident.verdict in verdicts]
    write = _writer(form)
    for number, incident in enumerate(wanted):
        start = html_page_start("Falco Incidents") if form == "html" and number == 0 else ""
        end = HTML_PAGE_END if form == "html" and number == len(wanted) - 1 else ""
        between = INCIDENT_FORMATS[form].between if number else ""
        yield f"{start}{between}{write(story_of(incident, reporter.advice_for))}{end}"


def _writer(form: str) -> Callable[[Story], str]:
    if form == "text":
        width = min(shutil.get_terminal_size((100, 24)).columns, 100)
        return partial(to_incident_text, width=width, color=Style(sys.stdout).coloured)
    return to_incident_html if form == "html" else INCIDENT_FORMATS[form].document
